package ratelimit_test

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

// TestStoreThatDecidesTheImpossible: debts that no bucket can have are a fault of
// the store. The arithmetic never sees them.
func TestStoreThatDecidesTheImpossible(t *testing.T) {
	limits := []ratelimit.Limit{{Rate: 3, Period: time.Microsecond}, ratelimit.PerSecond(3).Named("second")}
	for _, test := range []struct {
		name string
		at   int
		debt gcra.Debt
		ok   bool
	}{
		{"a negative debt", 0, gcra.Debt{Micros: -1}, false},
		{"the most negative debt", 0, gcra.Debt{Micros: math.MinInt64}, false},
		{"above the capacity", 0, gcra.Debt{Micros: 1, Frac: 1}, false},
		{"the capacity", 0, gcra.Debt{Micros: 1}, true},
		{"far above the capacity", 0, gcra.Debt{Micros: math.MaxInt64}, false},
		{"a fraction that is none", 0, gcra.Debt{Frac: 3}, false},
		{"the largest fraction", 0, gcra.Debt{Frac: 2}, true},
		{"the second limit", 1, gcra.Debt{Micros: 1_000_001}, false},
		{"the capacity of the second limit", 1, gcra.Debt{Micros: 1_000_000}, true},
		{"a limit that the policy does not have", 2, gcra.Debt{Micros: -1}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newFaultyStore()
			s.take = func(context.Context, store.Request) (store.Decision, error) {
				d := store.Decision{Allowed: true}
				d.Debts[0], d.Debts[1] = gcra.Debt{Frac: 1}, gcra.Debt{Micros: 333_333, Frac: 1}
				d.Debts[test.at] = test.debt
				return d, nil
			}
			l := newLimiterOn(t, s, policyOf(t, limits...), ratelimit.Config{})
			for _, call := range []func(context.Context, string) (ratelimit.Result, error){l.Allow, l.Peek} {
				r, err := call(t.Context(), "k")
				if test.ok && err == nil {
					continue
				}
				if test.ok || store.ErrorClass(err) != store.ClassWrong || r.Allowed {
					t.Errorf("%+v, %v", r, err)
				}
			}
		})
	}
}

// TestStoreThatDoesNotMeanIt: a decision must go with the debts, or a call would be
// free, or denied for nothing.
func TestStoreThatDoesNotMeanIt(t *testing.T) {
	limits := []ratelimit.Limit{ratelimit.PerSecond(5), ratelimit.PerHour(2).Named("hourly")}
	for _, test := range []struct {
		name    string
		n       int
		allowed bool
		debts   [store.MaxLimits]gcra.Debt
		ok      bool
	}{
		{"admitted and charged", 1, true, [4]gcra.Debt{debt(200 * time.Millisecond), debt(30 * time.Minute)}, true},
		{"admitted, the first not charged", 1, true, [4]gcra.Debt{debt(199 * time.Millisecond), debt(30 * time.Minute)}, false},
		{"admitted, the second not charged", 1, true, [4]gcra.Debt{debt(200 * time.Millisecond), debt(0)}, false},
		{"admitted above the burst", 3, true, [4]gcra.Debt{debt(time.Second), debt(time.Hour)}, false},
		{"denied by the first", 1, false, [4]gcra.Debt{debt(801 * time.Millisecond), debt(0)}, true},
		{"denied by the second", 1, false, [4]gcra.Debt{debt(0), debt(31 * time.Minute)}, true},
		{"denied above the burst", 3, false, [4]gcra.Debt{}, true},
		{"denied with room", 1, false, [4]gcra.Debt{debt(800 * time.Millisecond), debt(30 * time.Minute)}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newFaultyStore()
			s.take = func(context.Context, store.Request) (store.Decision, error) {
				return store.Decision{Allowed: test.allowed, Debts: test.debts}, nil
			}
			r, err := newLimiterOn(t, s, policyOf(t, limits...), ratelimit.Config{}).AllowN(t.Context(), "k", test.n)
			if test.ok && (err != nil || r.Allowed != test.allowed) || !test.ok && (store.ErrorClass(err) != store.ClassWrong || r.Allowed) {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}

// TestEmbeddedStoreIsAsked: the short way that memstore offers is not taken past a
// store that embeds it.
func TestEmbeddedStoreIsAsked(t *testing.T) {
	s := &counting{Store: memstore.New(memstore.Config{})}
	l := newLimiterOn(t, s, ratelimit.PerHour(2), ratelimit.Config{})
	if got := admitted(t, l, "k", 5); got != 2 || s.takes != 5 {
		t.Errorf("%d of 5 calls were admitted, the store was asked %d times; want 2 and 5", got, s.takes)
	}
}
