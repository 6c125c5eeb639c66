package fleet

import (
	"fmt"
	"math"
	"sort"
	"time"
)

// A Balancer selects the node of a call.
type Balancer string

// The balancers.
const (
	Spread Balancer = "spread" // any node
	Sticky Balancer = "sticky" // one node for all
	Hash   Balancer = "hash"   // one node for all calls of a key
	Hop    Balancer = "hop"    // one node for all, another one each HopEvery
)

// HopEvery is how long the balancer Hop stays with a node.
const HopEvery = 300 * time.Millisecond

// A Load is calls that come at random, at a rate.
type Load struct {
	Rate     float64 // calls per second
	Keys     int
	Skew     float64 // 0: all keys are called alike; otherwise the exponent of Zipf's law
	Balancer Balancer
	Cost     int // 0 means 1
}

// Play makes the calls of a load, from now on for a time. It returns when the time is over, and
// another second, in which the nodes give back what they have leased.
func (f *Fleet) Play(l Load, d time.Duration) {
	f.Start(l, f.now+int64(d))
	f.Run(f.now + int64(d+time.Second))
}

// Start makes the calls of a load until an instant, while the world runs.
func (f *Fleet) Start(l Load, until int64) {
	l.Keys, l.Cost = max(l.Keys, 1), max(l.Cost, 1)
	names := make([]string, l.Keys)
	for i := range names {
		names[i] = fmt.Sprint("key ", i)
	}
	var sums []float64
	if l.Skew > 0 {
		sum := 0.0
		for i := range names {
			sum += math.Pow(float64(i+1), -l.Skew)
			sums = append(sums, sum)
		}
	}
	key := func() int {
		if sums == nil {
			return f.Random.IntN(l.Keys)
		}
		return sort.SearchFloat64s(sums, f.Random.Float64()*sums[len(sums)-1])
	}
	var next func()
	wait := func() { f.At(f.now+int64(f.Random.ExpFloat64()/l.Rate*1e9), next) }
	next = func() {
		if f.now >= until {
			return
		}
		k := key()
		node := 0
		switch l.Balancer {
		case Hash:
			node = k % len(f.Nodes)
		case Hop:
			node = int(f.now/int64(HopEvery)) % len(f.Nodes)
		case Sticky:
		default:
			node = f.Random.IntN(len(f.Nodes))
		}
		f.Nodes[node].Call(f.now, names[k], l.Cost)
		wait()
	}
	wait()
}
