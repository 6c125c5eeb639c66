package memstore

import (
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// together runs call on n goroutines at once.
func together(n int, call func(i int)) {
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			call(i)
		})
	}
	close(start)
	wg.Wait()
}

// TestConcurrentKeys: whatever goroutine calls, and while tables move, each key
// gets exactly its burst.
func TestConcurrentKeys(t *testing.T) {
	const keys, callers, each = 3000, 16, 2000
	policy := testkit.Limits(t, ratelimit.PerDay(7), ratelimit.PerDay(9).Named("nine"))
	s := New(Config{})
	var admitted [keys]atomic.Int64
	together(callers, func(i int) {
		random := rand.New(rand.NewPCG(1, uint64(i)))
		for range each * 10 / 8 {
			at := random.IntN(keys)
			d, _ := s.Take(t.Context(), store.Request{Key: strconv.Itoa(at), Limits: policy, Cost: 1})
			if d.Allowed {
				admitted[at].Add(1)
			}
		}
	})
	for at := range admitted {
		for range 7 {
			if d, _ := s.Take(t.Context(), store.Request{Key: strconv.Itoa(at), Limits: policy, Cost: 1}); d.Allowed {
				admitted[at].Add(1)
			}
		}
		if n := admitted[at].Load(); n != 7 {
			t.Errorf("key %d was admitted %d times; want 7", at, n)
		}
	}
	if n := s.count(t); n != 2*keys {
		t.Errorf("the table holds %d buckets; want %d", n, 2*keys)
	}
}

// TestConcurrentOverflow: keys that share buckets are not admitted too often
// either, while buckets become full and are taken over.
func TestConcurrentOverflow(t *testing.T) {
	const keys, burst, callers, maxKeys = 200, 5, 16, 20
	daily, short := testkit.Limits(t, ratelimit.PerDay(burst)), testkit.Limits(t, ratelimit.Limit{Rate: 1, Period: time.Microsecond})
	s := New(Config{MaxKeys: maxKeys})
	var now atomic.Int64
	now.Store(1)
	s.clock = now.Load
	var admitted [keys]atomic.Int64
	var marked atomic.Int64
	together(callers, func(i int) {
		random := rand.New(rand.NewPCG(2, uint64(i)))
		for j := range 3000 {
			at := random.IntN(keys)
			d, _ := s.Take(t.Context(), store.Request{Key: strconv.Itoa(at), Limits: daily, Cost: 1})
			if d.Allowed {
				admitted[at].Add(1)
			}
			if d.Overflow {
				marked.Add(1)
			}
			if j%10 == 0 {
				now.Add(1)
				_, _ = s.Take(t.Context(), store.Request{Key: "short " + strconv.Itoa(j), Limits: short, Cost: 1})
			}
		}
	})
	total := int64(0)
	for at := range admitted {
		total += admitted[at].Load()
		if n := admitted[at].Load(); n > burst {
			t.Errorf("key %d was admitted %d times; want %d at most", at, n, burst)
		}
	}
	if total < maxKeys*burst/2 || marked.Load() == 0 {
		t.Errorf("%d calls were admitted and %d answers marked Overflow; want more", total, marked.Load())
	}
	s.sweepAll(now.Load())
	if n := s.count(t); n > maxKeys {
		t.Errorf("the table holds %d buckets; want %d at most", n, maxKeys)
	}
}

// TestConcurrentShards: several shards exchange the room of full buckets.
func TestConcurrentShards(t *testing.T) {
	const maxKeys = 10_000
	short, hourly := testkit.Limits(t, ratelimit.PerSecond(1)), testkit.Limits(t, ratelimit.PerHour(2))
	s := New(Config{MaxKeys: maxKeys})
	var now atomic.Int64
	s.clock = now.Load
	var over atomic.Int64
	together(8, func(i int) {
		prefix := strconv.Itoa(i) + " "
		var admitted [500]int
		for j := range 6000 {
			now.Add(50)
			_, _ = s.Take(t.Context(), store.Request{Key: prefix + "s" + strconv.Itoa(j), Limits: short, Cost: 1})
			at := j % len(admitted)
			d, _ := s.Take(t.Context(), store.Request{Key: prefix + "h" + strconv.Itoa(at), Limits: hourly, Cost: 1})
			if d.Allowed {
				admitted[at]++
			}
			if admitted[at] > 2 {
				over.Add(1)
			}
		}
	})
	if over.Load() > 0 {
		t.Errorf("%d calls were admitted beyond the burst of their key", over.Load())
	}
	if n := s.count(t); n > maxKeys {
		t.Errorf("the table holds %d buckets; want %d at most", n, maxKeys)
	}
}

// TestNoTornReads: a call that reads while others charge, and while the table moves,
// sees whole tokens, of a third of a second each.
func TestNoTornReads(t *testing.T) {
	const burst = 3_000_000
	third := testkit.Limits(t, ratelimit.PerSecond(3).WithBurst(burst))
	m := newManual(4096)
	var wrong, looks atomic.Int64
	last := make([]int64, 8)
	together(8, func(i int) {
		for j := range 2000 {
			switch i % 4 {
			case 0:
				_, _ = m.Take(t.Context(), store.Request{Key: "one", Limits: third, Cost: 1 + j%5})
			case 1:
				_, _ = m.Take(t.Context(), store.Request{Key: strconv.Itoa(i) + " " + strconv.Itoa(j%1000), Limits: third, Cost: 1})
			default:
				d, _ := m.Take(t.Context(), store.Request{Key: "one", Limits: third})
				thirds := d.Debts[0].Micros*3 + int64(d.Debts[0].Frac)
				if thirds%1_000_000 != 0 || d.Debts[0].Frac > 2 || thirds < last[i] {
					wrong.Add(1)
				}
				last[i] = thirds
				looks.Add(1)
			}
		}
	})
	if wrong.Load() > 0 {
		t.Errorf("%d of %d looks saw something else than a sum of whole tokens that grows", wrong.Load(), looks.Load())
	}
	d := m.take("one", third, 0)
	if want := 2 * 2000 / 5 * (1 + 2 + 3 + 4 + 5) * int64(1_000_000); d.Debts[0].Micros*3+int64(d.Debts[0].Frac) != want {
		t.Errorf("in the end the debt is %+v; want %d/3 µs", d.Debts[0], want)
	}
}

// TestLatestResetWins: of resets on several goroutines the latest is remembered.
func TestLatestResetWins(t *testing.T) {
	hourly := testkit.Limits(t, ratelimit.PerHour(1))
	for range 50 {
		s := New(Config{})
		var now atomic.Int64
		s.clock = func() int64 { return now.Add(1) }
		together(8, func(i int) {
			for range 20 {
				_ = s.Reset(t.Context(), store.Request{Key: strconv.Itoa(i), Limits: hourly})
			}
		})
		if got := s.resets.last.Load(); got != now.Load() {
			t.Fatalf("the last reset was at %d; %d is remembered", now.Load(), got)
		}
	}
}
