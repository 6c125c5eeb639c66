package ratelimit_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
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

// TestEnforcedFrom: a limit denies no call until its date, and then what it has seen
// counts; each date of a policy begins a phase of its own.
func TestEnforcedFrom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		p := policyOf(t,
			ratelimit.PerHour(3).Named("second").EnforcedFrom(start.Add(2*time.Minute)),
			ratelimit.PerHour(5).Named("first").EnforcedFrom(start.Add(time.Minute)),
			ratelimit.PerHour(1).Named("never").Shadowed(),
		)
		l := newLimiter(t, p, ratelimit.Config{})
		check := func(what string, allowed, shadow, would bool, enforced, beside int) {
			t.Helper()
			r := allow(t, l, "k", 1)
			if r.Allowed != allowed || r.Shadow() != shadow || r.WouldDeny() != would || r.Len() != enforced || len(shadowStates(&r)) != beside {
				t.Errorf("%s: %+v, %d limits and %d beside", what, r, r.Len(), len(shadowStates(&r)))
			}
			for i := range r.Len() {
				if s := r.State(i); s.Limit.Shadow != shadow || !shadow && s.Limit.EnforceFrom != 0 {
					t.Errorf("%s: %+v", what, s.Limit)
				}
			}
		}
		check("before", true, true, false, 3, 0) // all are charged
		check("before", true, true, true, 3, 0)  // the third limit had one token: none is charged
		time.Sleep(time.Minute - time.Nanosecond)
		check("just before the first date", true, true, true, 3, 0)
		time.Sleep(time.Nanosecond)
		for range 2 { // of the five one is gone, of the three one
			check("from the first date", true, false, true, 1, 2)
		}
		check("from the first date", true, false, true, 1, 2)
		check("from the first date", true, false, true, 1, 2)
		check("from the first date", false, false, false, 1, 2)
		time.Sleep(time.Minute)
		check("from the second date", false, false, false, 2, 1)
		if err := l.Reset(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		check("reset", true, false, false, 2, 1)
		check("reset", true, false, true, 2, 1)
		check("reset", true, false, true, 2, 1)
		check("reset", false, false, false, 2, 1)
	})
}

// TestEnforcedFromThePast: a date that has passed makes an ordinary limit.
func TestEnforcedFromThePast(t *testing.T) {
	l := newLimiter(t, ratelimit.PerHour(1).EnforcedFrom(time.Unix(1, 0)), ratelimit.Config{})
	first, second := allow(t, l, "k", 1), allow(t, l, "k", 1)
	if !first.Allowed || second.Allowed || first.Shadow() || first.Limit() != ratelimit.PerHour(1).WithBurst(1).Named("default") {
		t.Errorf("%+v, %+v", first, second)
	}
	if n := l.ShadowReport().Decisions; n != 0 {
		t.Errorf("%d decisions were watched", n)
	}
}

// TestEnforcedFromForAll: callers of many goroutines see the date pass once, and no call
// is decided by a mixture.
func TestEnforcedFromForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		date := time.Now().Add(time.Second)
		l := newLimiter(t, policyOf(t, ratelimit.PerHour(1).EnforcedFrom(date), ratelimit.PerHour(2).Named("two").EnforcedFrom(date)), ratelimit.Config{})
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 200 {
					before := time.Now().Before(date)
					r, err := l.Allow(t.Context(), "k")
					if err != nil || r.Len() != 2 || r.Shadow() != before || before && !r.Allowed {
						t.Errorf("before the date %v: %+v, %v", before, r, err)
					}
					time.Sleep(10 * time.Millisecond)
				}
			})
		}
		wg.Wait()
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

// TestShadowReportCounts: calls that ask only for the state are not in the report.
func TestShadowReportCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, policyOf(t, ratelimit.PerMinute(6), ratelimit.PerHour(2).Named("new").Shadowed()), ratelimit.Config{})
		since := time.Now()
		time.Sleep(time.Second)
		allow(t, l, "k", 2)
		peek(t, l, "k")
		allow(t, l, "k", 0)
		first := time.Now()
		allow(t, l, "k", 1)
		time.Sleep(time.Second)
		last := time.Now()
		if r := peek(t, l, "k"); !r.Allowed || !r.WouldDeny() {
			t.Errorf("Peek: %+v", r)
		}
		allow(t, l, "k", 3)
		allow(t, l, "k", 3) // denied, not watched
		got := l.ShadowReport()
		if got.Since != since || got.Decisions != 4 || got.WouldDeny != 2 || got.Undecided != 0 || len(got.Keys) != 1 {
			t.Fatalf("%+v", got)
		}
		want := ratelimit.ShadowKey{Key: ratelimit.HashKey("k"), Limit: "new", WouldDeny: 2, Tokens: 4, MaxRetryAfter: gcra.Never, First: first, Last: last}
		if got.Keys[0] != want {
			t.Errorf("%+v, want %+v", got.Keys[0], want)
		}
	})
}

// TestShadowReportFindsTheHeaviest: of many keys the report holds those that were denied
// most, within the bounds that it states.
func TestShadowReportFindsTheHeaviest(t *testing.T) {
	const most = 50
	l := newLimiter(t, ratelimit.PerDay(1).Shadowed(), ratelimit.Config{ShadowKeys: most})
	rng := rand.New(rand.NewPCG(1, 25))
	zipf := rand.NewZipf(rng, 1.2, 1, 20_000)
	calls, total := map[string]int64{}, int64(0)
	for range 50_000 {
		key := strconv.FormatUint(zipf.Uint64(), 10)
		if r := allow(t, l, key, 1); r.WouldDeny() {
			calls[ratelimit.HashKey(key)]++
			total++
		}
	}
	report := l.ShadowReport()
	if report.WouldDeny != total || len(report.Keys) != most {
		t.Fatalf("%d denials of %d, %d keys", report.WouldDeny, total, len(report.Keys))
	}
	reported, before := map[string]bool{}, int64(math.MaxInt64)
	for _, k := range report.Keys {
		reported[k.Key] = true
		if truly := calls[k.Key]; k.WouldDeny < truly || k.WouldDeny-k.Overcount > truly || k.Overcount > total/most {
			t.Errorf("denied %d times: %+v", truly, k)
		}
		if k.WouldDeny > before {
			t.Error("the most denied are not first")
		}
		before = k.WouldDeny
	}
	heavy := 0
	for key, n := range calls {
		if n > total/most {
			heavy++
			if !reported[key] {
				t.Errorf("a key that was denied %d times of %d is missing", n, total)
			}
		}
	}
	if heavy == 0 || len(calls) < 20*most {
		t.Errorf("%d heavy keys of %d: this proves nothing", heavy, len(calls))
	}
}

func TestShadowKeys(t *testing.T) {
	for keys, ok := range map[int]bool{-1: false, 0: true, 1: true, 100_000: true, 100_000 + 1: false} {
		_, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerSecond(1), ratelimit.Config{ShadowKeys: keys})
		if (err == nil) != ok {
			t.Errorf("%d: %v", keys, err)
		}
	}
	l := newLimiter(t, ratelimit.PerDay(1).Shadowed(), ratelimit.Config{})
	for i := range 300 {
		for range 2 {
			allow(t, l, strconv.Itoa(i), 1)
		}
	}
	if n := len(l.ShadowReport().Keys); n != 100 {
		t.Errorf("%d keys, want %d", n, 100)
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
