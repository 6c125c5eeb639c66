package ratelimit_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

// shadowed returns the limits, each marked as shadow.
func shadowed(limits []ratelimit.Limit) []ratelimit.Limit {
	marked := make([]ratelimit.Limit, len(limits))
	for i, l := range limits {
		marked[i] = l.Shadowed()
	}
	return marked
}

// TestShadowPolicy: a policy whose limits are all shadow would deny exactly the calls
// that it denies when it is enforced, and denies none; and it reports them in the same way.
func TestShadowPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		denials := 0
		for seed := range uint64(60) {
			rng := rand.New(rand.NewPCG(seed, 23))
			p := randomPolicy(t, rng)
			enforcing := newLimiter(t, p, ratelimit.Config{})
			watching := newLimiter(t, policyOf(t, shadowed(p.Limits())...), ratelimit.Config{})
			denied := int64(0)
			for range 80 {
				time.Sleep(randomSleep(rng))
				n, key := rng.IntN(4), strconv.Itoa(rng.IntN(3))
				want, got := allow(t, enforcing, key, n), allow(t, watching, key, n)
				if !got.Allowed || !got.Shadow() || got.WouldDeny() == want.Allowed || len(shadowStates(&got)) != 0 {
					t.Fatalf("%v: watching answers %+v, enforcement %+v", p, got, want)
				}
				for i := range len(p.Compiled()) {
					g, w := got.State(i), want.State(i)
					if !g.Limit.Shadow {
						t.Fatalf("%v: the limit is not marked: %+v", p, g)
					}
					if g.Limit = w.Limit; g != w {
						t.Fatalf("%v: watching reports %+v, enforcement %+v", p, g, w)
					}
				}
				if !want.Allowed {
					denied++
				}
			}
			report := watching.ShadowReport()
			reported := int64(0)
			for _, k := range report.Keys {
				reported += k.WouldDeny
			}
			if report.WouldDeny != denied || reported != denied {
				t.Fatalf("%v: %d calls would have been denied; the report has %d, and of %d by key", p, denied, report.WouldDeny, reported)
			}
			denials += int(denied)
		}
		if denials == 0 {
			t.Error("no call was denied: the histories prove nothing")
		}
	})
}

// TestShadowBesideEnforced: a shadow limit beside enforced ones is decided on its own, as
// a limiter that sees only the calls that were admitted would; and the enforced ones are
// decided, and reported, as if it were not there.
func TestShadowBesideEnforced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wouldDeny, denied := 0, 0
		for seed := range uint64(60) {
			rng := rand.New(rand.NewPCG(seed, 24))
			limits := randomPolicy(t, rng).Limits()
			marked := make([]ratelimit.Limit, len(limits))
			var enforced []ratelimit.Limit
			var alone []*ratelimit.Limiter
			for i, l := range limits {
				if i > 0 && rng.IntN(2) == 0 {
					marked[i] = l.Shadowed()
					alone = append(alone, newLimiter(t, l, ratelimit.Config{}))
				} else {
					marked[i] = l
					enforced = append(enforced, l)
				}
			}
			l := newLimiter(t, policyOf(t, marked...), ratelimit.Config{})
			reference := newLimiter(t, policyOf(t, enforced...), ratelimit.Config{})
			for range 80 {
				time.Sleep(randomSleep(rng))
				n := rng.IntN(4)
				got, want := allow(t, l, "k", n), allow(t, reference, "k", n)
				if got.Allowed != want.Allowed || got.Shadow() || got.Limit() != want.Limit() || got.Remaining() != want.Remaining() ||
					got.RetryAfter() != want.RetryAfter() || got.ResetAfter() != want.ResetAfter() || got.Len() != want.Len() || len(shadowStates(&got)) != len(alone) {
					t.Fatalf("%v: %+v, without the shadow limits %+v", marked, got, want)
				}
				for i := range want.Len() {
					if got.State(i) != want.State(i) {
						t.Fatalf("%v: %+v, without the shadow limits %+v", marked, got.State(i), want.State(i))
					}
				}
				would := false
				for i, reference := range alone {
					state, _ := got.ShadowState(i)
					if state.Undecided == want.Allowed {
						t.Fatalf("%v: allowed %v, and the shadow limit is undecided: %v", marked, want.Allowed, state.Undecided)
					}
					if state.Undecided {
						continue
					}
					one := allow(t, reference, "k", n)
					would = would || !one.Allowed
					if state.Violated == one.Allowed || state.Remaining != one.Remaining() || state.RetryAfter != one.RetryAfter() || state.ResetAfter != one.ResetAfter() || !state.Limit.Shadow {
						t.Fatalf("%v: shadow limit %d: %+v, on its own %+v", marked, i, state, one)
					}
				}
				if got.WouldDeny() != would {
					t.Fatalf("%v: would deny %v, want %v", marked, got.WouldDeny(), would)
				}
				if would {
					wouldDeny++
				}
				if !want.Allowed {
					denied++
				}
			}
		}
		if wouldDeny == 0 || denied == 0 {
			t.Errorf("%d calls would have been denied and %d were: the histories prove nothing", wouldDeny, denied)
		}
	})
}

// TestShadowModeOfAMixedPolicy: Config.Shadow watches what would be enforced, and the
// shadow limits on their own.
func TestShadowModeOfAMixedPolicy(t *testing.T) {
	p := policyOf(t, ratelimit.PerHour(2), ratelimit.PerHour(1).Named("new").Shadowed())
	l := newLimiter(t, p, ratelimit.Config{Shadow: true})
	for i, want := range []bool{false, true, true} {
		if r := allow(t, l, "k", 1); !r.Allowed || !r.Shadow() || r.WouldDeny() != want || r.State(0).Violated != (i == 2) {
			t.Errorf("call %d: %+v", i+1, r)
		}
	}
	keys := l.ShadowReport().Keys
	if len(keys) != 2 || keys[0].WouldDeny != 1 || keys[1].WouldDeny != 1 || keys[0].Limit == keys[1].Limit {
		t.Errorf("the report is %+v", keys)
	}
}

// TestShadowLimitThatFails: a watched limit that cannot be decided, or not in time, does
// the call no harm, and is counted.
func TestShadowLimitThatFails(t *testing.T) {
	p := policyOf(t, ratelimit.PerHour(2), ratelimit.PerHour(1).Named("new").Shadowed(), ratelimit.PerHour(1).Named("newer").Shadowed())
	for name, fail := range map[string]func(ctx context.Context, r store.Request) (store.Decision, error){
		"error": func(context.Context, store.Request) (store.Decision, error) {
			return store.Decision{}, errors.New("down")
		},
		"hang":  hang,
		"panic": func(context.Context, store.Request) (store.Decision, error) { panic("no") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, memory := newFaultyStore(), memstore.New(memstore.Config{})
				s.take = func(ctx context.Context, r store.Request) (store.Decision, error) {
					if r.Limits[0].Name == "new" {
						return fail(ctx, r)
					}
					return memory.Take(ctx, r)
				}
				l := newLimiterOn(t, s, p, ratelimit.Config{})
				start := time.Now()
				r := allow(t, l, "k", 1)
				if took := time.Since(start); took > store.DefaultTimeout {
					t.Errorf("it took %v", took)
				}
				one, _ := r.ShadowState(0)
				other, _ := r.ShadowState(1)
				if !r.Allowed || r.WouldDeny() || r.Remaining() != 1 || !one.Undecided || other.Undecided != (name == "hang") {
					t.Errorf("%+v, undecided: %v and %v", r, one.Undecided, other.Undecided)
				}
				want := int64(1)
				if name == "hang" { // no time is left for the second
					want = 2
				}
				if report := l.ShadowReport(); report.Undecided != want || report.Decisions != 1 {
					t.Errorf("report: %+v", report)
				}
			})
		})
	}
}

// TestShadowPolicyServesAfterAFault: where nothing is enforced, a failure denies no call.
func TestShadowPolicyServesAfterAFault(t *testing.T) {
	s := newFaultyStore()
	s.take = func(context.Context, store.Request) (store.Decision, error) {
		return store.Decision{}, errors.New("down")
	}
	l := newLimiterOn(t, s, ratelimit.PerSecond(1).Shadowed(), ratelimit.Config{})
	if r, err := l.Allow(t.Context(), "k"); err == nil || !r.Allowed || !r.Shadow() {
		t.Errorf("%+v, %v", r, err)
	}
	if err := l.Wait(t.Context(), "k"); err != nil {
		t.Errorf("Wait: %v", err)
	}
	l = newLimiterOn(t, s, policyOf(t, ratelimit.PerSecond(1), ratelimit.PerHour(1).Named("new").Shadowed()), ratelimit.Config{})
	if r, err := l.Allow(t.Context(), "k"); err == nil || r.Allowed || r.Shadow() {
		t.Errorf("one limit is enforced: %+v, %v", r, err)
	}
}

// TestShadowAllocates: watching costs no allocation, but for a key that is new in the
// report.
func TestShadowAllocates(t *testing.T) {
	for name, p := range map[string]*ratelimit.Policy{
		"all":    policyOf(t, ratelimit.PerHour(1).Shadowed(), ratelimit.PerHour(2).Named("b").Shadowed()),
		"dated":  policyOf(t, ratelimit.PerHour(1).EnforcedFrom(time.Now().Add(time.Hour))),
		"beside": policyOf(t, ratelimit.PerSecond(1_000_000), ratelimit.PerHour(2).Named("b").Shadowed()),
	} {
		l := newLimiter(t, p, ratelimit.Config{})
		allow(t, l, "k", 1)
		allow(t, l, "k", 1)
		allow(t, l, "k", 1)
		if n := testing.AllocsPerRun(100, func() { _, _ = l.Allow(t.Context(), "k") }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// TestShadowStateOutOfRange: no index panics.
func TestShadowStateOutOfRange(t *testing.T) {
	var none ratelimit.Result
	l := newLimiter(t, policyOf(t, ratelimit.PerHour(1), ratelimit.PerHour(2).Named("b").Shadowed()), ratelimit.Config{})
	some := allow(t, l, "k", 1)
	for _, i := range []int{-1, 1, 4, math.MaxInt} {
		for _, r := range []ratelimit.Result{none, some} {
			if s, ok := r.ShadowState(i); ok || s != (ratelimit.LimitState{}) {
				t.Errorf("%d: %+v, %v", i, s, ok)
			}
		}
	}
	if _, ok := some.ShadowState(0); !ok {
		t.Error("the shadow limit has no state")
	}
}

// shadowStates returns the states of the shadow limits beside those that were enforced.
func shadowStates(r *ratelimit.Result) (states []ratelimit.LimitState) {
	for i := 0; ; i++ {
		s, ok := r.ShadowState(i)
		if !ok {
			return states
		}
		states = append(states, s)
	}
}
