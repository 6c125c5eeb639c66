package chaos_test

import (
	"fmt"
	"math"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/redisstore"
)

// TestEdgeCases are cases that other limiters got wrong, on a real Redis and by its clock.
// Most rows wait for time to pass, so they run in parallel.
func TestEdgeCases(t *testing.T) {
	server := chaos.StartServer(t)
	for _, row := range []struct {
		name string
		test func(t *testing.T, server *chaos.Server)
	}{
		{"1 per 1.9 s for 19 s, shared", onePer1900ms},
		{"two hosts, clocks 100 ms, 1 s and 1 h apart, 10/s for 5 s", hostsApart},
		{"burst 1000 at 10/s, emptied, 2.3 s idle", emptiedAndIdle},
		{"5 per 500 ms", fivePer500ms},
		{"cost > burst", costAboveBurst},
		{"rate 0, negative rate, period 0, huge rate and burst", rejectedLimits},
		{"negative cost, zero cost", negativeCost},
		{"limit/window edge", windowEdge},
		{"Retry-After", retryAfter},
		{"1/s, one caller, 100 calls", onePerSecond},
		{"1/s, burst 100, 5 s", burstAndRate},
		{"rate 100, burst 10", burstBelowRate},
		{"100 exhausted keys, 10,000 decoy keys", decoys},
		{"limit raised or lowered on a live key", limitChanged},
		{"odd rates and periods", oddRates},
		{"key: empty, 1 MiB, NUL, CRLF, {}, *, not UTF-8", anyKey},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			row.test(t, server)
		})
	}
}

func onePer1900ms(t *testing.T, server *chaos.Server) {
	limit := ratelimit.Limit{Rate: 1, Period: 1900 * time.Millisecond}
	hosts := []*redisstore.Store{patientStore(t, server), patientStore(t, server)}
	p, f := policyOf(t, limit), newForeseen(limit)
	// The eleventh call comes at 19.0 s, or later if the callers are late.
	for last := int64(0); f.tokens() < 11 && f.since(last) < time.Minute; time.Sleep(2 * time.Millisecond) {
		for _, host := range hosts {
			d := take(t, host, "1 per 1.9 s", p, 1)
			f.took(t, d)
			last = d.Now
		}
	}
	wantInt(t, f.tokens(), 11)
	f.check(t, "1 per 1.9 s")
}

// hostsApart: for each gap, two processes whose clocks are so far apart. If the machine
// stalls when the last token comes, no call may take it in time: then the row runs again.
func hostsApart(t *testing.T, server *chaos.Server) {
	try := 0
	testkit.WatchStalls(t).Replay(t, 10*time.Millisecond, func(few testing.TB) {
		try++
		playHostsApart(t, few, server, try)
	})
}

// playHostsApart fails few if fewer calls were admitted than there were tokens, and t for all
// other faults.
func playHostsApart(t *testing.T, few testing.TB, server *chaos.Server, try int) {
	limit := ratelimit.PerSecond(10)
	start := redisTime(t, patientClient(t, server)) + chaos.Patience(time.Second).Microseconds()
	gaps := []time.Duration{100 * time.Millisecond, time.Second, time.Hour}
	var nodes []node
	for _, gap := range gaps {
		for _, ahead := range []time.Duration{0, gap} {
			nodes = append(nodes, node{
				Addr: server.Addr, Limit: limit, Keys: []string{fmt.Sprintf("hosts %v, try %d", gap, try)}, Callers: 1, Every: 5 * time.Millisecond,
				Start: start, End: start + 5_200_000, Bubble: true, Ahead: ahead,
			})
		}
	}
	reports := runNodes(t, nodes)
	for i, gap := range gaps {
		a, b := reports[2*i], reports[2*i+1]
		if apart := b.Clock.Sub(a.Clock); apart < gap*9/10 || apart > gap*11/10 {
			t.Errorf("the clocks were %v apart; want %v", apart, gap)
		}
		w := newWindows(limit)
		for _, r := range []nodeReport{a, b} {
			for _, calls := range r.Admitted {
				w.calls = append(w.calls, calls...)
			}
			if len(r.Errors) > 0 {
				t.Errorf("errors: %v", r.Errors)
			}
		}
		w.check(t, gap.String())
		n := 0
		for _, c := range w.calls {
			if c.At-w.calls[0].At <= 5_000_000+50_000 { // the last token comes at 5.0 s, and its caller a little later
				n++
			}
		}
		text := fmt.Sprintf("%v apart, %d were admitted in 5 s; want 60", gap, n)
		if n > 60 {
			t.Error(text)
		} else if n < 60 {
			few.Error(text)
		}
	}
}

func emptiedAndIdle(t *testing.T, server *chaos.Server) {
	limit := ratelimit.PerSecond(10).WithBurst(1000)
	backend, p := patientStore(t, server), policyOf(t, limit)
	start := time.Now()
	first := take(t, backend, "idle", p, 1000)
	time.Sleep(2300 * time.Millisecond)
	var last store.Decision
	n := 0
	for {
		d := take(t, backend, "idle", p, 1)
		if last = d; !d.Allowed {
			break
		}
		n++
	}
	if want := int((last.Now - first.Now) / 100_000); !first.Allowed || n != want || n < 23 || n > int(time.Since(start)/(100*time.Millisecond))+1 {
		t.Errorf("after %d µs %d were admitted; want %d, 23 or a little more", last.Now-first.Now, n, want)
	}
}

func fivePer500ms(t *testing.T, server *chaos.Server) {
	limit := ratelimit.Limit{Rate: 5, Period: 500 * time.Millisecond}
	backend, p, f := patientStore(t, server), policyOf(t, limit), newForeseen(limit)
	start := time.Now()
	for range 100 {
		f.took(t, take(t, backend, "500 ms", p, 1))
	}
	// 5, and the tokens that came back, by the test's own clock.
	if n := f.tokens(); n < 5 || n > 5+int(time.Since(start)/(100*time.Millisecond))+1 {
		t.Errorf("%d of 100 calls were admitted in %v", n, time.Since(start))
	}
}

func costAboveBurst(t *testing.T, server *chaos.Server) {
	l := door(t, server, ratelimit.PerHour(5))
	for _, n := range []int{6, 1000, math.MaxInt} {
		if r := ask(t, l, "above", n); r.Allowed || r.RetryAfter() != gcra.Never || r.Remaining() != 5 {
			t.Errorf("a cost of %d was answered allowed=%v, retry after %v, %d remaining; want a denial, Never, 5", n, r.Allowed, r.RetryAfter(), r.Remaining())
		}
	}
	wantInt(t, askAll(t, l, "above"), 5)
}

func rejectedLimits(t *testing.T, server *chaos.Server) {
	backend := patientStore(t, server)
	for _, l := range []ratelimit.Limit{
		{}, {Rate: 0, Period: time.Second}, {Rate: -1, Period: time.Second}, {Rate: 1}, {Rate: 1, Period: -time.Second},
		{Rate: 1, Period: time.Nanosecond}, {Rate: gcra.MaxRate + 1, Period: time.Second}, {Rate: math.MaxInt, Period: time.Second},
		{Rate: 1, Period: time.Second, Burst: -1}, {Rate: 1, Period: time.Second, Burst: math.MaxInt}, {Rate: gcra.MaxRate, Period: time.Microsecond, Burst: gcra.MaxBurst + 1},
	} {
		if _, err := ratelimit.New(backend, l, ratelimit.Config{}); err == nil {
			t.Errorf("%+v was accepted", l)
		}
	}
	// The largest permitted limit is exact in a script, too.
	largest := ratelimit.Limit{Rate: gcra.MaxRate, Period: time.Microsecond, Burst: gcra.MaxBurst}
	d := take(t, backend, "largest", policyOf(t, largest), gcra.MaxBurst)
	if want := policyOf(t, largest)[0].Capacity(); !d.Allowed || d.Debts[0] != want {
		t.Errorf("the largest cost got %+v; want a debt of %+v", d, want)
	}
}

func negativeCost(t *testing.T, server *chaos.Server) {
	l := door(t, server, ratelimit.PerHour(5))
	wantInt(t, askAll(t, l, "negative"), 5)
	for _, n := range []int{-1, -5, math.MinInt} {
		if r, err := l.AllowN(t.Context(), "negative", n); err == nil || r.Allowed {
			t.Errorf("a cost of %d was answered allowed=%v, %v; want an error", n, r.Allowed, err)
		}
		// The store itself denies it, too.
		if d := take(t, patientStore(t, server), "negative", policyOf(t, ratelimit.PerHour(5)), n); d.Allowed {
			t.Errorf("a cost of %d was answered %+v; want a denial", n, d)
		}
	}
	if r := ask(t, l, "negative", 0); !r.Allowed || r.Remaining() != 0 {
		t.Errorf("a cost of 0 was answered allowed=%v with %d remaining; want it allowed, and none", r.Allowed, r.Remaining())
	}
	wantInt(t, askAll(t, l, "negative"), 0)
}

// windowEdge spends a full bucket around the end of a second of Redis' clock, twice.
func windowEdge(t *testing.T, server *chaos.Server) {
	limit := ratelimit.PerSecond(100)
	backend, p, f := patientStore(t, server), policyOf(t, limit), newForeseen(limit)
	for range 2 {
		now := take(t, backend, "edge", p, 0).Now
		time.Sleep(time.Duration(2_000_000-now%1_000_000-100_000) * time.Microsecond)
		before := f.tokens()
		for start := time.Now(); time.Since(start) < 200*time.Millisecond || f.tokens() < before+115 && time.Since(start) < patience; {
			f.took(t, take(t, backend, "edge", p, 1))
		}
		if n := f.tokens() - before; n < 115 { // after a stall it takes more than 200 ms
			t.Errorf("%d were admitted at the edge of a second; want about 120", n)
		}
	}
	f.check(t, "edge")
}

// retryAfter: a caller that waits for RetryAfter, in microseconds rounded up, is admitted.
func retryAfter(t *testing.T, server *chaos.Server) {
	l := door(t, server, ratelimit.PerSecond(3))
	start, admitted := time.Now(), 3
	ask(t, l, "retry", 3)
	for range 4 {
		r := ask(t, l, "retry", 1)
		// Tokens come back during a stall.
		for ; r.Allowed && admitted < 3+int(time.Since(start)*3/time.Second); r = ask(t, l, "retry", 1) {
			admitted++
		}
		if r.Allowed || r.RetryAfter() <= 0 || r.RetryAfter() > 333_334*time.Microsecond || r.RetryAfter()%time.Microsecond != 0 {
			t.Errorf("an empty bucket was answered allowed=%v, retry after %v", r.Allowed, r.RetryAfter())
		}
		time.Sleep(r.RetryAfter())
		if r := ask(t, l, "retry", 1); !r.Allowed {
			t.Errorf("after the wait: denied, retry after %v", r.RetryAfter())
		}
		admitted++
	}
}

func onePerSecond(t *testing.T, server *chaos.Server) {
	limit := ratelimit.PerSecond(1)
	backend, p, f := patientStore(t, server), policyOf(t, limit), newForeseen(limit)
	for range 100 {
		f.took(t, take(t, backend, "1/s", p, 1)) // 1, unless 100 calls take a second
	}
	f.check(t, "1/s")
}

func burstAndRate(t *testing.T, server *chaos.Server) {
	limit := ratelimit.PerSecond(1).WithBurst(100)
	backend, p, f := patientStore(t, server), policyOf(t, limit), newForeseen(limit)
	for {
		d := take(t, backend, "105", p, 1)
		f.took(t, d)
		if d.Allowed {
			continue
		}
		if f.since(d.Now) >= 5*time.Second {
			wantInt(t, f.tokens(), f.ideal(d.Now)) // 105, unless the machine stalls
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func burstBelowRate(t *testing.T, server *chaos.Server) {
	limit := ratelimit.PerSecond(100).WithBurst(10)
	backend, p, f := patientStore(t, server), policyOf(t, limit), newForeseen(limit)
	for last := int64(0); f.since(last) < 2*time.Second || f.tokens() < 190 && f.since(last) < time.Minute; {
		d := take(t, backend, "100/s", p, 1)
		f.took(t, d)
		if last = d.Now; !d.Allowed {
			time.Sleep(time.Millisecond)
		}
	}
	f.check(t, "100/s")
	if n := f.tokens(); n < 190 { // in 2 s, and after stalls later
		t.Errorf("%d were admitted; want at least 95%% of 200", n)
	}
}

func decoys(t *testing.T, server *chaos.Server) {
	l := door(t, server, ratelimit.PerHour(2))
	exhausted := keysNamed("exhausted", 100)
	for _, key := range exhausted {
		wantInt(t, askAll(t, l, key), 2)
	}
	var callers sync.WaitGroup
	for c := range 32 {
		callers.Go(func() {
			for i := c; i < 10_000; i += 32 {
				ask(t, l, fmt.Sprintf("decoy %d", i), 1)
			}
		})
	}
	callers.Wait()
	for _, key := range exhausted {
		wantInt(t, askAll(t, l, key), 0)
	}
}

func limitChanged(t *testing.T, server *chaos.Server) {
	hour, fast := door(t, server, ratelimit.PerHour(100)), door(t, server, ratelimit.PerSecond(5))
	wantInt(t, askAll(t, hour, "changed"), 100)
	r := ask(t, fast, "changed", 1)
	if r.Allowed || r.RetryAfter() != 200*time.Millisecond {
		t.Errorf("after the limit was raised: allowed=%v, retry after %v; want a denial and 200ms", r.Allowed, r.RetryAfter())
	}
	time.Sleep(r.RetryAfter()) // suffices only if the clamp was stored
	if r := ask(t, fast, "changed", 1); !r.Allowed {
		t.Errorf("200 ms after the limit was raised: denied, retry after %v", r.RetryAfter())
	}
	// What was used of the hourly limit is used until its time is over.
	if r := ask(t, hour, "changed", 1); r.Allowed || r.RetryAfter() > 36*time.Second || r.RetryAfter() < 30*time.Second {
		t.Errorf("after the limit was lowered: allowed=%v, retry after %v; want a denial for 36 s at most", r.Allowed, r.RetryAfter())
	}
	// What was used of another limit counts in tokens.
	start := time.Now()
	askAll(t, fast, "lowered")
	if r := ask(t, hour, "lowered", 0); r.Remaining() < 95 || r.Remaining() > 96+int(time.Since(start)/(200*time.Millisecond)) {
		t.Errorf("after 5 tokens of the raised limit %d of 100 remain", r.Remaining())
	}
}

// oddRates takes all tokens, at odd moments. The sum of the admitted tokens is exact.
func oddRates(t *testing.T, server *chaos.Server) {
	backend := patientStore(t, server)
	for _, l := range []ratelimit.Limit{
		{Rate: 1, Period: 7 * time.Second}, {Rate: 2, Period: 7 * time.Second}, {Rate: 1000, Period: time.Second, Burst: 3},
		{Rate: 5, Period: 30 * time.Millisecond}, {Rate: 3, Period: 1700 * time.Microsecond}, {Rate: 7, Period: 1900 * time.Millisecond},
		{Rate: 1_000_000, Period: time.Second, Burst: 1_000_000_000}, {Rate: 700_001, Period: time.Second, Burst: 700_001_000},
	} {
		p, key := policyOf(t, l), "odd "+l.String()
		b := &p[0]
		burst := b.Burst()
		first := take(t, backend, key, p, burst)
		admitted, last := int64(burst), first
		for range 200 {
			n := b.Remaining(take(t, backend, key, p, 0).Debts[0])
			if last = take(t, backend, key, p, n); !last.Allowed {
				t.Fatalf("%v: %d available tokens were denied", l, n)
			}
			admitted += int64(n)
			if last.Debts[0].Micros == 0 {
				// A full bucket gains nothing more: the sum starts again.
				first, admitted = take(t, backend, key, p, burst), int64(burst)
				last = first
			}
		}
		admitted += int64(b.Remaining(last.Debts[0]))
		exact := new(big.Int).Mul(big.NewInt(int64(l.Rate)), big.NewInt(last.Now-first.Now))
		exact.Div(exact, big.NewInt(l.Period.Microseconds())).Add(exact, big.NewInt(int64(burst)))
		if w := exact.Int64(); admitted > w || burst > 1000 && admitted != w {
			t.Errorf("%v: %d tokens in %d µs; want %d", l, admitted, last.Now-first.Now, w)
		}
	}
}

func anyKey(t *testing.T, server *chaos.Server) {
	l := door(t, server, ratelimit.PerHour(2))
	long := strings.Repeat("k", 1<<20)
	keys := []string{"", long, long + "k", long[1:], "\x00", "\x00\x00", "a\x00b", "a", "\r\n", "a\r\nb", "{}", "{a}", "*", "\xff", "\xff\xfe", "\ufffd"}
	for range 2 { // all in turn, so that each would meet the buckets of the others
		for _, key := range keys {
			if !ask(t, l, key, 1).Allowed {
				t.Errorf("a key of %d bytes was denied with the debt of another key", len(key))
			}
		}
	}
	for _, key := range keys {
		wantInt(t, askAll(t, l, key), 0)
	}
}
