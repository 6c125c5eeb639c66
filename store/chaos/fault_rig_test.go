package chaos_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/mirror"
)

// The table of faults: a whole program under load, and a Redis to which something is
// done. A test of it is a bout:
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

// calm is how long the load runs before the fault; settled is how long after the fault
// it goes on, once the shared store decides again.
const (
	calm    = 2 * time.Second
	settled = 3 * time.Second
)

// A loss is when the shared store lost its data: between two instants.
type loss struct{ from, to time.Time }

// A bout is one row of the table.
type bout struct {
	t         *testing.T
	row, name string
	chain     *chain
	fire      *fire

	fault, well time.Time   // when the fault began and was over
	back        time.Time   // when the shared store had decided a call that left after that
	losses      []loss      // the times in which the shared store lost its data
	lacking     []violation // of kind "witness": the fault was not what it should be

	gauge               *gauge
	before, most, after int // goroutines
}

// startBout starts a chain and the load, and lets them run for a while.
func startBout(t *testing.T, row, name string, c chainConfig) *bout {
	t.Helper()
	return startBoutOf(t, row, name, startChain(t, c), 1)
}

// startBoutOf is startBout with a chain that was started, and requests of a key that
// leave together.
func startBoutOf(t *testing.T, row, name string, c *chain, together int) *bout {
	t.Helper()
	b := startIll(t, row, name, c, together)
	time.Sleep(calm)
	return b
}

// startIll is startBoutOf for a Redis to which the fault has been done already.
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

// begin does something to Redis.
func (b *bout) begin(fault func()) {
	b.t.Helper()
	b.before = b.gauge.end()
	b.gauge = b.watchGoroutines()
	b.fault = time.Now()
	fault()
}

// lose does something in which Redis loses its data: what is under way meanwhile may be
// lost, too.
func (b *bout) lose(what func()) {
	b.t.Helper()
	from := time.Now()
	what()
	b.losses = append(b.losses, loss{from, time.Now()})
}

// lacks notes that a witness does not say that the fault was what it should be. Of a
// fault that was not nothing is proved.
func (b *bout) lacks(format string, args ...any) {
	b.lacking = append(b.lacking, violation{"witness", fmt.Sprintf(format, args...)})
}

// end makes Redis well again.
func (b *bout) end(remedy func()) {
	b.t.Helper()
	remedy()
	b.well = time.Now()
	b.most = b.gauge.end()
	b.gauge = b.watchGoroutines()
}

// finish waits until the shared store decides, and some time more, and ends the load.
func (b *bout) finish() {
	b.t.Helper()
	for deadline := time.Now().Add(chaos.Patience(10 * time.Second)); b.back.IsZero() && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond)
		b.back = b.fire.first(b.well, ratelimit.FromStore)
	}
	time.Sleep(settled)
	// A machine that stalls may just have made it count as away once more.
	for deadline := time.Now().Add(chaos.Patience(3 * time.Second)); b.away() && time.Now().Before(deadline); {
		time.Sleep(500 * time.Millisecond)
	}
	b.after = goroutines(b.chain.name)
	_ = b.gauge.end()
	b.fire.end()
}

// away tells whether the shared store counts as away, or did a moment ago: then it has
// not been told of all calls yet.
func (b *bout) away() bool {
	changes := b.chain.transitions()
	if len(changes) == 0 {
		return false
	}
	last := changes[len(changes)-1]
	return last.Down || time.Since(last.At) < 500*time.Millisecond
}

// extra returns, for each key, the cost that was under way while data was lost.
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

// took returns how long a request took, and how much of that is the machine's own.
func (one *shot) took() (total, stalled time.Duration) {
	return one.answered.Sub(one.sent), machine().Worst(one.sent, one.answered)
}

// wrong tells whether an error has come through: to the handler, or to the caller.
func (one *shot) wrong() bool {
	return one.class != "" || one.err != nil || one.status != http.StatusOK && one.status != http.StatusTooManyRequests
}

// named returns the classes that OnChange named.
func named(changes []mirror.Change) (classes []string) {
	for _, change := range changes {
		if change.Down && !slices.Contains(classes, change.Class) {
			classes = append(classes, change.Class)
		}
	}
	return classes
}
