package chaos_test

import (
	"fmt"
	"testing"
	"time"
)

// Notes are what a test would have failed for.
type notes struct {
	testing.TB

	faults []string
	over   bool // one of them is that too much was admitted, which no stall excuses
}

func (n *notes) Errorf(format string, args ...any) {
	n.faults = append(n.faults, fmt.Sprintf(format, args...))
}

func (n *notes) Error(args ...any) { n.faults = append(n.faults, fmt.Sprint(args...)) }

// inQuiet is inPeace for what is no bout. If the machine stalled, what was played proves
// nothing, and is played again: three times at most.
func inQuiet(t *testing.T, play func(t testing.TB)) {
	t.Helper()
	machine()
	for try := 1; ; try++ {
		n, start := &notes{TB: t}, time.Now()
		play(n)
		stalled := machine().Worst(start, time.Now())
		if try < 3 && len(n.faults) > 0 && !n.over && stalled > slow {
			t.Logf("the machine stalled for %v; once more, for: %q", stalled, n.faults)
			continue
		}
		for _, fault := range n.faults {
			t.Error(fault)
		}
		return
	}
}
