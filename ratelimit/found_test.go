package ratelimit_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

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
			between.reset = func(ctx context.Context, key string, p []store.Limit) error {
				flood("before the reset")
				return s.Reset(ctx, key, p)
			}
			l := newLimiterOn(t, between, hourly, ratelimit.Config{})
			if h := l.Check(t.Context()); h.Status != store.StatusOK || between.takes < 2 {
				t.Errorf("flooded %s: %+v after %d decisions", flooded, h, between.takes)
			}
		})
	}
}

// TestClassIsFitForALabel: a class is a word that the store documents, or "other".
// Whatever else a store puts there would be a label, or a key in one.
func TestClassIsFitForALabel(t *testing.T) {
	const key = "sk-live-5f0e2d"
	long := strings.Repeat("x", 32)
	for _, test := range []struct{ class, want string }{
		{"loading", "loading"},
		{"http-503", "http-503"},
		{"az09-", "az09-"},
		{"a`", store.ClassOther},
		{"a{", store.ClassOther},
		{"a/", store.ClassOther},
		{"a:", store.ClassOther},
		{long, long},
		{long + "x", store.ClassOther},
		{"", store.ClassOther},
		{"Loading", store.ClassOther},
		{"no node", store.ClassOther},
		{"lädt", store.ClassOther},
		{"a\nb", store.ClassOther},
		{key, store.ClassOther},
		{"redis-" + key, store.ClassOther},
	} {
		s := newFaultyStore()
		s.take = func(context.Context, store.Request) (store.Decision, error) {
			return store.Decision{}, &store.Error{Class: test.class, Err: errDown}
		}
		for _, backend := range []store.Store{s, selfTimedStore{s}} {
			_, err := newLimiterOn(t, backend, ratelimit.PerSecond(5), ratelimit.Config{}).Allow(t.Context(), key)
			if got := store.ErrorClass(err); got != test.want || holds(renderings(t, err), key) {
				t.Errorf("class %q became %q in %v, want %q", test.class, got, err, test.want)
			}
		}
	}
}

// silentError holds a key, and does not show it.
type silentError struct{ Key string }

func (silentError) Error() string { return "no such key" }

// TestStoreErrorPrintsItsText: an error whose text is harmless stays in the chain.
// No verb digs its fields out.
func TestStoreErrorPrintsItsText(t *testing.T) {
	const key = "canary-5f0e2d"
	s := newFaultyStore()
	s.take = func(context.Context, store.Request) (store.Decision, error) {
		return store.Decision{}, silentError{key}
	}
	_, err := newLimiterOn(t, s, ratelimit.PerSecond(5), ratelimit.Config{}).Allow(t.Context(), key)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		if got, want := fmt.Sprintf(verb, err), "ratelimit: the store could not decide (other): no such key"; got != want {
			t.Errorf("%s prints %s, want %s", verb, got, want)
		}
	}
}

// chainError is an error that wraps another one, if it is not nil itself.
type chainError struct{ inner error }

func (*chainError) Error() string   { return "the look-up failed" }
func (e *chainError) Unwrap() error { return e.inner }

// TestErrorClassOfABrokenChain: a typed nil that can say what it is, and panics when
// asked what it wraps, is counted all the same.
func TestErrorClassOfABrokenChain(t *testing.T) {
	l := newLimiter(t, ratelimit.LimitsFunc(func(context.Context, string) (*ratelimit.Policy, error) {
		return nil, (*chainError)(nil)
	}), ratelimit.Config{})
	r, err := l.Allow(t.Context(), "canary")
	if got := store.ErrorClass(err); err == nil || got != store.ClassPanic || r.Allowed {
		t.Errorf("%+v, %v of class %q; want class %q", r, err, got, store.ClassPanic)
	}
}
