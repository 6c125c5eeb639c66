package chaos_test

import (
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// A foreseen bucket computes what each decision about one key must be, by the store's own
// clock: however late a call comes, its decision is known. The time of a token must be a
// whole number of microseconds.
type foreseen struct {
	windows
	token, capacity, full int64 // in microseconds
	wrong                 int
}

func newForeseen(l ratelimit.Limit) *foreseen {
	w := newWindows(l)
	token := l.Period.Microseconds() / int64(l.Rate)
	return &foreseen{windows: *w, token: token, capacity: int64(w.burst) * token}
}

// took checks the next decision about a token.
func (f *foreseen) took(t testing.TB, d store.Decision) {
	t.Helper()
	after := max(0, f.full-d.Now) + f.token
	want := after <= f.capacity
	if want {
		f.full = d.Now + after
	}
	if d.Allowed != want {
		if f.wrong++; f.wrong <= 3 {
			t.Errorf("%v: call at %d µs with %d µs of debt: allowed=%v; want %v", f.limit, d.Now, after-f.token, d.Allowed, want)
		}
	}
	if d.Allowed {
		f.add(d.Now, 1)
	}
}

// since returns the time from the first admitted call to a time on the store's clock.
func (f *foreseen) since(now int64) time.Duration {
	if len(f.calls) == 0 {
		return 0
	}
	return time.Duration(now-f.calls[0].At) * time.Microsecond
}

// counted counts errors that would fail a test.
type counted struct {
	testing.TB
	faults int
}

func (c *counted) Errorf(string, ...any) { c.faults++ }

// TestForeseen is the control: foreseen finds a decision that is wrong by a microsecond.
func TestForeseen(t *testing.T) {
	for _, c := range []struct {
		name    string
		at      []int64 // in microseconds
		allowed string
		wrong   int
	}{
		{"the burst", []int64{0, 0, 0}, "110", 0},
		{"one too many", []int64{0, 0, 0}, "111", 1},
		{"one too few", []int64{0, 0}, "10", 1},
		{"as they come back", []int64{0, 0, 99_999, 100_000, 199_999, 200_000}, "110101", 0},
		{"a microsecond early", []int64{0, 0, 99_999}, "111", 1},
		{"a microsecond late", []int64{0, 0, 100_000}, "110", 1},
		{"full after a stall", []int64{0, 0, 5_000_000, 5_000_000, 5_000_000}, "11110", 0},
	} {
		f, n := newForeseen(ratelimit.PerSecond(10).WithBurst(2)), &counted{TB: t}
		for i, at := range c.at {
			f.took(n, store.Decision{Now: at, Allowed: c.allowed[i] == '1'})
		}
		if f.wrong != c.wrong || n.faults != c.wrong {
			t.Errorf("%s: %d wrong decisions, %d reported; want %d", c.name, f.wrong, n.faults, c.wrong)
		}
	}
}
