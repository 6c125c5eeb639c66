package chaos_test

import (
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

// windows are the admitted calls of one key, each with its time on the store's clock.
type windows struct {
	limit ratelimit.Limit
	burst int
	calls []admitted
}

type admitted struct {
	At   int64 // in microseconds
	Cost int
}

func newWindows(l ratelimit.Limit) *windows {
	w := &windows{limit: l, burst: l.Burst}
	if w.burst == 0 {
		w.burst = l.Rate
	}
	return w
}

func (w *windows) add(at int64, cost int) { w.calls = append(w.calls, admitted{at, cost}) }

// check fails the test if more than Burst + Rate*T was admitted in a window between two
// calls.
func (w *windows) check(t testing.TB, key string) {
	t.Helper()
	if over := w.worst(); over > 0 {
		t.Errorf("key %s: in one window %d tokens too many were admitted", key, over)
	}
}

// worst returns how many tokens are above the bound in the worst window, or 0.
//
// Tokens taken from call i to call j are at most Burst + Rate*(t_j-t_i)/Period. With
// S_j, the tokens up to and with call j, and x_j = S_j*Period - t_j*Rate, that is
// x_j - (x_i - cost_i*Period) <= Burst*Period; so it is enough to know the smallest
// x_i - cost_i*Period so far. All numbers are integers.
func (w *windows) worst() int64 {
	slices.SortStableFunc(w.calls, func(a, b admitted) int { return int(a.At - b.At) })
	period, rate := big.NewInt(int64(w.limit.Period/time.Microsecond)), big.NewInt(int64(w.limit.Rate))
	room := new(big.Int).Mul(big.NewInt(int64(w.burst)), period)
	var smallest *big.Int
	worst, sum := new(big.Int), int64(0)
	for _, c := range w.calls {
		x := func(tokens int64) *big.Int {
			a := new(big.Int).Mul(big.NewInt(tokens), period)
			return a.Sub(a, new(big.Int).Mul(big.NewInt(c.At-w.calls[0].At), rate))
		}
		if before := x(sum); smallest == nil || before.Cmp(smallest) < 0 {
			smallest = before
		}
		sum += int64(c.Cost)
		over := x(sum)
		over.Sub(over, smallest).Sub(over, room)
		if over.Cmp(worst) > 0 {
			worst = over
		}
	}
	worst.Add(worst, period).Sub(worst, big.NewInt(1)) // rounded up
	return worst.Div(worst, period).Int64()
}

// tokens returns the number of admitted tokens.
func (w *windows) tokens() int {
	n := 0
	for _, c := range w.calls {
		n += c.Cost
	}
	return n
}

// ideal returns what can be admitted from the first call until a time.
func (w *windows) ideal(until int64) int {
	if len(w.calls) == 0 {
		return 0
	}
	n := new(big.Int).Mul(big.NewInt(until-w.calls[0].At), big.NewInt(int64(w.limit.Rate)))
	return w.burst + int(n.Div(n, big.NewInt(int64(w.limit.Period/time.Microsecond))).Int64())
}

// TestWindows is the control of worst.
func TestWindows(t *testing.T) {
	for _, c := range []struct {
		name string
		at   []int64 // in milliseconds
		want int64
	}{
		{"nothing", nil, 0},
		{"the burst", []int64{0, 0}, 0},
		{"one more", []int64{0, 0, 0}, 1},
		{"as they come back", []int64{0, 0, 100, 200, 300}, 0},
		{"a millisecond early", []int64{0, 0, 100, 199}, 1},
		{"twice at the edge of a second", []int64{0, 950, 990, 1000, 1001}, 2},
		{"out of order", []int64{200, 0, 100, 0}, 0},
		{"after a pause", []int64{0, 5000, 5000, 5000}, 1},
	} {
		w := newWindows(ratelimit.PerSecond(10).WithBurst(2))
		for _, at := range c.at {
			w.add(at*1000, 1)
		}
		if got := w.worst(); got != c.want {
			t.Errorf("%s: %d tokens too many; want %d", c.name, got, c.want)
		}
	}
}
