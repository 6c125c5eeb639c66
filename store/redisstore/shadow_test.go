package redisstore

import (
	"cmp"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
)

// TestShadowLimits: shadow limits would deny exactly the calls that they deny when enforced.
// Beside enforced limits each has a bucket of its own, which it keeps when it is enforced.
// No limit refills while the test runs.
func TestShadowLimits(t *testing.T) {
	server := startRedis(t)
	limits := []ratelimit.Limit{ratelimit.PerDay(13), ratelimit.PerDay(9).Named("b"), ratelimit.PerDay(5).WithBurst(11).Named("c")}
	limiter := func(prefix string, limits ...ratelimit.Limit) *ratelimit.Limiter {
		t.Helper()
		l, err := ratelimit.New(newStore(t, patient(t, server.address), Config{Prefix: prefix}), testkit.Policy(t, limits...), ratelimit.Config{Timeout: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	allow := func(l *ratelimit.Limiter, key string, n int) ratelimit.Result {
		t.Helper()
		r, err := l.AllowN(t.Context(), key, n)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	enforcing := limiter("enforcing", limits...)
	watching := limiter("watching", limits[0].Shadowed(), limits[1].Shadowed(), limits[2].Shadowed())
	mixed := limiter("mixed", limits[0], limits[1].Shadowed(), limits[2].Shadowed())
	alone := []*ratelimit.Limiter{limiter("alone", limits[0]), limiter("alone", limits[1]), limiter("alone", limits[2])}
	rng := rand.New(rand.NewPCG(1, 27))
	costs := []int{0, 1, 1, 1, 2, 3, 8, 10, 12, 14, math.MaxInt}
	denied, would := int64(0), int64(0)
	for range 400 {
		key, n := strconv.Itoa(rng.IntN(20)), costs[rng.IntN(len(costs))]
		want, got := allow(enforcing, key, n), allow(watching, key, n)
		if !got.Allowed || !got.Shadow() || got.WouldDeny() == want.Allowed || got.Remaining() != want.Remaining() {
			t.Fatalf("cost %d: %+v, enforced %+v", n, got, want)
		}
		if !want.Allowed {
			denied++
		}
		want, got = allow(alone[0], key, n), allow(mixed, key, n)
		if got.Shadow() || got.Allowed != want.Allowed || got.Remaining() != want.Remaining() || got.Len() != 1 {
			t.Fatalf("cost %d: %+v, without shadow limits %+v", n, got, want)
		}
		for i := range 2 {
			s, ok := got.ShadowState(i)
			if !ok || s.Undecided == got.Allowed {
				t.Fatalf("cost %d, allowed %v: %+v, %v", n, got.Allowed, s, ok)
			}
			if s.Undecided {
				continue
			}
			if one := allow(alone[i+1], key, n); s.Violated == one.Allowed || s.Remaining != one.Remaining() || s.Violated && !got.WouldDeny() {
				t.Fatalf("cost %d: %+v, on its own %+v", n, s, one)
			}
		}
		if got.WouldDeny() && n > 0 {
			would++
		}
	}
	if r := watching.ShadowReport(); r.WouldDeny != denied || denied == 0 {
		t.Errorf("%d denials: %+v", denied, r)
	}
	if r := mixed.ShadowReport(); r.WouldDeny != would || would == 0 || r.Undecided != 0 {
		t.Errorf("%d denials: %+v", would, r)
	}
	enforced := limiter("mixed", limits...)
	for i := range 20 {
		key := strconv.Itoa(i)
		for j, want := range alone {
			got := allow(enforced, key, 0)
			state := ratelimit.LimitState{}
			for k := range got.Len() {
				if s := got.State(k); s.Limit.Name == cmp.Or(limits[j].Name, "default") {
					state = s
				}
			}
			if one := allow(want, key, 0); state.Remaining != one.Remaining() {
				t.Errorf("%s: %+v, as a shadow limit %+v", key, state, one)
			}
		}
		if err := mixed.Reset(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		if r := allow(enforced, key, 9); !r.Allowed {
			t.Errorf("after a reset: %+v", r)
		}
	}
}
