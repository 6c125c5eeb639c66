package mirror_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror"
)

// A returning is an outage of all nodes, under a limit of 10/s and a burst of 30, and their return.
type returning struct {
	nodes  int
	name   string
	load   []float64     // calls of each node a second; of all, if it is one
	quiet  bool          // there are none before the outage
	down   time.Duration // how long
	apart  time.Duration // from the return of one node to the next one's
	lose   float64       // the part of the answers that are lost from then on
	empty  bool          // the shared store loses its data
	charge bool          // the shared store is a Holder
}

const returnBurst, returnRate, returnRefill = 30, 10, 3 * time.Second

// A returned is by how many tokens more than the limit was admitted.
type returned struct {
	peak  float64       // in the worst window
	last  float64       // in the worst window that ends one refill after the last return
	after int           // tokens admitted in that refill
	wait  time.Duration // the longest time without one, in that refill
}

// uncertain loses answers.
type uncertain struct {
	cuttable
	mu     sync.Mutex // probes call as well
	lose   float64
	random *rand.Rand
}

func (u *uncertain) loses() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.random.Float64() < u.lose
}

func (u *uncertain) begin(lose float64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.lose = lose
}

func (u *uncertain) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	d, err := u.cuttable.Take(ctx, r)
	if err == nil && u.loses() {
		return store.Decision{}, errNotAnswered
	}
	return d, err
}

func (u *uncertain) Settle(ctx context.Context, all []store.Settlement) {
	u.cuttable.Settle(ctx, all)
	for i := range all {
		if all[i].Err == nil && u.loses() {
			all[i].Err = errNotAnswered
		}
	}
}

func (o *returning) run(t *testing.T) (res returned) {
	const lead = 5 * time.Second
	p := policy(t, ratelimit.PerSecond(returnRate).WithBurst(returnBurst))
	shared := newFaulty()
	shared.trip = func() time.Duration { return 500 * time.Microsecond }
	time.Sleep(time.Hour)
	start := time.Now()
	nodes, links, due := make([]*mirror.Store, o.nodes), make([]*uncertain, o.nodes), make([]time.Duration, o.nodes)
	for i := range nodes {
		links[i] = &uncertain{cuttable: cuttable{link{faulty: shared}}, random: rand.New(rand.NewPCG(uint64(i), 7))}
		var s store.Store = links[i]
		if !o.charge {
			s = plain{s}
		}
		nodes[i] = newMirror(t, s, mirror.Config{Nodes: o.nodes})
		take(t, nodes[i], "another key", p, 1)
		due[i] = time.Duration(i) * 7 * time.Millisecond
	}
	end := lead + o.down + time.Duration(o.nodes-1)*o.apart + 200*time.Millisecond + returnRefill
	debt, at, admitted := 0.0, start, end-returnRefill
	account := func(n float64) {
		debt = max(0, debt-time.Since(at).Seconds()*returnRate) + n
		at = time.Now()
		res.peak = max(res.peak, debt-returnBurst)
	}
	cut, back := false, 0
	for {
		next := 0
		for i := range due {
			if due[i] < due[next] {
				next = i
			}
		}
		if due[next] >= end {
			break
		}
		time.Sleep(due[next] - time.Since(start))
		now := time.Since(start)
		if now >= lead && !cut {
			cut = true
			for _, l := range links {
				l.cut.Store(true)
			}
		}
		for ; back < o.nodes && now >= lead+o.down+time.Duration(back)*o.apart; back++ {
			if back == 0 && o.empty {
				shared.lost.Add(1)
			}
			links[back].cut.Store(false)
			links[back].begin(o.lose)
		}
		due[next] += time.Duration(float64(time.Second) / o.load[min(next, len(o.load)-1)])
		if o.quiet && now < lead || !take(t, nodes[next], "key", p, 1).Allowed {
			continue
		}
		account(1)
		if now = time.Since(start); now > end-returnRefill {
			res.after++
			res.wait = max(res.wait, now-admitted)
			admitted = now
		}
	}
	account(0)
	res.last = max(0, debt-returnBurst)
	res.wait = max(res.wait, end-admitted)
	return res
}

// TestReturnOfAllNodes: what the nodes admitted alone is charged as a sum. So when they are back,
// no more is admitted than the limit and N tokens and, while some of the nodes are alone yet, their
// shares. Otherwise it would be (N-1)/N of a burst more. No key waits longer than one refill.
func TestReturnOfAllNodes(t *testing.T) {
	hot := []float64{40}
	for _, n := range []int{3, 5} {
		limit := []float64{returnRate / float64(n)}
		for _, down := range []time.Duration{time.Second, 10 * time.Second, time.Minute} {
			for _, o := range []returning{
				{name: "even", load: hot},
				{name: "even, quiet before", load: hot, quiet: true},
				{name: "even, 0.2 s apart", load: hot, apart: 200 * time.Millisecond},
				{name: "even, quiet before, 0.2 s apart", load: hot, quiet: true, apart: 200 * time.Millisecond},
				{name: "even, 0.5 s apart", load: hot, apart: 500 * time.Millisecond},
				{name: "even, answers lost", load: hot, quiet: true, lose: 0.3},
				{name: "even, data lost", load: hot, empty: true},
				{name: "just the limit", load: limit},
				{name: "twice the limit", load: []float64{2 * limit[0]}, quiet: true},
				{name: "uneven", load: []float64{40, 1, 1, 1, 0.5}, quiet: true},
				{name: "one node", load: []float64{40, 1e-3}, quiet: true},
			} {
				o.nodes, o.down = n, down
				var before, res returned
				synctest.Test(t, func(t *testing.T) { before = o.run(t) })
				o.charge = true
				synctest.Test(t, func(t *testing.T) { res = o.run(t) })
				t.Logf("N=%d, %v, %-32s peak %+5.1f, last %+5.1f, %2d after, wait %.1f s; as knowledge %+5.1f, %+5.1f, %2d, %.1f s", n, down, o.name,
					res.peak, res.last, res.after, res.wait.Seconds(), before.peak, before.last, before.after, before.wait.Seconds())
				most := float64(n) + float64(n*(n-1)/2)*o.apart.Seconds()*returnRate/float64(n) // of nodes that are alone yet
				if o.empty {
					most = before.peak + 1 // what was known before the outage may be lost
				}
				switch {
				case res.last > most, res.peak > most && o.apart*time.Duration(n-1) < time.Second:
					t.Errorf("N=%d, %v, %s: %.1f more than the limit was admitted, %.1f a refill after the return", n, down, o.name, res.peak, res.last)
				case res.wait > returnRefill/2:
					t.Errorf("N=%d, %v, %s: nothing was admitted for %v", n, down, o.name, res.wait)
				case o.name == "even, quiet before" && before.peak < returnBurst/2:
					t.Errorf("N=%d, %v, %s: knowledge admits %.1f more than the limit, so this shows nothing", n, down, o.name, before.peak)
				}
			}
		}
	}
}
