package mirror_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror"
	"github.com/keyrate/keyrate/store/storetest"
)

// ideal is the bucket of one key if every admitted request had reached the shared store. Its
// debt has no bound.
type ideal struct {
	mu    sync.Mutex
	token time.Duration
	full  time.Time

	undated atomic.Bool // a debt without a date was handed over
}

func (i *ideal) charge(n int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if now := time.Now(); i.full.Before(now) {
		i.full = now
	}
	i.full = i.full.Add(time.Duration(n) * i.token)
}

func (i *ideal) debt() time.Duration {
	i.mu.Lock()
	defer i.mu.Unlock()
	return max(time.Until(i.full), 0)
}

// link connects one node to the shared store, and can be cut. It checks the knowledge that
// the node hands over.
type link struct {
	*faulty
	t     *testing.T
	cut   atomic.Bool
	ideal *ideal
	debts *atomic.Int64 // that were handed over
}

func (l *link) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	if r.Limits[0].Name != "default" {
		return l.take(ctx, r, func() {})
	}
	return l.take(ctx, r, func() {
		if r.Known == nil {
			return
		}
		now, _ := l.store.Take(ctx, store.Request{Key: "clock", Limits: r.Limits})
		b, k := &r.Limits[0], r.Known[0]
		if k.Seen > now.Now {
			l.t.Errorf("a debt was handed over that was seen at %d; it is %d now", k.Seen, now.Now)
		}
		slack := time.Microsecond
		if k.Seen == 0 && k.Debt != (gcra.Debt{}) {
			l.ideal.undated.Store(true) // from before the first answer: too large by this trip
		}
		if l.ideal.undated.Load() {
			slack = longestTrip
		}
		// What the shared store owes anyway does no harm: it may have been charged too much.
		there, _ := l.store.Take(ctx, store.Request{Key: l.key(r.Key), Limits: r.Limits})
		if debt := b.Merge(gcra.Debt{}, k.Debt, k.TAT, now.Now).Duration(); debt > max(l.ideal.debt(), there.Debts[0].Duration())+slack {
			l.t.Errorf("a debt of %v was handed over; if the store had never been down it would be %v", debt, l.ideal.debt())
		} else if debt > 0 {
			l.debts.Add(1)
		}
	})
}

func (l *link) take(ctx context.Context, r store.Request, arrived func()) (store.Decision, error) {
	if l.cut.Load() {
		return store.Decision{}, errRefused
	}
	time.Sleep(l.trip())
	arrived()
	sent := r
	sent.Key = l.key(r.Key)
	d, err := l.of(r.Key).Take(ctx, sent)
	if d.Allowed && r.Limits[0].Name == "default" {
		l.ideal.charge(r.Cost)
	}
	if asked, ok := ctx.Value(askedKey{}).(*bool); ok {
		*asked = true
	}
	time.Sleep(l.trip())
	return d, err
}

func (l *link) Reset(ctx context.Context, r store.Request) error {
	if l.cut.Load() {
		return errRefused
	}
	return l.of(r.Key).Reset(ctx, store.Request{Home: r.Home, Key: l.key(r.Key), Limits: r.Limits})
}

func (l *link) Settle(ctx context.Context, all []store.Settlement) {
	if !l.cut.Load() {
		l.faulty.Settle(ctx, all)
		return
	}
	for i := range all {
		all[i].Err = errRefused
	}
}

const longestTrip = 3 * time.Millisecond

// TestBoundsOfManyNodes: nodes are cut off from the shared store and connected again, at
// random. What they hand over is always a lower bound. Together they admit no more than the
// limit and the shares of the nodes that were cut off.
func TestBoundsOfManyNodes(t *testing.T) {
	seed, err := storetest.Seed()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("KEYRATE_SEED=%#x", seed)
	histories := testkit.Count(20, 100)
	var debts atomic.Int64
	for i := range uint64(histories) {
		synctest.Test(t, func(t *testing.T) { manyNodes(t, rand.New(rand.NewPCG(seed, i)), &debts) })
	}
	if debts.Load() < 10*int64(histories) {
		t.Errorf("only %d debts were handed over", debts.Load())
	}
}

func manyNodes(t *testing.T, random *rand.Rand, debts *atomic.Int64) {
	limit := []ratelimit.Limit{ratelimit.PerSecond(5), ratelimit.PerMinute(60), ratelimit.PerSecond(100).WithBurst(10)}[random.IntN(3)]
	p := policy(t, limit)
	one, _ := p[0].Cost(1)
	burst, token := p[0].Burst(), one.Duration()
	nodes := 1 + random.IntN(4)
	shared, bucket := newFaulty(), &ideal{token: token}
	shared.trip = func() time.Duration { return 1 + rand.N(longestTrip) }
	var admitted atomic.Int64
	var wg sync.WaitGroup
	const during = 40 * time.Second
	var alone time.Duration // of all nodes together
	outages := 0
	for range nodes {
		random := rand.New(rand.NewPCG(random.Uint64(), 0)) // of this node
		l := &link{faulty: shared, t: t, ideal: bucket, debts: debts}
		s := newMirror(t, l, mirror.Config{Nodes: nodes})
		for range 2 {
			wg.Go(func() {
				for start := time.Now(); time.Since(start) < during; time.Sleep(rand.N(2 * token)) {
					asked := false
					r := store.Request{Key: "key", Limits: p, Cost: 1 + rand.IntN(2), Timeout: time.Second}
					d, err := s.Take(context.WithValue(t.Context(), askedKey{}, &asked), r)
					if err != nil {
						t.Errorf("Take returned an error: %v", err)
					}
					if d.Allowed {
						admitted.Add(int64(r.Cost))
						if !asked {
							bucket.charge(r.Cost)
						}
					}
				}
			})
		}
		var cuts []time.Duration
		for range random.IntN(3) {
			cuts = append(cuts, time.Duration(1+random.IntN(5000))*time.Millisecond)
			outages++
			alone += cuts[len(cuts)-1] + 200*time.Millisecond // until a probe notices
		}
		wg.Go(func() {
			for _, cut := range cuts {
				time.Sleep(time.Duration(random.IntN(3)*random.IntN(3000)) * time.Millisecond) // often at the start
				l.cut.Store(true)
				time.Sleep(cut)
				l.cut.Store(false)
				time.Sleep(300 * time.Millisecond)
			}
		})
	}
	wg.Wait()
	limited := burst + int((during+10*time.Millisecond)/token)
	share := outages*max(1, burst/nodes) + int(alone/(token*time.Duration(nodes)))
	if n := int(admitted.Load()); n < limited*95/100-burst || n > limited+share+1 {
		t.Errorf("under %v, of %d nodes %d tokens were admitted; want %d, and at most %d more for %d outages of %v in all",
			limit, nodes, n, limited, share, outages, alone)
	}
}
