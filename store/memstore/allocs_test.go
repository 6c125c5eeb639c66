package memstore

import (
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// TestAllocs: a decision allocates nothing, whatever it is.
func TestAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	one, two := ratelimit.PerSecond(1_000_000_000), ratelimit.PerHour(2_000_000_000).Named("hourly")
	full := New(Config{MaxKeys: 1})
	for name, test := range map[string]struct {
		store  *Store
		limits []ratelimit.Limit
		call   func(l *ratelimit.Limiter) (ratelimit.Result, error)
		allow  bool
	}{
		"allow":      {nil, []ratelimit.Limit{one}, func(l *ratelimit.Limiter) (ratelimit.Result, error) { return l.Allow(t.Context(), "k") }, true},
		"allow n":    {nil, []ratelimit.Limit{one}, func(l *ratelimit.Limiter) (ratelimit.Result, error) { return l.AllowN(t.Context(), "k", 7) }, true},
		"two limits": {nil, []ratelimit.Limit{one, two}, func(l *ratelimit.Limiter) (ratelimit.Result, error) { return l.Allow(t.Context(), "k") }, true},
		"deny":       {nil, []ratelimit.Limit{one, ratelimit.PerDay(1).Named("daily")}, func(l *ratelimit.Limiter) (ratelimit.Result, error) { return l.Allow(t.Context(), "k") }, false},
		"peek":       {nil, []ratelimit.Limit{one, two}, func(l *ratelimit.Limiter) (ratelimit.Result, error) { return l.Peek(t.Context(), "k") }, true},
		"overflow":   {full, []ratelimit.Limit{{Rate: 1_000_000_000, Period: 24 * time.Hour}}, func(l *ratelimit.Limiter) (ratelimit.Result, error) { return l.Allow(t.Context(), "k") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			if test.store == nil {
				test.store = New(Config{})
			} else {
				_, _ = test.store.Take(t.Context(), store.Request{Key: "first", Limits: testkit.Limits(t, ratelimit.PerDay(1)), Cost: 1})
			}
			l, err := ratelimit.New(test.store, testkit.Policy(t, test.limits...), ratelimit.Config{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := l.Allow(t.Context(), "k"); err != nil { // the first may grow the table
				t.Fatal(err)
			}
			var r ratelimit.Result
			if n := testing.AllocsPerRun(1000, func() { r, err = test.call(l) }); n != 0 {
				t.Errorf("%v allocations; want none", n)
			}
			if err != nil || r.Allowed != test.allow {
				t.Errorf("answered allowed=%v, %v; want allowed=%v", r.Allowed, err, test.allow)
			}
		})
	}
}

// TestNewBucketsAllocateRarely: a new key makes its table grow now and then, and
// nothing else.
func TestNewBucketsAllocateRarely(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	daily := testkit.Limits(t, ratelimit.PerDay(1))
	s := New(Config{})
	key := []byte("key 0000000")
	i := 0
	n := testing.AllocsPerRun(50_000, func() {
		i++
		for at, rest := len(key)-1, i; rest > 0; at, rest = at-1, rest/10 {
			key[at] = byte('0' + rest%10)
		}
		_, _ = s.Take(t.Context(), store.Request{Key: string(key), Limits: daily, Cost: 1})
	})
	if n > 1 { // the key itself
		t.Errorf("%v allocations for a new key; want 1", n)
	}
}
