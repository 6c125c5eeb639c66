package ratelimit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

func TestObserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type contextKey struct{}
		var events []ratelimit.Event
		s := newFaultyStore()
		inner := s.take
		s.take = func(ctx context.Context, r store.Request) (store.Decision, error) {
			time.Sleep(time.Millisecond)
			return inner(ctx, r)
		}
		l := newLimiterOn(t, s, ratelimit.PerSecond(2), ratelimit.Config{Observe: func(ctx context.Context, e ratelimit.Event) {
			if ctx.Value(contextKey{}) != "request 7" {
				t.Error("Observe did not get the context of the call")
			}
			events = append(events, e)
		}})
		ctx := context.WithValue(t.Context(), contextKey{}, "request 7")

		r, err := l.Allow(ctx, "k")
		if len(events) != 1 || err != nil || events[0].Result != r || events[0].Err != nil || events[0].Took != time.Millisecond {
			t.Fatalf("after one Allow that answered %+v: %+v", r, events)
		}
		r, err = l.AllowN(ctx, "k", 2)
		if len(events) != 2 || err != nil || events[1].Result != r || r.Allowed || r.Cost() != 2 {
			t.Fatalf("after AllowN(2) that answered %+v: %+v", r, events[1:])
		}
		s.take = hang
		r, err = l.Allow(ctx, "k")
		if len(events) != 3 || err == nil || !errors.Is(events[2].Err, err) || events[2].Result != r || events[2].Took != store.DefaultTimeout {
			t.Fatalf("after a fault %v: %+v", err, events[2:])
		}
		_, err = l.AllowN(ctx, "k", -1)
		if len(events) != 4 || !errors.Is(events[3].Err, err) || fields(err) != "n" {
			t.Fatalf("after AllowN(-1): %+v", events[3:])
		}
		s.take = inner
		if _, err := l.Peek(ctx, "k"); err != nil || len(events) != 4 {
			t.Fatalf("Peek: %v, and %d events, want 4", err, len(events))
		}
		if err := l.Reset(ctx, "k"); err != nil || len(events) != 4 {
			t.Fatalf("Reset: %v, and %d events, want 4", err, len(events))
		}
		// A Wait that has to wait decides twice.
		_, _ = l.AllowN(ctx, "k", 2)
		if err := l.Wait(ctx, "k"); err != nil || len(events) != 7 || events[5].Result.Allowed || !events[6].Result.Allowed {
			t.Fatalf("Wait: %v, and %+v", err, events[4:])
		}
	})
}

// TestObservedCalls: each decision of a call that takes or holds tokens is observed once, and
// counts in the shadow report.
func TestObservedCalls(t *testing.T) {
	observed := int64(0)
	config := ratelimit.Config{Shadow: true, Observe: func(context.Context, ratelimit.Event) { observed++ }}
	l := newLimiter(t, policyOf(t, ratelimit.PerHour(1000), ratelimit.PerDay(1000).Named("daily")), config)
	defer l.Close()
	for _, c := range []struct {
		name string
		call func() error
		want int64
	}{
		{"Allow", func() error { _, err := l.Allow(t.Context(), "k"); return err }, 1},
		{"AllowN", func() error { _, err := l.AllowN(t.Context(), "k", 2); return err }, 1},
		{"AllowUpTo", func() error { _, err := l.AllowUpTo(t.Context(), "k", 2); return err }, 1},
		{"Hold", func() error { _, err := l.Hold(t.Context(), "k", 2); return err }, 1},
		{"Enter", func() error { _, _, err := l.Enter(t.Context(), "k", 2); return err }, 1},
		{"Wait", func() error { return l.Wait(t.Context(), "k") }, 1},
		{"WaitN", func() error { return l.WaitN(t.Context(), "k", 2) }, 1},
		{"WaitInParts", func() error { _, err := l.WaitInParts(t.Context(), "k", 2); return err }, 1},
		{"Peek", func() error { _, err := l.Peek(t.Context(), "k"); return err }, 0},
		{"PeekN", func() error { _, err := l.PeekN(t.Context(), "k", 2); return err }, 0},
		{"Charge", func() error { _, err := l.Charge(t.Context(), "k", 2); return err }, 0},
	} {
		observed = 0
		before := l.ShadowReport().Decisions
		if err := c.call(); err != nil || observed != c.want || l.ShadowReport().Decisions-before != c.want {
			t.Errorf("%s: %v, observed %d times, %d in the report; want %d", c.name, err, observed, l.ShadowReport().Decisions-before, c.want)
		}
	}
}

// TestObservePanics: the decision stands, and Check warns.
func TestObservePanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.PerSecond(2), ratelimit.Config{Observe: func(context.Context, ratelimit.Event) { panic("a bug") }})
		if h := l.Check(t.Context()); len(h.Warnings) != 0 {
			t.Fatalf("before any panic: %q", h.Warnings)
		}
		for i, want := range []bool{true, true, false} {
			r, err := l.Allow(t.Context(), "k")
			if err != nil || r.Allowed != want || r.Limit().Rate != 2 || r.Cost() != 1 {
				t.Errorf("call %d: %+v, %v; want allowed %v", i, r, err, want)
			}
		}
		if r, err := l.AllowN(t.Context(), "k", -1); fields(err) != "n" || r.Allowed {
			t.Errorf("AllowN(-1): %+v, %v", r, err)
		}
		h := l.Check(t.Context())
		if h.Status != store.StatusOK || len(h.Warnings) != 1 || h.Warnings[0] != "Config.Observe panicked 4 times" {
			t.Errorf("Check: %+v", h)
		}
	})
}

// TestObserveCountsAFaultOnce: every fault is one event of exactly one class,
// and no fault admits a call without one.
func TestObserveCountsAFaultOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		classes := map[string]int{}
		config := ratelimit.Config{Observe: func(_ context.Context, e ratelimit.Event) {
			if e.Err != nil && e.Result.Allowed {
				t.Errorf("admitted after %v", e.Err)
			}
			classes[store.ErrorClass(e.Err)]++
		}}
		s := newFaultyStore()
		sound := s.take
		limits := ratelimit.LimitsFunc(func(_ context.Context, key string) (*ratelimit.Policy, error) {
			switch key {
			case "fails":
				return nil, errDown
			case "panics":
				panic("a bug")
			case "nil":
				return nil, nil
			}
			return policyOf(t, ratelimit.PerDay(2)), nil
		})
		l := newLimiterOn(t, s, limits, config)
		call := func(key string, n int) { _, _ = l.AllowN(t.Context(), key, n) }
		for range 3 {
			call("k", 1) // the third is denied, which is no fault
		}
		for _, key := range []string{"fails", "panics", "nil"} {
			call(key, 1)
		}
		call("k", -1)
		fail := func(err error) {
			s.take = func(context.Context, store.Request) (store.Decision, error) {
				return store.Decision{Allowed: true}, err
			}
			call("k", 1)
		}
		fail(errDown)
		fail(fmt.Errorf("slow: %w", context.DeadlineExceeded))
		fail(context.Canceled)
		fail(&store.Error{Class: "loading", Err: errors.Join(context.Canceled, context.DeadlineExceeded)})
		s.take = hang
		call("k", 1)
		s.take = func(context.Context, store.Request) (store.Decision, error) { panic("a bug") }
		call("k", 1)
		s.take = func(context.Context, store.Request) (store.Decision, error) {
			return store.Decision{Allowed: true, Debts: [store.MaxLimits]gcra.Debt{{Micros: -1}}}, nil
		}
		call("k", 1)
		s.take = sound
		call("k", 0)

		want := map[string]int{"": 4, store.ClassLimits: 4, store.ClassOther: 1, store.ClassTimeout: 2, store.ClassCanceled: 1, "loading": 1, store.ClassPanic: 1, store.ClassWrong: 1}
		if fmt.Sprint(classes) != fmt.Sprint(want) {
			t.Errorf("the classes are %v, want %v", classes, want)
		}
	})
}

// TestResultJSON: what a log shows of a decision.
func TestResultJSON(t *testing.T) {
	l := newLimiter(t, policyOf(t, ratelimit.PerSecond(2), ratelimit.PerDay(100).Named("daily").Shadowed()), ratelimit.Config{})
	exempt := newLimiter(t, ratelimit.Unlimited, ratelimit.Config{})
	marshal := func(v any) string {
		t.Helper()
		text, err := json.Marshal(v)
		if err != nil {
			t.Error(err)
		}
		return string(text)
	}
	const daily = `{"name":"daily","limit":"100/d;name=daily;shadow","shadow":true,"remaining":`
	first := marshal(allow(t, l, "key", 1))
	if want := `{"allowed":true,"source":"store","cost":1,"limits":[{"name":"default","limit":"2/s","remaining":1,"violated":false,"reset_after_ms":500},` + daily; !strings.HasPrefix(first, want) {
		t.Errorf("%s; want %s...", first, want)
	}
	if got, want := marshal(allow(t, exempt, "key", 3)), `{"allowed":true,"exempt":true,"source":"none","cost":3,"limits":[]}`; got != want {
		t.Errorf("%s; want %s", got, want)
	}
	never := allow(t, l, "other", 3)
	if got, want := marshal(never), `{"allowed":false,"source":"store","cost":3,"limits":[{"name":"default","limit":"2/s","remaining":2,"violated":true,"reset_after_ms":0},`; !strings.HasPrefix(got, want) {
		t.Errorf("%s; want %s...", got, want)
	}
	if got, want := marshal(ratelimit.Result{}), `{"allowed":false,"source":"none","cost":0,"limits":[]}`; got != want {
		t.Errorf("%s; want %s", got, want)
	}
	for _, c := range []struct {
		event ratelimit.Event
		want  string
	}{
		{ratelimit.Event{}, `{"result":{"allowed":false,"source":"none","cost":0,"limits":[]},"took_us":0}`},
		{
			ratelimit.Event{Err: &store.Error{Class: "loading", Err: errDown}, Took: 1500 * time.Microsecond},
			`{"result":{"allowed":false,"source":"none","cost":0,"limits":[]},"error":"ratelimit: the store could not decide (loading): the backend is down","class":"loading","took_us":1500}`,
		},
		{
			ratelimit.Event{Err: &ratelimit.LimitError{Field: "PolicyFor", Want: "must", Err: &store.PanicError{Value: func() {}}}},
			`{"result":{"allowed":false,"source":"none","cost":0,"limits":[]},"error":"ratelimit: PolicyFor must: it panicked","class":"limits","took_us":0}`,
		},
	} {
		if got := marshal(c.event); got != c.want {
			t.Errorf("%s; want %s", got, c.want)
		}
	}
}
