package mirror_test

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror"
)

// clocked is a store whose clock can be set, and may drift.
type clocked struct {
	*faulty
	set   atomic.Int64 // in microseconds, by how much
	drift int64        // it loses one microsecond in so many; 0: none
}

func (c *clocked) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	d, err := c.faulty.Take(ctx, r)
	if c.drift != 0 {
		d.Now -= d.Now / c.drift
	}
	d.Now += 1_000_000_000_000 + c.set.Load()
	return d, err
}

// TestClockThatIsSet: OnStep and Check report each step of the shared clock once.
func TestClockThatIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := &clocked{faulty: newFaulty()}
		shared.trip = func() time.Duration { return rand.N(20 * time.Millisecond) }
		var steps []time.Duration
		s := newMirror(t, shared, mirror.Config{OnStep: func(part string, by time.Duration) {
			if part != "" {
				t.Errorf("the part is %q", part)
			}
			steps = append(steps, by.Round(time.Second))
			if by > time.Hour {
				panic("quick, and safe")
			}
		}})
		p := policy(t, ratelimit.PerSecond(1000))
		var want []time.Duration
		for _, by := range []time.Duration{0, -time.Hour, 2 * time.Hour, 500 * time.Millisecond} {
			shared.set.Add(by.Microseconds())
			offer(t, s, p, time.Millisecond, time.Minute)
			if by.Abs() > time.Second {
				want = append(want, by)
			}
			h := s.Check(t.Context())
			warned := strings.Contains(strings.Join(h.Warnings, "\n"), "the clock of the shared store was set by")
			if warned != (len(want) > 0) {
				t.Errorf("set by %v, Check warns of it: %v; %q", by, warned, h.Warnings)
			}
		}
		if len(steps) != len(want) || steps[0] != want[0] || steps[1] != want[1] {
			t.Errorf("the steps are %v; want %v", steps, want)
		}
		time.Sleep(2 * time.Hour)
		if h := s.Check(t.Context()); len(h.Warnings) != 1 || !strings.Contains(h.Warnings[0], "OnStep panicked 1 times") {
			t.Errorf("two hours later Check warns %q", h.Warnings)
		}
	})
}

// TestClockThatDrifts does not count as set, however long it drifts.
func TestClockThatDrifts(t *testing.T) {
	for _, drift := range []int64{10_000, -10_000} {
		synctest.Test(t, func(t *testing.T) {
			shared := &clocked{faulty: newFaulty(), drift: drift}
			shared.trip = func() time.Duration { return rand.N(20 * time.Millisecond) }
			s := newMirror(t, shared, mirror.Config{OnStep: func(_ string, by time.Duration) { t.Errorf("set by %v", by) }})
			offer(t, s, policy(t, ratelimit.PerMinute(1000)), time.Second, 12*time.Hour)
		})
	}
}

// moving is a part whose keys two servers answer while slots move. Their clocks differ.
type moving struct {
	*faulty
	n atomic.Int64
}

func (*moving) Partition(string, string) string { return "redis 10.0.0.1:6379" }

func (m *moving) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	d, err := m.faulty.Take(ctx, r)
	if m.n.Add(1)%2 == 0 {
		d.Now += (2 * time.Second).Microseconds() // a redirection was followed
	}
	return d, err
}

// TestRedirectionsAreNoSteps of a clock: while slots move, two servers answer for one part.
func TestRedirectionsAreNoSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		steps := 0
		s := newMirror(t, &moving{faulty: newFaulty()}, mirror.Config{OnStep: func(string, time.Duration) { steps++ }})
		p := policy(t, ratelimit.PerSecond(5))
		for range 100 {
			take(t, s, "key", p, 0)
			time.Sleep(10 * time.Millisecond)
		}
		if steps > 2 {
			t.Errorf("OnStep was called %d times though no clock was set", steps)
		}
	})
}
