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
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror"
	"github.com/keyrate/keyrate/store/storetest"
)

// TestBoundsOfHolds: calls hold tokens and spend some of them, while nodes are cut off from the
// shared store and connected again. Together they spend no more than the limit and the shares
// of the nodes that were cut off, and no more calls run than there are places and shares.
func TestBoundsOfHolds(t *testing.T) {
	seed, err := storetest.Seed()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("KEYRATE_SEED=%#x", seed)
	var held, alone atomic.Int64
	histories := testkit.Count(20, 100)
	for i := range uint64(histories) {
		synctest.Test(t, func(t *testing.T) { holdingNodes(t, rand.New(rand.NewPCG(seed, i)), &held, &alone) })
	}
	t.Logf("%d calls held, %d of them alone", held.Load(), alone.Load())
	if alone.Load() < 3*int64(histories) {
		t.Errorf("only %d calls held alone", alone.Load())
	}
}

func holdingNodes(t *testing.T, random *rand.Rand, held, alone *atomic.Int64) {
	limit := []ratelimit.Limit{ratelimit.PerSecond(5), ratelimit.PerMinute(60), ratelimit.PerSecond(100).WithBurst(10)}[random.IntN(3)]
	places, nodes := 1+random.IntN(6), 1+random.IntN(4)
	p := loans(t, places, limit)
	one, _ := p[0].Cost(1)
	burst, token := p[0].Burst(), one.Duration()
	shared := newFaulty()
	shared.trip = func() time.Duration { return 1 + rand.N(longestTrip) }
	var spent, running, most atomic.Int64
	var wg sync.WaitGroup
	const during = 40 * time.Second
	var away time.Duration // of all nodes together
	outages := 0
	for range nodes {
		l := &cuttable{link: link{faulty: shared}}
		s := newMirror(t, l, mirror.Config{Nodes: nodes})
		call := func() {
			hold := new(store.Hold)
			r := store.Request{Key: "key", Limits: p, Cost: 1 + rand.IntN(2), Hold: hold, Timeout: time.Second}
			d, err := s.Take(t.Context(), r)
			if err != nil {
				t.Errorf("Take returned an error: %v", err)
			}
			if !d.Allowed {
				return
			}
			held.Add(1)
			if d.Source == store.FromShare {
				alone.Add(1)
			}
			if n := running.Add(1); n > most.Load() {
				most.Store(n)
			}
			time.Sleep(rand.N(400 * time.Millisecond))
			actual := rand.IntN(r.Cost + 1)
			spent.Add(int64(actual))
			running.Add(-1)
			settle(t, s, store.Settlement{Key: "key", Limits: p, Names: hold.Names, Held: r.Cost, Actual: actual})
		}
		for range 3 {
			wg.Go(func() {
				for start := time.Now(); time.Since(start) < during; time.Sleep(rand.N(2 * token)) {
					call()
				}
			})
		}
		var cuts []time.Duration
		for range random.IntN(3) {
			cuts = append(cuts, time.Duration(1+random.IntN(5000))*time.Millisecond)
			outages++
			away += cuts[len(cuts)-1] + 200*time.Millisecond // until a probe notices
		}
		pauses := []time.Duration{time.Duration(random.IntN(5000)) * time.Millisecond, time.Duration(random.IntN(5000)) * time.Millisecond}
		wg.Go(func() {
			for i, cut := range cuts {
				time.Sleep(pauses[i])
				l.cut.Store(true)
				time.Sleep(cut)
				l.cut.Store(false)
				time.Sleep(300 * time.Millisecond)
			}
		})
	}
	wg.Wait()
	limited := burst + int((during+time.Second)/token)
	share := outages*max(1, burst/nodes) + int(away/(token*time.Duration(nodes)))
	if n := int(spent.Load()); n > limited+share+1 || n == 0 {
		t.Errorf("under %v, of %d nodes %d tokens were spent; want %d, and at most %d more for %d outages of %v in all", limit, nodes, n, limited, share, outages, away)
	}
	if n := int(most.Load()); n > places+outages*max(1, places/nodes) {
		t.Errorf("of %d nodes, with %d outages, %d of %d calls ran at a time", nodes, outages, n, places)
	}
}

// cuttable is a link that does not check what is handed over: what is held alone is handed over as
// spent, which may be more than is.
type cuttable struct{ link }

func (c *cuttable) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	if c.cut.Load() {
		return store.Decision{}, errRefused
	}
	return c.faulty.Take(ctx, r)
}
