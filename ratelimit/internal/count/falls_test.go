package count

import (
	"sync"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit/metrics"
	"github.com/keyrate/keyrate/store"
)

// TestNothingFalls: no counter falls while calls of all prices are counted: Prometheus would take
// that for a restart.
func TestNothingFalls(t *testing.T) {
	var c Counts
	n := NamesOf(limitNamed(t, "falls"))
	stop := make(chan struct{})
	var calls sync.WaitGroup
	for i := range 2 {
		calls.Go(func() {
			for price := i; ; price++ {
				select {
				case <-stop:
					return
				default:
					c.Add(Draw(), Decision{Names: n, Source: store.FromStore, Tokens: price % 4})
					c.Of(n).AddOne(Draw(), price%5 == 0, price%3)
					c.Charged(n, price%2)
				}
			}
		})
	}
	last := map[string]float64{}
	reads := 0
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); reads++ {
		r := metrics.Read(&c)
		for _, i := range []*metrics.Instrument{metrics.Cost, metrics.Checks, metrics.Evaluations} {
			for _, p := range r.Points(i) {
				id := i.Name
				for _, l := range p.Labels {
					id += " " + l
				}
				if p.Value < last[id] {
					t.Fatalf("%s falls from %v to %v", id, last[id], p.Value)
				}
				last[id] = p.Value
			}
		}
	}
	close(stop)
	calls.Wait()
	// After tests with many limits, in this process, the limit has no label of its own.
	if reads < 10 || last["keyrate.cost falls"]+last["keyrate.cost other"] == 0 {
		t.Errorf("%d reads: %v", reads, last)
	}
}
