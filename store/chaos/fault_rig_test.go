package chaos_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/mirror"
)

// The table of faults: a whole program under load, and a fault of its Redis. A test of the
// table is a bout:
//
//	inPeace(t, func(t *testing.T) (*bout, wants) {
//		b := startBout(t, "1", "killed", chainConfig{At: server})
//		b.begin(server.Kill)
//		...
//		b.end(func() { server.Restart() })
//		b.finish()
//		return b, wants{...}
//	})
//
// All tests of the table, and no others, begin with TestFault.

// calm is how long the load runs before the fault. settled is how long it continues after
// the fault once the shared store decides again.
const (
	calm    = 2 * time.Second
	settled = 3 * time.Second
)

// A loss is a time in which the shared store lost its data.
type loss struct{ from, to time.Time }

// A bout is one row of the table.
type bout struct {
	t         *testing.T
	row, name string
	chain     *chain
	fire      *fire

	fault, well time.Time   // when the fault began and was over
	back        time.Time   // when the shared store had decided a call that was sent after well
	losses      []loss      // the times in which the shared store lost its data
	lacking     []violation // of kind "witness": the fault did not occur as it should

	gauge               *gauge
	before, most, after int // goroutines
}

// startBout starts a chain and the load, and lets them run for calm.
func startBout(t *testing.T, row, name string, c chainConfig) *bout {
	t.Helper()
	return startBoutOf(t, row, name, startChain(t, c), 1)
}

// startBoutOf is startBout with a running chain, and a number of requests of a key that are
// sent together.
func startBoutOf(t *testing.T, row, name string, c *chain, together int) *bout {
	t.Helper()
	b := startIll(t, row, name, c, together)
	time.Sleep(calm)
	return b
}

// startIll is startBoutOf for a Redis that already has the fault.
func startIll(t *testing.T, row, name string, c *chain, together int) *bout {
	t.Helper()
	machine()
	b := &bout{t: t, row: row, name: name, chain: c, fault: time.Now()}
	b.gauge = b.watchGoroutines()
	b.fire = startFire(t, c, together)
	return b
}

func (b *bout) watchGoroutines() *gauge {
	return startGauge(100*time.Millisecond, func() int { return goroutines(b.chain.name) })
}

// begin begins the fault.
func (b *bout) begin(fault func()) {
	b.t.Helper()
	b.before = b.gauge.end()
	b.gauge = b.watchGoroutines()
	b.fault = time.Now()
	fault()
}

// lose does something in which Redis loses its data. Calls under way at that time may be
// lost, too.
func (b *bout) lose(what func()) {
	b.t.Helper()
	from := time.Now()
	what()
	b.losses = append(b.losses, loss{from, time.Now()})
}

// lacks notes that the fault did not occur as it should. Then the bout proves nothing.
func (b *bout) lacks(format string, args ...any) {
	b.lacking = append(b.lacking, violation{"witness", fmt.Sprintf(format, args...)})
}

// end ends the fault.
func (b *bout) end(remedy func()) {
	b.t.Helper()
	remedy()
	b.well = time.Now()
	b.most = b.gauge.end()
	b.gauge = b.watchGoroutines()
}

// finish waits until the shared store decides, then for settled, and ends the load.
func (b *bout) finish() {
	b.t.Helper()
	for deadline := time.Now().Add(chaos.Patience(10 * time.Second)); b.back.IsZero() && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond)
		b.back = b.fire.first(b.well, store.FromStore)
	}
	time.Sleep(settled)
	// A stall of the machine may just have made it count as down once more.
	for deadline := time.Now().Add(chaos.Patience(3 * time.Second)); b.down() && time.Now().Before(deadline); {
		time.Sleep(500 * time.Millisecond)
	}
	b.after = goroutines(b.chain.name)
	_ = b.gauge.end()
	b.fire.end()
}

// down reports whether the shared store counts as down, or did a moment ago: then it has
// not received all calls yet.
func (b *bout) down() bool {
	changes := b.chain.transitions()
	if len(changes) == 0 {
		return false
	}
	last := changes[len(changes)-1]
	return last.Down || time.Since(last.At) < 500*time.Millisecond
}

// extra returns, for each key, the cost under way while data was lost.
func (b *bout) extra() map[string]int {
	extra := map[string]int{}
	if b.chain.tap == nil {
		return extra
	}
	for _, loss := range b.losses {
		for key, n := range b.chain.tap.inFlight(loss.from, loss.to) {
			extra[key] += n
		}
	}
	return extra
}

// took returns the duration of a request, and the longest stall in it.
func (one *shot) took() (total, stalled time.Duration) {
	return one.answered.Sub(one.sent), machine().Worst(one.sent, one.answered)
}

// wrong reports whether an error has reached the handler or the caller.
func (one *shot) wrong() bool {
	return one.class != "" || one.err != nil || one.status != http.StatusOK && one.status != http.StatusTooManyRequests
}

// named returns the classes of the changes to down.
func named(changes []mirror.Change) (classes []string) {
	for _, change := range changes {
		if change.Down && !slices.Contains(classes, change.Class) {
			classes = append(classes, change.Class)
		}
	}
	return classes
}
