package ratelimit_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/metrics"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

// neverFits is a cost that [ratelimit.PerDay](1) denies to every key.
const neverFits = 2

// deny makes a limiter of [ratelimit.PerDay](1) deny a call. It is for millions of them.
func deny(t testing.TB, l *ratelimit.Limiter, key string) {
	if r, err := l.AllowN(t.Context(), key, neverFits); err != nil || r.Allowed {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestDenialReport: each enforced denial is counted, whichever method made it, and nothing else.
func TestDenialReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		since := time.Now()
		p := policyOf(t, ratelimit.PerHour(2), ratelimit.PerDay(1).Named("new").Shadowed())
		l := newLimiter(t, p, ratelimit.Config{Metrics: true})
		defer l.Close()
		part := with(t, l, ratelimit.PerDay(1).Named("part"))
		instead, err := l.Instead(ratelimit.PerDay(1).Named("instead"))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		for range 2 { // the second one would be denied by the shadow limit
			allow(t, l, "a", 1)
		}
		peek(t, l, "a")
		if got := l.DenialReport(); got.Since != since || got.Denied != 0 || got.Keys != nil {
			t.Errorf("%+v", got)
		}
		allow(t, l, "a", 1) // denied, as all that follow
		_, _ = l.AllowUpTo(t.Context(), "a", 3)
		if _, err := l.Hold(t.Context(), "a", 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if _, h, err := l.Enter(t.Context(), "a", 1); h != nil || err != nil {
			t.Fatal(err)
		}
		allow(t, part, "b", neverFits)
		time.Sleep(time.Second)
		allow(t, instead, "b", neverFits)
		allow(t, instead, "b", neverFits)
		want := []ratelimit.DeniedKey{
			{Key: ratelimit.HashKey("a"), Limit: "default", Denied: 4, Last: since.Add(2 * time.Second)},
			{Key: ratelimit.HashKey("b"), Limit: "instead", Denied: 2, Last: since.Add(3 * time.Second)},
			{Key: ratelimit.HashKey("b"), Limit: "part", Denied: 1, Last: since.Add(2 * time.Second)},
		}
		for _, l := range []*ratelimit.Limiter{l, part, instead} {
			got := l.DenialReport()
			if fmt.Sprint(got.Keys) != fmt.Sprint(want) || got.Denied != 7 || got.Since != since {
				t.Errorf("%+v\nwant %+v", got, want)
			}
		}
		if n := shown(metrics.Checks, l)["denied"]; n != 7 {
			t.Errorf("%v denials are shown", n)
		}
		for _, v := range []any{l, *l, l.DenialReport()} {
			for _, verb := range []string{"%v", "%+v", "%#v"} {
				if text := fmt.Sprintf(verb, v); strings.Contains(text, `"b"`) {
					t.Errorf("%s of %T: %s", verb, v, text)
				}
			}
		}
	})
}

// TestDenialReportIsOff without Config.Metrics, and has nothing of a limiter in shadow mode.
func TestDenialReportIsOff(t *testing.T) {
	l := newLimiter(t, ratelimit.PerDay(1), ratelimit.Config{})
	allow(t, l, "k", neverFits)
	for _, l := range []*ratelimit.Limiter{l, {}} {
		if got := l.DenialReport(); !got.Since.IsZero() || got.Denied != 0 || got.Keys != nil {
			t.Errorf("%+v", got)
		}
	}
	l = newLimiter(t, ratelimit.PerDay(1), ratelimit.Config{Metrics: true, Shadow: true})
	allow(t, l, "k", neverFits)
	if got := l.DenialReport(); got.Since.IsZero() || got.Denied != 0 || got.Keys != nil {
		t.Errorf("%+v", got)
	}
}

// TestDenialsAreExact if there are fewer than 1,000 in each second, and again in the second
// after a flood.
func TestDenialsAreExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.PerDay(1), ratelimit.Config{Metrics: true})
		denials := func(key string) (n int64) {
			for _, k := range l.DenialReport().Keys {
				if k.Key == ratelimit.HashKey(key) {
					return k.Denied
				}
			}
			return 0
		}
		for second := range 10 {
			for i := range 999 {
				deny(t, l, "k"+strconv.Itoa(i%37))
			}
			for i := range 37 {
				if n := denials("k" + strconv.Itoa(i)); n != int64((second+1)*27) {
					t.Fatalf("in second %d: %d denials of key %d, want %d", second, n, i, (second+1)*27)
				}
			}
			time.Sleep(time.Second)
		}
		for second := range 3 {
			for range 100_000 {
				deny(t, l, "flood")
			}
			// The standard deviation of what is drawn of so many is 1,900.
			if n, want := denials("flood"), int64(second+1)*100_000; n < want-20_000 || n > want+20_000 || n == want {
				t.Errorf("after %d seconds of a flood: %d denials of %d", second+1, n, want)
			}
			time.Sleep(time.Second + time.Millisecond)
			key := "rare" + strconv.Itoa(second)
			for range 5 {
				deny(t, l, key)
			}
			if n := denials(key); n != 5 {
				t.Errorf("after a flood: %d denials of 5", n)
			}
		}
		if got := l.DenialReport().Denied; got != 10*999+3*100_000+15 {
			t.Errorf("%d denials in all", got)
		}
	})
}

// TestDenialsOfZipf: the report of a flood of a million keys is right within 1 % of it, for each
// key.
func TestDenialsOfZipf(t *testing.T) {
	const keys, total = 1_000_000, 1_500_000
	l := newLimiter(t, ratelimit.PerDay(1), ratelimit.Config{Metrics: true})
	zipf := rand.NewZipf(rand.New(rand.NewPCG(1, 27)), 1.1, 1, keys-1)
	truth := make([]int64, keys)
	for range total {
		key := zipf.Uint64()
		truth[key]++
		deny(t, l, strconv.FormatUint(key, 10))
	}
	report := l.DenialReport()
	reported := make(map[string]int64)
	for _, k := range report.Keys {
		reported[k.Key] = k.Denied
	}
	worst, heavy := int64(0), 0
	for key, n := range truth {
		if n < total/500 {
			continue // which may be missing
		}
		heavy++
		hash := ratelimit.HashKey(strconv.Itoa(key))
		worst = max(worst, n-reported[hash], reported[hash]-n)
		delete(reported, hash)
	}
	for _, n := range reported { // of keys that were denied less than total/500 times
		worst = max(worst, n)
	}
	t.Logf("%d of the keys are heavy, there are %d entries: the worst error is %.2f %% of all denials", heavy, len(report.Keys), float64(worst)*100/total)
	if report.Denied != total || worst > total/100 || heavy < 20 {
		t.Errorf("%d denials; an entry is wrong by %d", report.Denied, worst)
	}
}

// TestDenialsAreBounded: the list takes 64 KiB, however many keys are denied.
func TestDenialsAreBounded(t *testing.T) {
	const lists, keys = 6, 30_000
	backend := memstore.New(memstore.Config{})
	limiters := make([]*ratelimit.Limiter, lists)
	for i := range limiters {
		limiters[i] = newLimiterOn(t, backend, ratelimit.PerDay(1), ratelimit.Config{Metrics: true})
		if i == 0 {
			flood(t, limiters[i], keys)
		}
	}
	before := heap()
	for _, l := range limiters[1:] {
		flood(t, l, keys)
	}
	each := (heap() - before) / (lists - 1)
	for _, l := range limiters {
		if n := len(l.DenialReport().Keys); n != 256 {
			t.Errorf("%d entries", n)
		}
	}
	t.Logf("%d bytes", each)
	if each > 64<<10 {
		t.Errorf("a list takes %d bytes", each)
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// flood makes a limiter deny as many keys.
func flood(t testing.TB, l *ratelimit.Limiter, keys int) {
	for i := range keys {
		deny(t, l, strconv.Itoa(i))
	}
}

// TestDenialsAtOnce: several callers lose no denial, and sum up what they draw.
func TestDenialsAtOnce(t *testing.T) {
	const callers, calls = 4, 20_000
	type far struct{ store.Store } // whose decisions are all timed
	for _, backend := range []store.Store{memstore.New(memstore.Config{}), far{memstore.New(memstore.Config{})}} {
		l := newLimiterOn(t, backend, ratelimit.PerDay(1), ratelimit.Config{Metrics: true})
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				for range calls {
					deny(t, l, strconv.Itoa(i))
				}
			})
		}
		for range 10 {
			l.DenialReport()
		}
		wg.Wait()
		report, sum := l.DenialReport(), int64(0)
		for _, k := range report.Keys {
			sum += k.Denied
		}
		// The standard deviation is 1,500.
		if all := int64(callers * calls); report.Denied != all || sum < all-15_000 || sum > all+15_000 || len(report.Keys) != callers {
			t.Errorf("%d denials, %d in %d entries; want %d", report.Denied, sum, len(report.Keys), all)
		}
	}
}

// BenchmarkDenial measures a flood of denials of many keys.
func BenchmarkDenial(b *testing.B) {
	keys := make([]string, 1<<16)
	zipf := rand.NewZipf(rand.New(rand.NewPCG(1, 27)), 1.1, 1, 999_999)
	for i := range keys {
		keys[i] = strconv.FormatUint(zipf.Uint64(), 10)
	}
	for name, c := range map[string]ratelimit.Config{"without": {}, "with": {Metrics: true}} {
		l := newLimiter(b, ratelimit.PerDay(1), c)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				_, _ = l.AllowN(b.Context(), keys[i%len(keys)], neverFits)
			}
		})
		b.Run(name+", parallel", func(b *testing.B) {
			b.ReportAllocs()
			var first atomic.Uint32
			b.RunParallel(func(pb *testing.PB) {
				for i := first.Add(12_345); pb.Next(); i++ {
					_, _ = l.AllowN(b.Context(), keys[i%uint32(len(keys))], neverFits)
				}
			})
		})
	}
}
