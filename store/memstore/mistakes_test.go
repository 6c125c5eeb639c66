package memstore

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
)

// A door is a limiter on a store in memory, as a program uses it.
type door struct {
	*ratelimit.Limiter
	t *testing.T
}

func open(t *testing.T, s *Store, limits ...ratelimit.Limit) *door {
	t.Helper()
	l, err := ratelimit.New(s, testkit.Policy(t, limits...), ratelimit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return &door{l, t}
}

func (d *door) ask(key string, n int) ratelimit.Result {
	d.t.Helper()
	r, err := d.AllowN(d.t.Context(), key, n)
	if err != nil {
		d.t.Fatal(err)
	}
	return r
}

// during calls all the time, every so often, and returns how many were admitted.
func (d *door) during(key string, whole, every time.Duration) (admitted int) {
	d.t.Helper()
	for at := time.Duration(0); at <= whole; at += every {
		if at > 0 {
			time.Sleep(every)
		}
		for d.ask(key, 1).Allowed {
			admitted++
		}
	}
	return admitted
}

func want(t *testing.T, got, want int) {
	t.Helper()
	if got != want {
		t.Errorf("%d were admitted; want %d", got, want)
	}
}

// TestMistakesOfOthers: the store does not repeat what other libraries got wrong.
func TestMistakesOfOthers(t *testing.T) {
	for _, row := range []struct {
		name string
		test func(t *testing.T)
	}{
		{"1 per 1.9 s for 19 s", func(t *testing.T) {
			d := open(t, New(Config{}), ratelimit.Limit{Rate: 1, Period: 1900 * time.Millisecond})
			want(t, d.during("k", 19*time.Second, 10*time.Millisecond), 11)
		}},
		{"64 goroutines on one shared key, limit far away", func(t *testing.T) {
			d := open(t, New(Config{}), ratelimit.PerHour(1_000_000))
			var admitted atomic.Int64
			together(64, func(int) {
				for range 100 {
					if r, err := d.Allow(t.Context(), "k"); err == nil && r.Allowed {
						admitted.Add(1)
					}
				}
			})
			want(t, int(admitted.Load()), 6400)
		}},
		{"two limiters on one store, 10/s for 5 s", func(t *testing.T) {
			s := New(Config{})
			a, b := open(t, s, ratelimit.PerSecond(10)), open(t, s, ratelimit.PerSecond(10))
			admitted := 0
			for at := range 5001 {
				if at > 0 {
					time.Sleep(time.Millisecond)
				}
				for _, d := range []*door{a, b} {
					for d.ask("k", 1).Allowed {
						admitted++
					}
				}
			}
			want(t, admitted, 60)
		}},
		{"burst 1000 at 10/s, emptied, 2.3 s idle", func(t *testing.T) {
			d := open(t, New(Config{}), ratelimit.PerSecond(10).WithBurst(1000))
			want(t, d.during("k", 0, time.Second), 1000)
			time.Sleep(2300 * time.Millisecond)
			want(t, d.during("k", 0, time.Second), 23)
		}},
		{"5 per 500 ms", func(t *testing.T) {
			d := open(t, New(Config{}), ratelimit.Limit{Rate: 5, Period: 500 * time.Millisecond})
			admitted := 0
			for range 100 {
				if d.ask("k", 1).Allowed {
					admitted++
				}
			}
			want(t, admitted, 5)
		}},
		{"cost > burst", func(t *testing.T) {
			d := open(t, New(Config{}), ratelimit.PerSecond(5))
			for _, n := range []int{6, 1000, math.MaxInt} {
				if r := d.ask("k", n); r.Allowed || r.RetryAfter() != gcra.Never || r.Remaining() != 5 {
					t.Errorf("a cost of %d was answered allowed=%v, retry after %v, %d remaining; want a denial, Never, 5", n, r.Allowed, r.RetryAfter(), r.Remaining())
				}
			}
		}},
		{"Remaining over 45,150 calls", func(t *testing.T) {
			calls := 0
			for n := 1; n <= 300; n++ {
				d := open(t, New(Config{}), ratelimit.PerSecond(n))
				for left := n - 1; left >= 0; left-- {
					calls++
					if r := d.ask("k", 1); !r.Allowed || r.Remaining() != left {
						t.Fatalf("at %d/s call %d was answered allowed=%v with %d remaining; want %d", n, n-left, r.Allowed, r.Remaining(), left)
					}
				}
			}
			want(t, calls, 45_150)
		}},
		{"rate 0, negative rate, period 0, huge rate and burst", func(t *testing.T) {
			for _, l := range []ratelimit.Limit{
				{}, {Rate: 0, Period: time.Second}, {Rate: -1, Period: time.Second}, {Rate: 1}, {Rate: 1, Period: -time.Second},
				{Rate: 1, Period: time.Nanosecond}, {Rate: min(gcra.MaxRate+1, math.MaxInt), Period: time.Second}, {Rate: math.MaxInt, Period: time.Second},
				{Rate: 1, Period: time.Second, Burst: -1}, {Rate: 1, Period: time.Second, Burst: math.MaxInt}, {Rate: math.MinInt, Period: math.MinInt64},
			} {
				if strconv.IntSize == 32 && l.Rate == math.MaxInt {
					continue // an int holds no rate that is too high
				}
				if _, err := ratelimit.New(New(Config{}), l, ratelimit.Config{}); err == nil {
					t.Errorf("%+v was accepted", l)
				}
			}
		}},
		{"negative cost, zero cost", func(t *testing.T) {
			d := open(t, New(Config{}), ratelimit.PerHour(5))
			want(t, d.during("k", 0, time.Second), 5)
			for _, n := range []int{-1, -5, math.MinInt} {
				if r, err := d.AllowN(t.Context(), "k", n); err == nil || r.Allowed {
					t.Errorf("a cost of %d was answered allowed=%v, %v; want an error", n, r.Allowed, err)
				}
			}
			if r := d.ask("k", 0); !r.Allowed || r.Remaining() != 0 {
				t.Errorf("a cost of 0 was answered allowed=%v with %d remaining; want it allowed, and none", r.Allowed, r.Remaining())
			}
			want(t, d.during("k", 0, time.Second), 0)
		}},
		{"limit/window edge", func(t *testing.T) {
			d := open(t, New(Config{}), ratelimit.PerSecond(100))
			for range 20 { // spend all just before the end of a second, and again just after it
				time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(10*time.Second - 100*time.Millisecond)))
				want(t, d.during("k", 0, time.Second), 100)
				time.Sleep(200 * time.Millisecond)
				want(t, d.during("k", 0, time.Second), 20)
			}
		}},
		{"Retry-After", func(t *testing.T) {
			d := open(t, New(Config{}), ratelimit.PerSecond(3))
			d.ask("k", 3)
			r := d.ask("k", 1)
			if r.RetryAfter() != 333_334*time.Microsecond {
				t.Errorf("retry after %v; want 333.334ms, a third of a second rounded up", r.RetryAfter())
			}
			time.Sleep(r.RetryAfter() - time.Microsecond)
			want(t, d.during("k", 0, time.Second), 0)
			time.Sleep(time.Microsecond)
			want(t, d.during("k", 0, time.Second), 1)
		}},
		{"1/s, one caller, 100 calls", func(t *testing.T) {
			d := open(t, New(Config{}), ratelimit.PerSecond(1))
			admitted := 0
			for range 100 {
				if d.ask("k", 1).Allowed {
					admitted++
				}
			}
			want(t, admitted, 1)
		}},
		{"1/s, burst 100, 5 s", func(t *testing.T) {
			d := open(t, New(Config{}), ratelimit.PerSecond(1).WithBurst(100))
			want(t, d.during("k", 5*time.Second, time.Millisecond), 105)
		}},
		{"100,000/s, burst 2, clock frozen", func(t *testing.T) {
			d := open(t, New(Config{}), ratelimit.PerSecond(100_000).WithBurst(2))
			admitted := 0
			for range 500 {
				if d.ask("k", 1).Allowed {
					admitted++
				}
			}
			want(t, admitted, 2)
		}},
		{"rate 100, burst 10", func(t *testing.T) {
			d := open(t, New(Config{}), ratelimit.PerSecond(100).WithBurst(10))
			want(t, d.during("k", 0, time.Second), 10)
			time.Sleep(5 * time.Millisecond)
			want(t, d.during("k", 2*time.Second, 10*time.Millisecond), 200)
		}},
		{"100 exhausted keys, 10,000 decoy keys, cap 100", floodOfDecoys},
		{"1e6 random keys", func(t *testing.T) {
			// That many, and the bytes that each takes: TestBytesPerKey.
			s, each := fill(t, 50_000, 200_000)
			if n := s.count(t); n > 50_000 || each > bytesPerKey {
				t.Errorf("200,000 keys made %d buckets and took %.1f bytes each; want 50,000 and %d at most", n, each, bytesPerKey)
			}
		}},
		{"limit raised or lowered on a live key", func(t *testing.T) {
			s := New(Config{})
			hour, fast := open(t, s, ratelimit.PerHour(100)), open(t, s, ratelimit.PerSecond(5))
			want(t, hour.during("k", 0, time.Second), 100)
			if r := fast.ask("k", 1); r.Allowed || r.RetryAfter() != 200*time.Millisecond {
				t.Errorf("after the limit was raised: allowed=%v, retry after %v; want a denial and 200ms", r.Allowed, r.RetryAfter())
			}
			time.Sleep(200 * time.Millisecond)
			want(t, fast.during("k", 0, time.Second), 1)
			// The hourly limit still owes what it had admitted, less the 0.2 s.
			if r := hour.ask("k", 1); r.Allowed || r.RetryAfter() != 36*time.Second-200*time.Millisecond {
				t.Errorf("after the limit was lowered: allowed=%v, retry after %v; want a denial and 35.8s", r.Allowed, r.RetryAfter())
			}
		}},
		{"node's wall clock stepped", func(t *testing.T) {
			// The store's clock is monotonic, as TestStart shows. If it does go back,
			// as the readings of two goroutines may, no caller gains or waits.
			m := newManual(100)
			hourly := testkit.Limits(t, ratelimit.PerHour(2))
			m.take("k", hourly, 2)
			for _, back := range []int64{1, 1_000_000, 3_600_000_000, 1 << 40} {
				m.now -= back
				if d := m.take("k", hourly, 1); d.Allowed || d.Debts[0].Micros != 3_600_000_000 {
					t.Errorf("with the clock set back by %d µs, answered %+v; want a denial and a debt of 1 h", back, d)
				}
				m.now += back
			}
			m.now += 1_800_000_000
			if d := m.take("k", hourly, 1); !d.Allowed {
				t.Errorf("half an hour later, answered %+v; want it admitted", d)
			}
		}},
		{"3/s for 1e9 simulated seconds", func(t *testing.T) {
			m := newManual(100)
			p := testkit.Limits(t, ratelimit.PerSecond(3).WithBurst(30_000))
			admitted, start, costs := int64(0), m.now, 0
			for cost := 30_000; m.now-start < 1e15; cost = 9001 + costs*37%1000 {
				d := m.take("k", p, cost)
				if !d.Allowed {
					m.now += p[0].RetryAfter(d.Debts[0], cost).Microseconds()
					if d = m.take("k", p, cost); !d.Allowed {
						t.Fatalf("after its wait a call was answered %+v", d)
					}
				}
				admitted += int64(cost)
				costs++
			}
			d := m.take("k", p, 0)
			admitted += int64(p[0].Remaining(d.Debts[0]))
			exact := new(big.Int).Mul(big.NewInt(3), big.NewInt(m.now-start))
			exact.Div(exact, big.NewInt(1_000_000)).Add(exact, big.NewInt(30_000))
			if exact.Cmp(big.NewInt(admitted)) != 0 {
				t.Errorf("%d tokens in %d µs; want %v", admitted, m.now-start, exact)
			}
		}},
		{"rate < 1/s; burst < rate; sub-second and fractional-second periods; 1e6/s; 700,001/s", func(t *testing.T) {
			for _, l := range []ratelimit.Limit{
				{Rate: 1, Period: 7 * time.Second}, {Rate: 2, Period: 7 * time.Second}, {Rate: 1000, Period: time.Second, Burst: 3},
				{Rate: 5, Period: 30 * time.Millisecond}, {Rate: 3, Period: 1700 * time.Microsecond}, {Rate: 7, Period: 1900 * time.Millisecond},
				{Rate: 1_000_000, Period: time.Second, Burst: 10}, {Rate: 700_001, Period: time.Second, Burst: 10},
			} {
				m := newManual(100)
				p := testkit.Limits(t, l)
				start, admitted := m.now, int64(0)
				for range 5000 {
					d := m.take("k", p, 0)
					n := p[0].Remaining(d.Debts[0])
					if d = m.take("k", p, n); !d.Allowed {
						t.Fatalf("%v: %d tokens that were there were denied", l, n)
					}
					admitted += int64(n)
					m.now += max(1, d.Debts[0].Micros/2)
				}
				m.now-- // to the last call's instant
				d := m.take("k", p, 0)
				exact := new(big.Int).Mul(big.NewInt(int64(l.Rate)), big.NewInt(d.Now-start))
				exact.Div(exact, big.NewInt(l.Period.Microseconds())).Add(exact, big.NewInt(int64(p[0].Burst())))
				admitted += int64(p[0].Remaining(d.Debts[0]))
				if exact.Cmp(big.NewInt(admitted)) != 0 {
					t.Errorf("%v: %d tokens in %d µs; want %v", l, admitted, d.Now-start, exact)
				}
			}
		}},
		{"key: empty, 1 MiB, NUL, CRLF, {}, *, non-UTF-8", func(t *testing.T) {
			d := open(t, New(Config{}), ratelimit.PerHour(2))
			long := strings.Repeat("k", 1<<20)
			for _, key := range []string{"", long, long + "k", long[1:], "\x00", "\x00\x00", "a\x00b", "a", "\r\n", "a\r\nb", "{}", "{a}", "*", "\xff", "\xff\xfe", "\ufffd"} {
				want(t, d.during(key, 0, time.Second), 2)
			}
		}},
	} {
		t.Run(row.name, func(t *testing.T) { synctest.Test(t, row.test) })
	}
}

// TestStart: time is measured from an instant with a monotonic reading, so that
// time.Since ignores the wall clock, as package time documents.
func TestStart(t *testing.T) {
	s := New(Config{})
	if !strings.Contains(s.start.String(), " m=") {
		t.Errorf("the start, %v, has no monotonic reading", s.start)
	}
	first := s.now()
	time.Sleep(2 * time.Millisecond)
	if now := s.now(); now-first < 2000 {
		t.Errorf("the clock went on by %d µs in 2 ms", now-first)
	}
}

// TestAttacks holds the store to the attacks that concern it.
func TestAttacks(t *testing.T) {
	for _, row := range []struct {
		name string
		test func(t *testing.T)
	}{
		{"ambiguous join", func(t *testing.T) {
			s := New(Config{})
			for _, pair := range [][2]string{{"a|b", "c"}, {"a", "b|c"}, {"a|", "b|c"}, {"a", "|b|c"}, {"", "a|b|c"}, {"a|b|c", "x"}, {"c", "a|b"}} {
				d := open(t, s, ratelimit.PerHour(1).Named(pair[1]))
				want(t, d.during(pair[0], 0, time.Second), 1)
			}
		}},
		{"unseeded 64-bit hash", func(t *testing.T) {
			// That it is keyed and has 128 bits: TestIDs. That one half alone does
			// not make two keys one:
			var sh shard
			for i := range uint64(4) {
				put(&sh, id{key: 1 << 63, limit: i}, int64(i))
				put(&sh, id{key: 1<<63 + 1 + i, limit: 0}, int64(100+i))
			}
			for i := range uint64(4) {
				if a, b := sh.find(id{1 << 63, i}), sh.find(id{1<<63 + 1 + i, 0}); a.micros != int64(i) || b.micros != int64(100+i) {
					t.Errorf("ids that have one half in common share a bucket: %+v, %+v", a, b)
				}
			}
		}},
		{"1 MiB key", func(t *testing.T) {
			d := open(t, New(Config{}), ratelimit.PerHour(1))
			key := []byte(strings.Repeat("k", 1<<20))
			for _, at := range []int{0, 1, 1 << 10, 1 << 19, 1<<20 - 1} { // every byte counts
				key[at] = 'l'
				want(t, d.during(string(key), 0, time.Second), 1)
				key[at] = 'k'
			}
		}},
		{"negative or huge cost, rate, burst", func(t *testing.T) {
			p := testkit.Limits(t, ratelimit.Limit{Rate: min(gcra.MaxRate, math.MaxInt), Period: time.Microsecond, Burst: min(gcra.MaxBurst, math.MaxInt)})
			m := newManual(10)
			for _, cost := range []int{math.MinInt, math.MinInt + 1, -1} {
				if d := m.take("k", p, cost); d.Allowed || d.Debts[0] != (gcra.Debt{}) {
					t.Errorf("a cost of %d was answered %+v", cost, d)
				}
			}
			for range 3 {
				if p[0].Burst() < math.MaxInt { // an int may have 32 bits
					if d := m.take("k", p, math.MaxInt); d.Allowed {
						t.Errorf("the largest int as a cost was answered %+v", d)
					}
				}
				first := m.take("k", p, p[0].Burst())
				if second := m.take("k", p, p[0].Burst()); !first.Allowed || second.Allowed || first.Debts != second.Debts {
					t.Errorf("twice the largest cost was answered %+v, then %+v; want one admitted", first, second)
				}
				m.now += p[0].Capacity().Micros + 1
			}
		}},
		{"clock back or forth", func(t *testing.T) {
			m := newManual(10)
			p := testkit.Limits(t, ratelimit.PerMinute(60).WithBurst(5))
			m.take("k", p, 5)
			start := m.now
			latest, admitted := start, int64(0)
			for i := range int64(1000) {
				m.now += (i*7919%41 - 18) * 100_000 // to and fro
				latest = max(latest, m.now)
				if m.take("k", p, 1).Allowed {
					admitted++
				}
			}
			if bound := (latest - start) / 1_000_000; admitted > bound || admitted < bound/2 {
				t.Errorf("%d calls were admitted after the burst, while the clock went on by %v; want %d at most", admitted, time.Duration(latest-start)*time.Microsecond, bound)
			}
		}},
		{"eviction as a bypass", floodOfDecoys},
		{"deny all new keys as a denial of service", func(t *testing.T) {
			m := newManual(100)
			hourly, second := testkit.Limits(t, ratelimit.PerHour(1)), testkit.Limits(t, ratelimit.PerSecond(5))
			for i := range 10_000 { // an attacker takes all the room, and more
				m.take("attacker "+strconv.Itoa(i), hourly, 1)
			}
			admitted := 0
			for i := range 100 { // honest newcomers, under another limit
				m.now += 200_000
				if m.take("honest "+strconv.Itoa(i), second, 1).Allowed {
					admitted++
				}
			}
			want(t, admitted, 100)
		}},
		{"API keys in memory", TestHoldsNoKey},
	} {
		t.Run(row.name, row.test)
	}
}
