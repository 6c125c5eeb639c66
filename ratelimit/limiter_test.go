package ratelimit_test

import (
	"context"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

// valueLimits are Limits that are neither a pointer nor a function.
type valueLimits struct{ policy *ratelimit.Policy }

func (v valueLimits) PolicyFor(context.Context, string) (*ratelimit.Policy, error) {
	return v.policy, nil
}

func TestAllow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.PerSecond(3), ratelimit.Config{})
		limit := ratelimit.Limit{Name: "default", Rate: 3, Period: time.Second, Burst: 3}
		const µs = time.Microsecond
		for i, step := range []struct {
			sleep   time.Duration
			n       int
			allowed bool
			left    int
			retry   time.Duration
			reset   time.Duration
		}{
			{0, 1, true, 2, 0, 333_334 * µs},
			{0, 2, true, 0, 0, time.Second},
			{0, 1, false, 0, 333_334 * µs, time.Second},
			{0, 3, false, 0, time.Second, time.Second},
			{0, 4, false, 0, gcra.Never, time.Second},
			{0, math.MaxInt, false, 0, gcra.Never, time.Second},
			{0, 0, true, 0, 0, time.Second},
			{333_333 * µs, 1, false, 0, µs, 666_667 * µs},
			{µs, 1, true, 0, 0, time.Second - 0*µs},
			{2 * time.Second, 0, true, 3, 0, 0},
			{0, 3, true, 0, 0, time.Second},
		} {
			time.Sleep(step.sleep)
			r := allow(t, l, "k", step.n)
			if r.Allowed != step.allowed || r.Remaining() != step.left || r.RetryAfter() != step.retry || r.ResetAfter() != step.reset ||
				r.Cost() != step.n || r.Limit() != limit || r.Len() != 1 || r.Policy() == ratelimit.Unlimited || r.Shadow() || r.WouldDeny() {
				t.Errorf("step %d: %+v, want %+v", i, r, step)
			}
		}
		if r := allow(t, l, "another key", 1); !r.Allowed || r.Remaining() != 2 {
			t.Errorf("another key: %+v", r)
		}
	})
}

// A negative cost is an error that names the fix, and charges or gives nothing.
func TestAllowNegativeCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.PerHour(5), ratelimit.Config{})
		allow(t, l, "k", 3)
		for _, n := range []int{-1, -5, math.MinInt} {
			r, err := l.AllowN(t.Context(), "k", n)
			if fields(err) != "n" || !strings.Contains(err.Error(), "must be at least 0") || r.Allowed || store.ErrorClass(err) != store.ClassLimits {
				t.Errorf("AllowN(%d): %+v, %v", n, r, err)
			}
		}
		if got := remaining(t, l); got != 2 {
			t.Errorf("%d tokens are left, want 2", got)
		}
		if _, err := newLimiter(t, ratelimit.Unlimited, ratelimit.Config{}).AllowN(t.Context(), "k", -1); fields(err) != "n" {
			t.Errorf("AllowN(-1) of an exempt key: %v", err)
		}
	})
}

func TestUnlimitedNeverReachesTheStore(t *testing.T) {
	s := newFaultyStore()
	s.take, s.reset = nil, nil // a call would panic
	for _, shadow := range []bool{false, true} {
		l := newLimiterOn(t, selfTimedStore{s}, ratelimit.Unlimited, ratelimit.Config{Shadow: shadow})
		for _, n := range []int{0, 1, math.MaxInt} {
			r := allow(t, l, "k", n)
			if !r.Allowed || r.Policy() != ratelimit.Unlimited || r.Len() != 0 || r.Policy() != ratelimit.Unlimited || r.Remaining() != math.MaxInt ||
				r.RetryAfter() != 0 || r.ResetAfter() != 0 || r.Limit() != (ratelimit.Limit{}) || r.Cost() != n || r.Shadow() != shadow || r.WouldDeny() {
				t.Errorf("cost %d: %+v", n, r)
			}
		}
		if r := peek(t, l, "k"); !r.Allowed || r.Policy() != ratelimit.Unlimited {
			t.Errorf("Peek: %+v", r)
		}
		if err := l.Reset(t.Context(), "k"); err != nil {
			t.Errorf("Reset: %v", err)
		}
		if err := l.Wait(t.Context(), "k"); err != nil {
			t.Errorf("Wait: %v", err)
		}
	}
}

func TestReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, policyOf(t, ratelimit.PerHour(5), ratelimit.PerDay(6).Named("daily")), ratelimit.Config{})
		allow(t, l, "k", 5)
		allow(t, l, "other", 5)
		if err := l.Reset(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		r := allow(t, l, "k", 0)
		for i := range r.Len() {
			if s := r.State(i); s.ResetAfter != 0 || s.Remaining != s.Limit.Burst {
				t.Errorf("after Reset: %+v", s)
			}
		}
		if r := allow(t, l, "other", 1); r.Allowed {
			t.Error("Reset filled the bucket of another key")
		}
	})
}

// TestPeek: in random histories of one to four limits Peek foretells exactly what
// Allow answers at that instant, and a limiter that is never peeked at answers
// the same: it charges nothing.
func TestPeek(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		denials := 0
		for seed := range uint64(40) {
			rng := rand.New(rand.NewPCG(seed, 21))
			p := randomPolicy(t, rng)
			peeked, control := newLimiter(t, p, ratelimit.Config{}), newLimiter(t, p, ratelimit.Config{})
			for range 60 {
				time.Sleep(randomSleep(rng))
				foretold := peek(t, peeked, "k")
				peek(t, peeked, "k")
				got, want := allow(t, peeked, "k", 1), allow(t, control, "k", 1)
				if got.Allowed != want.Allowed || got.Remaining() != want.Remaining() || got.RetryAfter() != want.RetryAfter() || got.ResetAfter() != want.ResetAfter() {
					t.Fatalf("%v: after a Peek, Allow answers %+v, without it %+v", p.Limits(), got, want)
				}
				if foretold.Allowed != got.Allowed || foretold.RetryAfter() != got.RetryAfter() || foretold.Cost() != 1 {
					t.Fatalf("%v: Peek foretold %+v, and Allow answered %+v", p.Limits(), foretold, got)
				}
				spent := 0
				if got.Allowed {
					spent = 1
				} else {
					denials++
				}
				if foretold.Limit() != got.Limit() || foretold.Remaining() != got.Remaining()+spent {
					t.Fatalf("%v: Peek saw %+v, and Allow answered %+v", p.Limits(), foretold, got)
				}
			}
		}
		if denials == 0 {
			t.Error("no call was denied: the histories prove nothing")
		}
	})
}

// randomPolicy returns a policy of one to four limits. A call each few
// milliseconds is too much for it.
func randomPolicy(t testing.TB, rng *rand.Rand) *ratelimit.Policy {
	t.Helper()
	limits := make([]ratelimit.Limit, 1+rng.IntN(store.MaxLimits))
	for i := range limits {
		limits[i] = ratelimit.Limit{
			Name: string(rune('a' + i)), Rate: 1 + rng.IntN(300), Period: time.Duration(1+rng.IntN(3_000_000)) * time.Microsecond, Burst: 1 + rng.IntN(20),
		}
	}
	return policyOf(t, limits...)
}

func randomSleep(rng *rand.Rand) time.Duration {
	if rng.IntN(3) > 0 {
		return 0
	}
	return time.Duration(rng.IntN(30_000)) * time.Microsecond
}

// slowLimits take their time to look a policy up, and heed their context.
func slowLimits(p *ratelimit.Policy, takes time.Duration) ratelimit.LimitsFunc {
	return func(ctx context.Context, _ string) (*ratelimit.Policy, error) {
		select {
		case <-time.After(takes):
			return p, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// counting is a store that embeds another one, and has a Take of its own.
type counting struct {
	*memstore.Store
	takes int
}

func (c *counting) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	c.takes++
	return c.Store.Take(ctx, r)
}

// TestCanceledCallIsCharged: a call whose context has ended is charged all the same.
func TestCanceledCallIsCharged(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l := newLimiter(t, ratelimit.PerDay(5), ratelimit.Config{})
	for range 7 {
		if _, err := l.Allow(ctx, "k"); err != nil {
			t.Fatal(err)
		}
	}
	if r := peek(t, l, "k"); r.Allowed || r.Remaining() != 0 {
		t.Errorf("after seven calls that were canceled: %+v", r)
	}
}

// TestKeyAndNameDoNotRunTogether: no key and limit name run together into another pair.
func TestKeyAndNameDoNotRunTogether(t *testing.T) {
	s := memstore.New(memstore.Config{})
	for _, pair := range [][2]string{{"a|b", "c"}, {"a", "b|c"}, {"ab", "c"}, {"a", "bc"}, {"a:", "b"}, {"a", ":b"}, {"", "ab"}, {"a", "b"}} {
		l := newLimiterOn(t, s, ratelimit.PerDay(1).Named(pair[1]), ratelimit.Config{})
		if got := admitted(t, l, pair[0], 2); got != 1 {
			t.Errorf("key %q, limit %q: %d of 2 calls were admitted, want 1", pair[0], pair[1], got)
		}
	}
}
