package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

func TestCheckFullStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New(memstore.Config{MaxKeys: 1})
		l := newLimiterOn(t, s, ratelimit.PerDay(5), ratelimit.Config{})
		allow(t, l, "k", 1)
		h := l.Check(t.Context())
		if h.Status != store.StatusOK || h.Decides != "store" || len(h.Warnings) != 1 || h.Warnings[0] != "the store is full: new keys share buckets" ||
			len(h.Parts) != 1 || !h.Parts[0].OK || h.Parts[0].Class != "" || !h.Parts[0].Proved.Equal(time.Now()) || h.Parts[0].Name != "store" {
			t.Errorf("%+v", h)
		}
		if err := store.Probe(t.Context(), s, "", time.Second); !errors.Is(err, store.ErrOverflow) {
			t.Errorf("Prove: %v", err)
		}
	})
}

// checkerStore knows its own health.
type checkerStore struct {
	*faultyStore
	check func(context.Context) store.Health
}

func (s checkerStore) Check(ctx context.Context) store.Health { return s.check(ctx) }

func TestCheckAsksAChecker(t *testing.T) {
	type contextKey struct{}
	health := store.Health{Status: store.StatusDegraded, Decides: "standby", Parts: []store.PartHealth{{Name: "shared", Class: "loading"}, {Name: "standby", OK: true}}}
	s := checkerStore{faultyStore: newFaultyStore(), check: func(ctx context.Context) store.Health {
		h := health
		if ctx.Value(contextKey{}) != "check" {
			h.Warnings = []string{"not the context of the call"}
		}
		return h
	}}
	ctx := context.WithValue(t.Context(), contextKey{}, "check")
	for _, store := range []store.Store{s, struct {
		checkerStore
		store.SelfTimed
	}{s, nil}} {
		l := newLimiterOn(t, store, ratelimit.PerSecond(5), ratelimit.Config{})
		if got := l.Check(ctx); fmt.Sprint(got) != fmt.Sprint(health) || s.takes != 0 {
			t.Errorf("%+v, and %d decisions; want %+v", got, s.takes, health)
		}
	}

	s.check = func(context.Context) store.Health { panic("a bug") }
	h := newLimiterOn(t, s, ratelimit.PerSecond(5), ratelimit.Config{}).Check(ctx)
	if h.Status != store.StatusFailed || h.Decides != "" || len(h.Parts) != 1 || h.Parts[0] != (store.PartHealth{Name: "store", Class: store.ClassPanic}) {
		t.Errorf("a Checker that panics: %+v", h)
	}
}

// TestChecksLeaveTheRoomToCallers: the probe of a full store shares buckets with
// new keys. However often it comes, it takes nothing from them.
func TestChecksLeaveTheRoomToCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // where no time passes, and nothing is paid back
		l := newLimiterOn(t, memstore.New(memstore.Config{MaxKeys: 10}), ratelimit.PerHour(1000), ratelimit.Config{})
		for i := range 10 {
			allow(t, l, "customer "+strconv.Itoa(i), 1)
		}
		for range 600 {
			if h := l.Check(t.Context()); h.Status != store.StatusOK {
				t.Fatalf("%+v", h)
			}
		}
		for i := range 200 {
			if r := peek(t, l, "new "+strconv.Itoa(i)); r.Remaining() != 1000 {
				t.Errorf("new key %d has %d tokens left, want 1000", i, r.Remaining())
			}
		}
	})
}

// TestCheckInAFlood: newcomers who fill the store while it is tried, and take the
// probe's place after its reset, do not make a sound store a failed one: a load
// balancer would take the program out.
func TestCheckInAFlood(t *testing.T) {
	for _, flooded := range []string{"before the second call", "before the reset", "before the third call"} {
		synctest.Test(t, func(t *testing.T) {
			// The overflow buckets of the same refill as the probe's are those that it shares.
			hourly, tens := policyOf(t, ratelimit.PerHour(1000)), policyOf(t, ratelimit.Limit{Rate: 1, Period: 10 * time.Second})
			s := memstore.New(memstore.Config{MaxKeys: 10})
			take := func(key string, p *ratelimit.Policy, n int) {
				if _, err := s.Take(t.Context(), store.Request{Key: key, Limits: p.Compiled(), Cost: n}); err != nil {
					t.Error(err)
				}
			}
			for i := range 9 { // the last place is the probe's
				take("customer "+strconv.Itoa(i), hourly, 900)
			}
			flood := func(when string) {
				for i := 0; when == flooded && i < 1000; i++ {
					take(when+strconv.Itoa(i), tens, 1)
				}
			}
			between := newFaultyStore()
			between.take = func(ctx context.Context, r store.Request) (store.Decision, error) {
				switch between.takes {
				case 2:
					flood("before the second call")
				case 3:
					flood("before the third call")
				}
				return s.Take(ctx, r)
			}
			between.reset = func(ctx context.Context, r store.Request) error {
				flood("before the reset")
				return s.Reset(ctx, r)
			}
			l := newLimiterOn(t, between, hourly, ratelimit.Config{})
			if h := l.Check(t.Context()); h.Status != store.StatusOK || between.takes < 2 {
				t.Errorf("flooded %s: %+v after %d decisions", flooded, h, between.takes)
			}
		})
	}
}

// TestLastProof: Check reports when a part decided last, also when it does not now.
func TestLastProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFaultyStore()
		limiter, err := ratelimit.New(s, ratelimit.PerSecond(5), ratelimit.Config{})
		if err != nil {
			t.Fatal(err)
		}
		proved := time.Now()
		limiter.Check(t.Context())
		time.Sleep(time.Hour)
		s.take = func(context.Context, store.Request) (store.Decision, error) {
			return store.Decision{}, errDown
		}
		if h := limiter.Check(t.Context()); h.Status != store.StatusFailed || !h.Parts[0].Proved.Equal(proved) {
			t.Errorf("an hour later Check says %+v; want failed, and proved at %v", h, proved)
		}
	})
}
