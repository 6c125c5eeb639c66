package ratelimit_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
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
