package store_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

// probed returns a store whose answer number at, counted from 1, is changed; 0 means every
// answer.
func probed(at int, change func(*store.Decision) error) *faultyStore {
	s := newFaultyStore()
	inner := s.take
	s.take = func(ctx context.Context, r store.Request) (store.Decision, error) {
		d, err := inner(ctx, r)
		if s.takes == at || at == 0 {
			err = change(&d)
		}
		return d, err
	}
	return s
}

// A faultyStore is a memstore whose answers a test can replace.
type faultyStore struct {
	store.Store
	take  func(context.Context, store.Request) (store.Decision, error)
	reset func(context.Context, store.Request) error
	takes int
}

func newFaultyStore() *faultyStore {
	memory := memstore.New(memstore.Config{})
	return &faultyStore{Store: memory, take: memory.Take, reset: memory.Reset}
}

func (s *faultyStore) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	s.takes++
	return s.take(ctx, r)
}

func (s *faultyStore) Reset(ctx context.Context, r store.Request) error {
	return s.reset(ctx, r)
}

func hang(ctx context.Context, _ store.Request) (store.Decision, error) {
	<-ctx.Done()
	return store.Decision{}, ctx.Err()
}

var errDown = errors.New("the backend is down")

func debt(d time.Duration) gcra.Debt {
	return gcra.Debt{Micros: int64(d / time.Microsecond)}
}

// TestProbe: Check passes stores that decide, and no others.
func TestProbe(t *testing.T) { synctest.Test(t, testProbe) }

func testProbe(t *testing.T) {
	const sound, wrong = "", store.ClassWrong
	answer := func(d store.Decision) *faultyStore {
		return probed(0, func(answer *store.Decision) error { *answer = d; return nil })
	}
	full := store.Decision{Allowed: true}
	charged := store.Decision{Allowed: true, Debts: [store.MaxLimits]gcra.Debt{debt(10 * time.Second)}}
	wait := func(d time.Duration) *faultyStore {
		return probed(2, func(answer *store.Decision) error { answer.Debts[0] = debt(d); return nil })
	}
	fail := func(err error) func(*store.Decision) error {
		return func(*store.Decision) error { return err }
	}
	panics := func(*store.Decision) error { panic("a bug") }
	noReset := newFaultyStore()
	noReset.reset = func(context.Context, store.Request) error { return nil }
	badReset := newFaultyStore()
	badReset.reset = func(context.Context, store.Request) error { return errDown }
	panickingReset := newFaultyStore()
	panickingReset.reset = func(context.Context, store.Request) error { panic("a bug") }
	hanging := newFaultyStore()
	hanging.take = hang
	hangingReset := newFaultyStore()
	hangingReset.reset = func(ctx context.Context, _ store.Request) error {
		<-ctx.Done()
		return ctx.Err()
	}
	free := newFaultyStore()
	charge := free.take
	free.take = func(ctx context.Context, r store.Request) (store.Decision, error) {
		r.Cost = 0
		return charge(ctx, r)
	}

	for _, test := range []struct {
		name  string
		store *faultyStore
		class string
	}{
		{"a faultless one", newFaultyStore(), sound},
		{"always allows", answer(full), wrong},
		{"always allows, and says that it charges", answer(charged), wrong},
		{"always denies", answer(store.Decision{}), wrong},
		{"always denies, and reports a wait", answer(store.Decision{Debts: charged.Debts}), wrong},
		{"charges nothing", free, wrong},
		{"charges half", probed(1, func(d *store.Decision) error { d.Debts[0] = debt(5 * time.Second); return nil }), wrong},
		{"denies the first call, and charges it", probed(1, func(d *store.Decision) error { d.Allowed = false; return nil }), wrong},
		{"admits the second call", probed(2, func(d *store.Decision) error { d.Allowed = true; return nil }), wrong},
		{"reports no wait", wait(0), wrong},
		{"reports half the wait", wait(5 * time.Second), wrong},
		{"reports a second less", wait(10*time.Second - time.Second), sound},
		{"reports a second and a microsecond less", wait(10*time.Second - time.Second - time.Microsecond), wrong},
		{"reports twice the wait", wait(20 * time.Second), wrong},
		{"a reset that does nothing", noReset, wrong},
		{"a reset that leaves a microsecond", probed(3, func(d *store.Decision) error { d.Debts[0] = debt(time.Microsecond); return nil }), wrong},
		{"fails at the first call", probed(1, fail(errDown)), store.ClassOther},
		{"fails at the second call", probed(2, fail(&store.Error{Class: "loading", Err: errDown})), "loading"},
		{"fails at the third call", probed(3, fail(context.Canceled)), store.ClassCanceled},
		{"fails at the reset", badReset, store.ClassOther},
		{"returns a typed nil", probed(1, fail((*store.Error)(nil))), store.ClassPanic},
		{"panics at the first call", probed(1, panics), store.ClassPanic},
		{"panics at the third call", probed(3, panics), store.ClassPanic},
		{"panics at the reset", panickingReset, store.ClassPanic},
		{"hangs", hanging, store.ClassTimeout},
		{"hangs at the reset", hangingReset, store.ClassTimeout},
	} {
		test.store.takes = 0
		start := time.Now()
		h := store.Check(t.Context(), test.store, store.DefaultTimeout)
		if took := time.Since(start); took != 0 && (test.class != store.ClassTimeout || took != store.DefaultTimeout) {
			t.Errorf("%s: Check took %v", test.name, took)
		}
		if len(h.Parts) != 1 || h.Parts[0].Name != "store" || len(h.Warnings) != 0 {
			t.Fatalf("%s: %+v", test.name, h)
		}
		part := h.Parts[0]
		if part.Class != test.class || part.OK != (test.class == sound) || part.Proved.IsZero() == part.OK || part.OK && !part.Proved.Equal(start) {
			t.Errorf("%s: the part is %+v, want class %q", test.name, part, test.class)
		}
		if want := map[bool]store.Status{true: store.StatusOK, false: store.StatusFailed}[part.OK]; h.Status != want || (h.Decides == "store") != part.OK {
			t.Errorf("%s: %+v, want status %q", test.name, h, want)
		}
	}
}

// TestProbeSlowStore: the time that a probe takes is not held against the store,
// unless it is so long that tokens come back.
func TestProbeSlowStore(t *testing.T) {
	for _, test := range []struct {
		takes time.Duration
		want  string
	}{{2 * time.Second, ""}, {2500 * time.Millisecond, ""}, {2501 * time.Millisecond, store.ClassTimeout}, {time.Minute, store.ClassTimeout}} {
		synctest.Test(t, func(t *testing.T) {
			s := newFaultyStore()
			inner := s.take
			s.take = func(ctx context.Context, r store.Request) (store.Decision, error) {
				d, err := inner(ctx, r)
				time.Sleep(test.takes)
				return d, err
			}
			err := store.Probe(t.Context(), s, "", time.Hour)
			if got := store.ErrorClass(err); got != test.want {
				t.Errorf("a store that takes %v: class %q (%v), want %q", test.takes, got, err, test.want)
			}
		})
	}
}

// TestProbeUnguarded: a Checker calls it with its bare parts, whose answers no guard
// has looked at.
func TestProbeUnguarded(t *testing.T) {
	s := probed(2, func(d *store.Decision) error { d.Debts[0] = debt(20 * time.Second); return nil })
	if err := store.Probe(t.Context(), s, "", time.Second); store.ErrorClass(err) != store.ClassWrong {
		t.Errorf("a wait of two hours: %v", err)
	}
	if err := store.Probe(t.Context(), memstore.New(memstore.Config{}), "", time.Second); err != nil {
		t.Errorf("memstore: %v", err)
	}
}

// TestProbeUsesKeysOfItsOwn: one for each probe, that no caller can have.
func TestProbeUsesKeysOfItsOwn(t *testing.T) {
	var keys []string
	s := newFaultyStore()
	inner := s.take
	s.take = func(ctx context.Context, r store.Request) (store.Decision, error) {
		if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > time.Second || r.Timeout != time.Second {
			t.Errorf("asked with a deadline: %v, and timeout %v", ok, r.Timeout)
		}
		keys = append(keys, r.Key)
		return inner(ctx, r)
	}
	s.reset = func(ctx context.Context, r store.Request) error {
		if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > time.Second {
			t.Errorf("asked to reset with a deadline: %v", ok)
		}
		keys = append(keys, r.Key)
		return s.Store.Reset(ctx, r)
	}
	for range 2 {
		if err := store.Probe(t.Context(), s, "", time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if len(keys) != 8 {
		t.Fatalf("%d calls, want 8", len(keys))
	}
	if keys = slices.Compact(keys); len(keys) != 2 || len(keys[0]) < 20 {
		t.Errorf("the keys are %q", keys)
	}
}
