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

// TestBoundsOfLeases: nodes spend leases and settle them, in parts and with their next requests, while
// answers are lost and nodes are cut off. Together they spend no more than the limit and the shares of
// the nodes that were cut off.
func TestBoundsOfLeases(t *testing.T) {
	seed, err := storetest.Seed()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("KEYRATE_SEED=%#x", seed)
	var leases, alone, lost atomic.Int64
	histories := testkit.Count(20, 200)
	for i := range uint64(histories) {
		synctest.Test(t, func(t *testing.T) { leasingNodes(t, rand.New(rand.NewPCG(seed, i)), &leases, &alone, &lost) })
	}
	t.Logf("%d leases, %d calls admitted alone, %d lost answers", leases.Load(), alone.Load(), lost.Load())
	if n := int64(histories); leases.Load() < 20*n || alone.Load() < 2*n || lost.Load() < n {
		t.Error("the histories are too much alike")
	}
}

func leasingNodes(t *testing.T, random *rand.Rand, leases, alone, lost *atomic.Int64) {
	limit := []ratelimit.Limit{ratelimit.PerSecond(50), ratelimit.PerMinute(600).WithBurst(40), ratelimit.PerSecond(20).WithBurst(100)}[random.IntN(3)]
	nodes, p := 1+random.IntN(4), policy(t, limit)
	one, _ := p[0].Cost(1)
	burst, token := p[0].Burst(), one.Duration()
	shared := newFaulty()
	shared.trip = func() time.Duration { return 1 + rand.N(longestTrip) }
	var spent atomic.Int64
	var wg sync.WaitGroup
	begin := time.Now()
	const during = 20 * time.Second
	var away time.Duration // of all nodes together
	outages := 0
	for range nodes {
		l := &forgetful{cuttable: cuttable{link: link{faulty: shared}}, lost: lost}
		s := newMirror(t, l, mirror.Config{Nodes: nodes})
		for range 2 {
			wg.Go(func() {
				var open []store.Settlement
				for start := time.Now(); time.Since(start) < during; time.Sleep(rand.N(4 * token)) {
					sent := time.Now()
					hold := store.Hold{Spend: true, Lease: rand.IntN(burst)}
					r := store.Request{Key: "key", Limits: p, Cost: rand.IntN(2), Hold: &hold, Release: open, Timeout: time.Second}
					d, err := s.Take(t.Context(), r)
					if err != nil {
						t.Errorf("Take returned an error: %v", err)
					}
					open = nil
					if d.Allowed {
						spent.Add(int64(r.Cost))
					}
					if d.Allowed && d.Source == store.FromShare {
						alone.Add(1)
					}
					if hold.Leased == 0 {
						continue
					}
					leases.Add(1)
					left := store.Settlement{Key: "key", Limits: p, Names: hold.Names, Held: hold.Leased}
					for left.Actual < left.Held && rand.IntN(20) > 0 && time.Since(sent) < 950*time.Millisecond {
						spent.Add(1)
						left.Actual++
						if rand.IntN(10) == 0 { // what was spent so far is settled by itself
							part := left
							part.Held = part.Actual
							settle(t, s, part)
							left.Held, left.Actual = left.Held-part.Held, 0
						}
						time.Sleep(rand.N(2 * token))
					}
					open = []store.Settlement{left}
				}
			})
		}
		var cuts, pauses []time.Duration
		for range random.IntN(3) {
			cuts = append(cuts, time.Duration(1+random.IntN(3000))*time.Millisecond)
			pauses = append(pauses, time.Duration(random.IntN(5000))*time.Millisecond)
			outages++
			away += cuts[len(cuts)-1] + 200*time.Millisecond // until a probe notices
		}
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
	limited := burst + int(time.Since(begin)/token)
	share := outages*max(1, burst/nodes) + int(away/(token*time.Duration(nodes)))
	if n := int(spent.Load()); n > limited+share+1 || n == 0 {
		t.Errorf("under %v, of %d nodes %d tokens were spent; want %d, and at most %d more for %d outages of %v in all", limit, nodes, n, limited, share, outages, away)
	}
}

// forgetful is a link that loses one answer in fifty.
type forgetful struct {
	cuttable
	lost *atomic.Int64
}

func (l *forgetful) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	d, err := l.cuttable.Take(ctx, r)
	if err == nil && rand.IntN(50) == 0 {
		l.lost.Add(1)
		for i := range r.Release {
			r.Release[i].Now = 0
		}
		return store.Decision{}, errNotAnswered
	}
	return d, err
}
