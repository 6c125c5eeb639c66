package testkit

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// Replay plays a test, and plays it again if it failed while the machine stalled for
// longer than tolerated: three times at most, and the last result counts. Only Error
// and Errorf are held back until then; Fatal and Fail end the test at once.
func (s *Stalls) Replay(tb testing.TB, tolerated time.Duration, play func(tb testing.TB)) {
	tb.Helper()
	for try := 1; ; try++ {
		p, start := &played{TB: tb}, time.Now()
		play(p)
		faults, stalled := p.end(), s.Worst(start, time.Now())
		if try < 3 && len(faults) > 0 && stalled > tolerated {
			tb.Logf("the machine stalled for %v; once more, for: %q", stalled, faults)
			continue
		}
		for _, fault := range faults {
			tb.Error(fault)
		}
		return
	}
}

// A played test holds errors back until it ends.
type played struct {
	testing.TB

	mu     sync.Mutex
	faults []string
	ended  bool
}

func (p *played) end() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	return p.faults
}

func (p *played) Error(args ...any) {
	p.TB.Helper()
	p.fault(fmt.Sprint(args...))
}

func (p *played) Errorf(format string, args ...any) {
	p.TB.Helper()
	p.fault(fmt.Sprintf(format, args...))
}

func (p *played) fault(text string) {
	p.TB.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended { // as in a Cleanup
		p.TB.Error(text)
		return
	}
	p.faults = append(p.faults, text)
}
