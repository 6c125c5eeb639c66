package ratelimit_test

import (
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store/memstore"
)

// TestMistakesOfOthers holds the cases at which other limiters were seen to fail: each is a
// test with its name.
func TestMistakesOfOthers(t *testing.T) {
	for _, test := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"1 per 1.9 s for 19 s", func(t *testing.T) {
			l := newLimiter(t, ratelimit.Limit{Rate: 1, Period: 1900 * time.Millisecond}, ratelimit.Config{})
			total := 0
			for range 191 { // a call every 100 ms, from 0 to 19 s
				total += admitted(t, l, "k", 1)
				time.Sleep(100 * time.Millisecond)
			}
			want(t, total, 11)
		}},
		{"burst 1000 at 10/s, emptied, 2.3 s idle", func(t *testing.T) {
			l := newLimiter(t, ratelimit.PerSecond(10).WithBurst(1000), ratelimit.Config{})
			want(t, admitted(t, l, "k", 1500), 1000)
			time.Sleep(2300 * time.Millisecond)
			want(t, admitted(t, l, "k", 1500), 23)
		}},
		{"5 per 500 ms", func(t *testing.T) {
			l := newLimiter(t, ratelimit.Limit{Rate: 5, Period: 500 * time.Millisecond}, ratelimit.Config{})
			want(t, admitted(t, l, "k", 100), 5)
			time.Sleep(500 * time.Millisecond)
			want(t, admitted(t, l, "k", 100), 5)
		}},
		{"cost above the burst", func(t *testing.T) {
			l := newLimiter(t, ratelimit.PerMinute(100), ratelimit.Config{})
			for _, n := range []int{101, 200, math.MaxInt} {
				if r := allow(t, l, "k", n); r.Allowed || r.RetryAfter() != gcra.Never || r.Remaining() != 100 {
					t.Errorf("cost %d: %+v", n, r)
				}
			}
			if r := allow(t, l, "k", 100); !r.Allowed {
				t.Errorf("cost 100: %+v", r)
			}
		}},
		{"Remaining over 45,150 calls", func(t *testing.T) {
			calls := 0
			for burst := 1; burst <= 300; burst++ {
				l := newLimiter(t, ratelimit.PerMinute(burst), ratelimit.Config{})
				for left := burst - 1; left >= 0; left-- {
					if r := allow(t, l, "k", 1); r.Remaining() != left {
						t.Fatalf("burst %d: %d tokens are said to remain, want %d", burst, r.Remaining(), left)
					}
					calls++
				}
			}
			want(t, calls, 45_150)
		}},
		{"rate 0, negative rate, period 0, huge rate and burst", func(t *testing.T) {
			for _, limit := range []ratelimit.Limit{
				ratelimit.PerSecond(0), ratelimit.PerSecond(-5), {Rate: 5}, {Rate: 5, Period: -time.Second},
				ratelimit.PerDay(5).WithBurst(math.MaxInt), {Rate: math.MaxInt, Period: math.MaxInt64, Burst: math.MaxInt},
			} {
				if l, err := ratelimit.New(memstore.New(memstore.Config{}), limit, ratelimit.Config{}); l != nil || len(ratelimit.Faults(err)) == 0 {
					t.Errorf("%#v: %v, %v", limit, l, err)
				}
			}
		}},
		{"negative cost, zero cost", func(t *testing.T) {
			l := newLimiter(t, ratelimit.PerDay(5), ratelimit.Config{})
			want(t, admitted(t, l, "k", 3), 3)
			for _, n := range []int{0, -1, -1000, 0} {
				if r, err := l.AllowN(t.Context(), "k", n); (err == nil) != (n == 0) || n == 0 && (!r.Allowed || r.Remaining() != 2) {
					t.Errorf("cost %d: %+v, %v", n, r, err)
				}
			}
			want(t, admitted(t, l, "k", 10), 2)
		}},
		{"the edge of a window", func(t *testing.T) {
			// At most burst + rate*T in every window T, however it lies: all
			// calls that were admitted, against all that went before.
			l := newLimiter(t, ratelimit.PerSecond(10), ratelimit.Config{})
			var came []time.Duration
			start := time.Now()
			for range 400 {
				if allow(t, l, "k", 1).Allowed {
					came = append(came, time.Since(start))
				}
				time.Sleep(13 * time.Millisecond)
				if len(came)%50 == 49 {
					time.Sleep(990 * time.Millisecond) // and gather for the edge
				}
			}
			for i := range came {
				for j := range i {
					if n, most := i-j+1, 10+int((came[i]-came[j])*10/time.Second); n > most {
						t.Fatalf("%d calls within %v, at most %d are right", n, came[i]-came[j], most)
					}
				}
			}
			if len(came) < 60 {
				t.Errorf("only %d calls were admitted", len(came))
			}
		}},
		{"the wait is rounded up", func(t *testing.T) {
			for _, limit := range []ratelimit.Limit{ratelimit.PerSecond(3), ratelimit.PerSecond(7), ratelimit.PerSecond(700_001), {Rate: 7, Period: 11 * time.Microsecond}} {
				l := newLimiter(t, limit.WithBurst(1), ratelimit.Config{})
				allow(t, l, "k", 1)
				r := allow(t, l, "k", 1)
				if r.Allowed || r.RetryAfter()*time.Duration(limit.Rate) < limit.Period || (r.RetryAfter()-time.Microsecond)*time.Duration(limit.Rate) >= limit.Period {
					t.Errorf("%v: %+v", limit, r)
				}
				time.Sleep(r.RetryAfter() - time.Microsecond)
				want(t, admitted(t, l, "k", 1), 0)
				time.Sleep(time.Microsecond)
				want(t, admitted(t, l, "k", 1), 1)
			}
		}},
		{"100,000/s, burst 2, clock frozen", func(t *testing.T) {
			want(t, admitted(t, newLimiter(t, ratelimit.PerSecond(100_000).WithBurst(2), ratelimit.Config{}), "k", 500), 2)
		}},
		{"rate 100, burst 10", func(t *testing.T) {
			l := newLimiter(t, ratelimit.PerSecond(100).WithBurst(10), ratelimit.Config{})
			want(t, admitted(t, l, "k", 100), 10)
			total := 0
			for range 1000 {
				time.Sleep(time.Millisecond)
				total += admitted(t, l, "k", 2)
			}
			want(t, total, 100)
		}},
		{"rates below 1/s, bursts below the rate, odd periods, 1e6/s, 700,001/s", func(t *testing.T) {
			for _, limit := range []ratelimit.Limit{
				{Rate: 1, Period: 10 * time.Second}, {Rate: 3, Period: time.Hour, Burst: 1}, ratelimit.PerSecond(50).WithBurst(3),
				{Rate: 7, Period: 1234567 * time.Microsecond, Burst: 5}, {Rate: 9, Period: 700 * time.Microsecond, Burst: 2},
				ratelimit.PerSecond(1_000_000).WithBurst(4), ratelimit.PerSecond(700_001).WithBurst(4),
			} {
				l := newLimiter(t, limit, ratelimit.Config{})
				burst := policyOf(t, limit).Compiled()[0].Burst()
				want(t, admitted(t, l, "k", burst+1), burst)
				// Every token comes at its microsecond, not before.
				for i := 1; i <= 20; i++ {
					r := peek(t, l, "k")
					time.Sleep(r.RetryAfter() - time.Microsecond)
					want(t, admitted(t, l, "k", 1), 0)
					time.Sleep(time.Microsecond)
					want(t, admitted(t, l, "k", 1), 1)
				}
			}
		}},
		{"3/s for 1e9 simulated seconds", func(t *testing.T) {
			const burst = 1_000_000
			l := newLimiter(t, ratelimit.PerSecond(3).WithBurst(burst), ratelimit.Config{})
			start := time.Now()
			total := 0
			for i := 0; time.Since(start) < 1e9*time.Second; i++ {
				n := remaining(t, l)
				if r := allow(t, l, "k", n); !r.Allowed {
					t.Fatalf("cannot take the %d tokens that remain", n)
				}
				total += n
				if right := burst + int(time.Since(start)*3/time.Second); total != right {
					t.Fatalf("after %v: %d tokens, want %d", time.Since(start), total, right)
				}
				time.Sleep(332_000*time.Second + time.Duration(i)*7919*time.Microsecond)
			}
		}},
		{"keys: empty, 1 MiB, NUL, CRLF, {}, *, not UTF-8", func(t *testing.T) {
			l := newLimiter(t, ratelimit.PerDay(2), ratelimit.Config{})
			long := strings.Repeat("k", 1<<20)
			keys := []string{"", " ", "\x00", "\x00\x00", "\r\n", "{}", "{k}", "*", "?", "\xff", "\xfe", "\xef\xbf\xbd", "k", "K", "k ", "k\x00", long, long + "k", long[1:], "\u00e9", "e\u0301"}
			for _, key := range keys {
				want(t, admitted(t, l, key, 1), 1)
			}
			for _, key := range keys {
				want(t, admitted(t, l, key, 3), 1)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) { synctest.Test(t, test.run) })
	}
}

// want fails the test of a row.
func want[T comparable](t *testing.T, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("got %v, want %v", got, want)
	}
}
