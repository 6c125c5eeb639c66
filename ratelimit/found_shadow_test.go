package ratelimit_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

func TestShadowTokensDoNotOverflow(t *testing.T) {
	l := newLimiter(t, ratelimit.PerHour(1).Shadowed(), ratelimit.Config{})
	for range 3 {
		if r := allow(t, l, "k", math.MaxInt); !r.Allowed || !r.WouldDeny || r.RetryAfter != ratelimit.Never {
			t.Fatalf("%+v", r)
		}
	}
	if k := l.ShadowReport().Keys[0]; k.Tokens != math.MaxInt64 || k.Refused != 3 {
		t.Errorf("%+v, want the largest number of tokens", k)
	}
}

func TestShadowServesANegativeCost(t *testing.T) {
	for name, l := range map[string]*ratelimit.Limiter{
		"Config.Shadow": newLimiter(t, ratelimit.PerHour(1), ratelimit.Config{Shadow: true}),
		"Limit.Shadow":  newLimiter(t, ratelimit.PerHour(1).Shadowed(), ratelimit.Config{}),
		"dated":         newLimiter(t, ratelimit.PerHour(1).EnforcedFrom(time.Now().Add(time.Hour)), ratelimit.Config{}),
	} {
		if r, err := l.AllowN(t.Context(), "k", -1); len(faults(err)) != 1 || !r.Allowed || !r.Shadow {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	beside := newLimiter(t, policyOf(t, ratelimit.PerHour(1), ratelimit.PerHour(1).Named("new").Shadowed()), ratelimit.Config{})
	if r, err := beside.AllowN(t.Context(), "k", -1); len(faults(err)) != 1 || r.Allowed || r.Shadow {
		t.Errorf("one limit is enforced: %+v, %v", r, err)
	}
}

func TestShadowReportInOrder(t *testing.T) {
	const callers, calls = 8, 300
	l := newLimiter(t, ratelimit.PerDay(1).Shadowed(), ratelimit.Config{})
	key := func(i int) string { return fmt.Sprint("k", i%50) }
	for i := range 50 {
		allow(t, l, key(i), 1)
	}
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for i := range calls {
				allow(t, l, key(i), 2)
			}
		})
	}
	var reports []ratelimit.ShadowReport
	for range 50 {
		reports = append(reports, l.ShadowReport())
	}
	wg.Wait()
	reports = append(reports, l.ShadowReport())
	for _, report := range reports {
		for _, k := range report.Keys {
			if k.Last.Before(k.First) || k.First.Before(report.Since) || k.Tokens != 2*k.Refused || k.Overcount != 0 {
				t.Fatalf("%+v", k)
			}
		}
	}
	last := reports[len(reports)-1]
	if last.WouldDeny != callers*calls || len(last.Keys) != 50 || last.Keys[49].Refused != callers*calls/50 {
		t.Errorf("%d calls, %d keys, the fewest %+v", last.WouldDeny, len(last.Keys), last.Keys[len(last.Keys)-1])
	}
}

func TestShadowReportBound(t *testing.T) {
	for _, keys := range []int{1, 2, 3, 7} {
		l := newLimiter(t, policyOf(t, ratelimit.PerSecond(1_000_000),
			ratelimit.PerDay(1).Named("a").Shadowed(), ratelimit.PerDay(1).Named("b").Shadowed(), ratelimit.PerDay(1).Named("c").Shadowed(),
		), ratelimit.Config{ShadowKeys: keys})
		truth, total := map[string]int64{}, int64(0)
		call := func(key string, n int) {
			r := allow(t, l, key, n)
			for i := range r.ShadowLen() {
				if s, _ := r.ShadowState(i); s.Violated {
					truth[ratelimit.HashKey(key)+s.Limit.Name]++
					total++
				}
			}
		}
		for i := range 300 { // a heavy one, between others that are all new
			call("heavy", 2)
			if i%3 == 0 {
				call(fmt.Sprint("new ", i), 2)
			}
		}
		told, sum := map[string]bool{}, int64(0)
		for _, k := range l.ShadowReport().Keys {
			told[k.Key+k.Limit] = true
			sum += k.Refused
			if truly := truth[k.Key+k.Limit]; k.Refused < truly || k.Refused-k.Overcount > truly || k.Overcount > total/int64(keys) {
				t.Errorf("%d keys: refused %d times: %+v", keys, truly, k)
			}
		}
		if sum != total || len(told) != keys {
			t.Errorf("%d keys: %d refusals are told of %d, in %d entries", keys, sum, total, len(told))
		}
		for k, n := range truth {
			if n > total/int64(keys) && !told[k] {
				t.Errorf("%d keys: one that was refused %d times of %d is missing", keys, n, total)
			}
		}
	}
}

func TestShadowHoldsNoKey(t *testing.T) {
	l := newLimiter(t, policyOf(t, ratelimit.PerHour(100), ratelimit.PerHour(1).Named("new").Shadowed()), ratelimit.Config{})
	for range 3 {
		allow(t, l, "canary", 1)
	}
	report, r := l.ShadowReport(), allow(t, l, "canary", 1)
	if len(report.Keys) != 1 {
		t.Fatalf("%+v", report)
	}
	for _, v := range []any{report, &report, report.Keys[0], r, l, *l} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q"} {
			if text := fmt.Sprintf(verb, v); strings.Contains(text, "canary") || strings.Contains(text, fmt.Sprintf("%x", "canary")) {
				t.Errorf("%s of %T: %s", verb, v, text)
			}
		}
	}
}

func TestShadowWaitNeverWaits(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for name, p := range map[string]*ratelimit.Policy{
		"all":    policyOf(t, ratelimit.PerDay(1).Shadowed(), ratelimit.PerDay(2).Named("b").Shadowed()),
		"beside": policyOf(t, ratelimit.PerSecond(1_000_000), ratelimit.PerDay(1).Named("b").Shadowed()),
	} {
		l := newLimiter(t, p, ratelimit.Config{})
		for range 20 {
			if err := l.Wait(ctx, "k"); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if report := l.ShadowReport(); report.Decisions != 20 || report.WouldDeny != 19 {
			t.Errorf("%s: %+v", name, report)
		}
	}
}

func TestPolicySharedByLimiters(t *testing.T) {
	p := policyOf(t, ratelimit.PerHour(1).Shadowed())
	s := memstore.New(memstore.Config{})
	one, two := newLimiterOn(t, s, p, ratelimit.Config{}), newLimiterOn(t, s, p, ratelimit.Config{})
	allow(t, one, "k", 1)
	allow(t, two, "k", 1)
	if one.ShadowReport().WouldDeny != 0 || two.ShadowReport().WouldDeny != 1 {
		t.Errorf("%+v, %+v", one.ShadowReport(), two.ShadowReport())
	}
}

func TestEnforcedFromTheEpoch(t *testing.T) {
	l := newLimiter(t, ratelimit.PerHour(1).EnforcedFrom(time.Unix(0, 500)), ratelimit.Config{})
	if first, second := allow(t, l, "k", 1), allow(t, l, "k", 1); first.Shadow || !first.Allowed || second.Allowed {
		t.Errorf("%+v, %+v", first, second)
	}
	for _, before := range []time.Time{{}, time.Unix(-1, 0), time.Unix(ratelimit.MaxEnforceFrom+1, 0)} {
		if err := ratelimit.PerHour(1).EnforcedFrom(before).Validate(); err == nil {
			t.Errorf("%v is no date that can be written down", before)
		}
	}
}
