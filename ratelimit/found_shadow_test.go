package ratelimit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store/memstore"
)

// TestShadowTokensDoNotOverflow: what a call costs is the caller's to say, and may be as
// large as an int can be.
func TestShadowTokensDoNotOverflow(t *testing.T) {
	l := newLimiter(t, ratelimit.PerHour(1).Shadowed(), ratelimit.Config{})
	for range 3 {
		if r := allow(t, l, "k", math.MaxInt); !r.Allowed || !r.WouldDeny() || r.RetryAfter() != gcra.Never {
			t.Fatalf("%+v", r)
		}
	}
	want := int64(math.MaxInt64)
	if most := int64(math.MaxInt); most < want { // an int may have 32 bits
		want = 3 * most
	}
	if k := l.ShadowReport().Keys[0]; k.Tokens != want || k.WouldDeny != 3 {
		t.Errorf("%+v, want %d tokens", k, want)
	}
}

// TestShadowServesANegativeCost: it is a fault, and where nothing is enforced a fault
// denies no call, whichever way that was said.
func TestShadowServesANegativeCost(t *testing.T) {
	for name, l := range map[string]*ratelimit.Limiter{
		"Config.Shadow": newLimiter(t, ratelimit.PerHour(1), ratelimit.Config{Shadow: true}),
		"Limit.Shadow":  newLimiter(t, ratelimit.PerHour(1).Shadowed(), ratelimit.Config{}),
		"dated":         newLimiter(t, ratelimit.PerHour(1).EnforcedFrom(time.Now().Add(time.Hour)), ratelimit.Config{}),
	} {
		if r, err := l.AllowN(t.Context(), "k", -1); len(ratelimit.Faults(err)) != 1 || !r.Allowed || !r.Shadow() {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	beside := newLimiter(t, policyOf(t, ratelimit.PerHour(1), ratelimit.PerHour(1).Named("new").Shadowed()), ratelimit.Config{})
	if r, err := beside.AllowN(t.Context(), "k", -1); len(ratelimit.Faults(err)) != 1 || r.Allowed || r.Shadow() {
		t.Errorf("one limit is enforced: %+v, %v", r, err)
	}
}

// TestShadowReportInOrder: however callers overtake each other, the first denial is not
// after the last, and none is lost.
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
			if k.Last.Before(k.First) || k.First.Before(report.Since) || k.Tokens != 2*k.WouldDeny || k.Overcount != 0 {
				t.Fatalf("%+v", k)
			}
		}
	}
	last := reports[len(reports)-1]
	if last.WouldDeny != callers*calls || len(last.Keys) != 50 || last.Keys[49].WouldDeny != callers*calls/50 {
		t.Errorf("%d calls, %d keys, the fewest %+v", last.WouldDeny, len(last.Keys), last.Keys[len(last.Keys)-1])
	}
}

// TestShadowReportBound: a call that several limits would have denied is as many
// denials, and a share of all denials is what brings a key into the report for sure.
func TestShadowReportBound(t *testing.T) {
	for _, keys := range []int{1, 2, 3, 7} {
		l := newLimiter(t, policyOf(t, ratelimit.PerSecond(1_000_000),
			ratelimit.PerDay(1).Named("a").Shadowed(), ratelimit.PerDay(1).Named("b").Shadowed(), ratelimit.PerDay(1).Named("c").Shadowed(),
		), ratelimit.Config{ShadowKeys: keys})
		truth, total := map[string]int64{}, int64(0)
		call := func(key string, n int) {
			r := allow(t, l, key, n)
			for _, s := range shadowStates(&r) {
				if s.Violated {
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
		reported, sum := map[string]bool{}, int64(0)
		for _, k := range l.ShadowReport().Keys {
			reported[k.Key+k.Limit] = true
			sum += k.WouldDeny
			if truly := truth[k.Key+k.Limit]; k.WouldDeny < truly || k.WouldDeny-k.Overcount > truly || k.Overcount > total/int64(keys) {
				t.Errorf("%d keys: denied %d times: %+v", keys, truly, k)
			}
		}
		if sum != total || len(reported) != keys {
			t.Errorf("%d keys: %d denials are reported of %d, in %d entries", keys, sum, total, len(reported))
		}
		for k, n := range truth {
			if n > total/int64(keys) && !reported[k] {
				t.Errorf("%d keys: one that was denied %d times of %d is missing", keys, n, total)
			}
		}
	}
}

// TestShadowHoldsNoKey: neither the report nor the limiter prints one.
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

// TestShadowWaitNeverWaits: Wait, too, sees nothing of limits that are watched.
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

// TestPolicySharedByLimiters: two limiters see the date of one policy pass together, and
// each has a report of its own.
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

// TestEnforcedFromTheEpoch: the zero of the clock is a date that has passed, and not the
// lack of one, which would watch for ever.
func TestEnforcedFromTheEpoch(t *testing.T) {
	l := newLimiter(t, ratelimit.PerHour(1).EnforcedFrom(time.Unix(0, 500)), ratelimit.Config{})
	if first, second := allow(t, l, "k", 1), allow(t, l, "k", 1); first.Shadow() || !first.Allowed || second.Allowed {
		t.Errorf("%+v, %+v", first, second)
	}
	for _, before := range []time.Time{{}, time.Unix(-1, 0), time.Unix(lastDate+1, 0)} {
		if _, err := ratelimit.NewPolicy(ratelimit.PerHour(1).EnforcedFrom(before)); err == nil {
			t.Errorf("%v is no date that can be written down", before)
		}
	}
}

// TestParsePolicyFaultsAreBounded: the error about a text is not many times as long as it.
func TestParsePolicyFaultsAreBounded(t *testing.T) {
	for _, part := range []string{"unlimited,", ",", "x,", "1/s;name=" + strings.Repeat("n", 65) + ","} {
		text := strings.Repeat(part, 2000)
		_, err := ratelimit.ParsePolicy(text)
		if err == nil {
			t.Fatalf("%q was read", part)
		}
		if n := len(err.Error()); n > 2*len(text)+4000 {
			t.Errorf("%q, %d bytes in all: an error of %d bytes", part, len(text), n)
		}
	}
}

// FuzzParsePolicy: what is read can be printed and read again, as the same policy; what is
// not read is rejected with a LimitError.
func FuzzParsePolicy(f *testing.F) {
	for _, text := range []string{
		"5/s", "unlimited", " unlimited ", "10/s, 1000/h;name=hourly", "1/s;burst=3;name=a b;shadow,2/7d;enforce-from=2027-01-31",
		"1/s;enforce-from=2027-01-31T09:00:00+02:00", "1/s;enforce-from=9999-12-31T23:59:59Z", "1/s;enforce-from=1970-01-01", "1/s;name=a=b/c",
		"1/s;name=unlimited", "1/s;shadow;enforce-from=2027-02-29", "5/s,,", "unlimited, 5/s", "1/s,1/s", "1/1.5s\n,\t3/us;name=x", "1/s;name=\x00",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ratelimit.ParsePolicy(text)
		if err != nil {
			if p != nil || len(ratelimit.Faults(err)) == 0 {
				t.Fatalf("%v, %v", p, err)
			}
			return
		}
		printed := p.String()
		again, err := ratelimit.ParsePolicy(printed)
		if err != nil || again.String() != printed || !slices.Equal(again.Limits(), p.Limits()) || (again == ratelimit.Unlimited) != (p == ratelimit.Unlimited) {
			t.Fatalf("%q is printed as %q and read back as %v, %v", text, printed, again, err)
		}
		if p != ratelimit.Unlimited {
			if made, err := ratelimit.NewPolicy(p.Limits()...); err != nil || made.String() != printed {
				t.Fatalf("%q: NewPolicy makes %v, %v of its limits", text, made, err)
			}
		}
	})
}

// TestPolicyTextOfEveryName: every byte that a name may hold, and no other, comes through
// the text, and through JSON.
func TestPolicyTextOfEveryName(t *testing.T) {
	type file struct {
		Limit  ratelimit.Limit
		Policy *ratelimit.Policy
		Limits map[string]ratelimit.Limit
	}
	ok := 0
	for c := range 256 {
		l := ratelimit.PerHour(3).Named("a" + string([]byte{byte(c)}) + "z").EnforcedFrom(time.Unix(1_800_000_000, 0))
		p, err := ratelimit.NewPolicy(ratelimit.PerSecond(1), l)
		if err != nil {
			continue
		}
		ok++
		if again, err := ratelimit.ParsePolicy(p.String()); err != nil || !slices.Equal(again.Limits(), p.Limits()) {
			t.Errorf("%q is read back as %v, %v", p, again, err)
		}
		text, err := json.Marshal(file{l, p, map[string]ratelimit.Limit{"x": l}})
		if err != nil {
			t.Error(err)
		}
		var read struct {
			Limit  ratelimit.Limit
			Policy string
			Limits map[string]ratelimit.Limit
		}
		if err := json.Unmarshal(text, &read); err != nil || read.Limit.String() != l.String() || read.Policy != p.String() || read.Limits["x"] != read.Limit {
			t.Errorf("%s is read back as %+v, %v", text, read, err)
		}
	}
	if want := '~' - ' ' + 1 - len(`"\;,`); ok != want {
		t.Errorf("%d bytes can be in a name, want %d", ok, want)
	}
}
