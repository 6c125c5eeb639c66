package testkit

import (
	"slices"
	"testing"
	"time"
)

// silent counts errors that would fail a test.
type silent struct {
	testing.TB
	errors []any
}

func (s *silent) Error(args ...any) { s.errors = append(s.errors, args...) }

// TestReplay: what failed is played again only after a stall, and three times at most.
func TestReplay(t *testing.T) {
	for _, c := range []struct {
		name    string
		failing int // how many tries fail
		stalls  bool
		tries   int
		fails   bool
	}{
		{"passes", 0, false, 1, false},
		{"passes in a stall", 0, true, 1, false},
		{"fails without a stall", 1, false, 1, true},
		{"fails once in a stall", 1, true, 2, false},
		{"fails twice in stalls", 2, true, 3, false},
		{"fails always", 9, true, 3, true},
	} {
		s, tb, tries := &Stalls{due: make([]time.Time, 1)}, &silent{TB: t}, 0
		s.Replay(tb, time.Hour, func(tb testing.TB) {
			if tries++; tries <= c.failing {
				tb.Errorf("try %d", tries)
			}
			if c.stalls {
				s.await(0, time.Now().Add(-2*time.Hour))
				s.came(0, time.Now())
			}
		})
		if tries != c.tries || (len(tb.errors) > 0) != c.fails || c.fails && !slices.Contains(tb.errors, any("try "+string(rune('0'+tries)))) {
			t.Errorf("%s: %d tries with errors %q; want %d, and a failure: %v", c.name, tries, tb.errors, c.tries, c.fails)
		}
	}
}
