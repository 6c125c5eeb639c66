package mirror_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror"
	"github.com/keyrate/keyrate/store/storetest"
)

// wild is a shared store that fails in every possible way.
type wild struct {
	*faulty
	rnd     *rand.Rand
	mu      sync.Mutex
	away    atomic.Bool
	unknown bool // some fail after they were charged, perhaps
	late    bool // some are executed after they failed
	p       int  // failures, in per cent
	unk     atomic.Int64
	later   sync.WaitGroup
}

func (w *wild) n(k int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rnd.IntN(k)
}

func (w *wild) way() { time.Sleep(time.Duration(1+w.n(3000)) * time.Microsecond) }

func (w *wild) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	if len(r.Key) > 5 && r.Key[:6] == "probe " {
		if w.away.Load() {
			return store.Decision{}, errRefused
		}
		r.Key = w.key(r.Key) // as Reset does
		return w.probe.Take(ctx, r)
	}
	if w.away.Load() || w.n(100) < w.p {
		switch kind := w.n(4); {
		case kind <= 1 || !w.unknown:
			w.way()
			return store.Decision{}, errRefused
		case kind == 2: // charged, answer lost
			w.unk.Add(int64(r.Cost))
			w.way()
			_, _ = w.store.Take(ctx, r)
			w.way()
			return store.Decision{}, errUnknown
		default:
			w.unk.Add(int64(r.Cost))
			if w.late {
				if r.Known != nil {
					k := *r.Known
					r.Known = &k
				}
				w.later.Go(func() {
					time.Sleep(time.Duration(w.n(500)) * time.Millisecond)
					_, _ = w.store.Take(ctx, r)
				})
			}
			w.way()
			return store.Decision{}, errUnknown
		}
	}
	w.way()
	d, err := w.store.Take(ctx, r)
	w.way()
	return d, err
}

// TestAnyFaultKeepsToTheLimit: whatever the shared store does to the requests of one node,
// with up to four limits of any kind, the node admits what each limit allows, and answers in
// time.
func TestAnyFaultKeepsToTheLimit(t *testing.T) {
	seed, err := storetest.Seed()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("KEYRATE_SEED=%#x", seed)
	for i := range uint64(testkit.Count(8, 40)) {
		synctest.Test(t, func(t *testing.T) { anyFault(t, seed+i) })
	}
}

type event struct {
	at     time.Duration
	cost   int
	policy []store.Limit
}

func anyFault(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 77))
	burst := 5 + rnd.IntN(200)
	limit := []ratelimit.Limit{ratelimit.PerDay(burst), ratelimit.PerDay(burst), ratelimit.PerSecond(1 + rnd.IntN(100)).WithBurst(burst)}[rnd.IntN(3)]
	all := []ratelimit.Limit{
		limit,
		ratelimit.PerMinute(1 + rnd.IntN(200)).WithBurst(1 + rnd.IntN(100)).Named("m"),
		ratelimit.PerSecond(1 + rnd.IntN(50)).WithBurst(1 + rnd.IntN(30)).Named("s"),
		ratelimit.PerHour(1 + rnd.IntN(5000)).WithBurst(1 + rnd.IntN(200)).Named("h"),
	}
	policies := [][]store.Limit{policy(t, limit)}
	for n := rnd.IntN(4); n > 0; n-- { // some of the other limits, in any order, around the first
		some := []ratelimit.Limit{limit}
		for _, i := range rnd.Perm(3)[:1+rnd.IntN(3)] {
			some = slices.Insert(some, rnd.IntN(len(some)+1), all[1+i])
		}
		policies = append(policies, policy(t, some...))
	}
	w := &wild{faulty: newFaulty(), rnd: rnd, unknown: rnd.IntN(2) == 0, late: rnd.IntN(2) == 0, p: []int{0, 2, 20, 50, 90}[rnd.IntN(5)]}
	s := newMirror(t, w, mirror.Config{}) // wild takes 6 ms for a round trip, whatever the timeout
	maxCost := 1 + rnd.IntN(4)
	workers := 1 + rnd.IntN(20)
	pause := time.Duration(1+rnd.IntN(20)) * time.Millisecond
	outages := rnd.IntN(4)
	var mu sync.Mutex
	var events []event
	failed := 0
	start := time.Now()
	const during = 10 * time.Second
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for time.Since(start) < during {
				p := policies[w.n(len(policies))]
				cost := 1 + w.n(maxCost)
				before := time.Now()
				ctx := t.Context()
				if w.n(20) == 0 {
					c, cancel := context.WithTimeout(ctx, time.Duration(w.n(5000))*time.Microsecond)
					defer cancel()
					ctx = c
				}
				d, err := s.Take(ctx, store.Request{Key: "key", Limits: p, Cost: cost, Timeout: 50 * time.Millisecond})
				if took := time.Since(before); took > 57*time.Millisecond {
					t.Errorf("seed %d: took %v", seed, took)
				}
				if err != nil {
					t.Errorf("seed %d: %v", seed, err)
				}
				mu.Lock()
				if d.Allowed {
					events = append(events, event{time.Since(start), cost, p})
				}
				if d.Source == store.FromShare {
					failed++
				}
				mu.Unlock()
				time.Sleep(time.Duration(w.n(int(2 * pause))))
			}
		})
	}
	wg.Go(func() {
		for range outages {
			time.Sleep(time.Duration(w.n(3000)) * time.Millisecond)
			w.away.Store(true)
			time.Sleep(time.Duration(w.n(3000)) * time.Millisecond)
			w.away.Store(false)
		}
	})
	wg.Wait()
	w.later.Wait()
	sort.Slice(events, func(i, j int) bool { return events[i].at < events[j].at })
	for _, l := range policy(t, all...) {
		num, den := l.Interval()
		rate := 1e6 * float64(den) / float64(num)
		level, most, last, total := 0.0, 0.0, time.Duration(0), 0
		for _, e := range events {
			if !slices.Contains(e.policy, l) {
				continue
			}
			level = max(0, level-rate*(e.at-last).Seconds()) + float64(e.cost)
			last = e.at
			most = max(most, level)
			total += e.cost
		}
		excess := most - float64(l.Burst())
		allowed := rate * 0.006 // a request counts when it is answered, up to a round trip after the decision
		if excess > allowed+1e-6 {
			t.Errorf("seed %d: %v, policies %v, unknown %v late %v p %d, outages %d, maxCost %d, workers %d, pause %v: excess %.2f, allowed %.2f (unknown %d, failed %d, total %d)",
				seed, l, policies, w.unknown, w.late, w.p, outages, maxCost, workers, pause, excess, allowed, w.unk.Load(), failed, total)
		}
	}
}

var errUnknown = error(&store.Error{Class: "lost", Err: errors.New("connection reset")})
