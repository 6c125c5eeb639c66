package memory

import (
	"testing"

	"github.com/keyrate/keyrate/ratelimit/gcra"
)

// TestReplaces: replaces reports which of two answers is the later one.
func TestReplaces(t *testing.T) {
	old := observation{tat: gcra.TAT{Micros: 100, Den: 1}, asked: 1000, answered: 2000, at: 50}
	for name, c := range map[string]struct {
		next observation
		want bool
	}{
		"asked afterwards": {observation{tat: gcra.TAT{Micros: 1, Den: 1}, asked: 2000, answered: 3000, at: 60}, true},
		"asked afterwards, of a clock that was set back": {observation{tat: gcra.TAT{Micros: 1, Den: 1}, asked: 2000, answered: 3000, at: 1}, true},
		"asked before that, decided later":               {observation{tat: gcra.TAT{Micros: 1, Den: 1}, asked: 1500, answered: 3000, at: 51}, true},
		"asked before that, decided earlier":             {observation{tat: gcra.TAT{Micros: 999, Den: 1}, asked: 1500, answered: 3000, at: 49}, false},
		"decided together, the larger debt":              {observation{tat: gcra.TAT{Micros: 101, Den: 1}, asked: 1000, answered: 3000, at: 50}, true},
		"decided together, the smaller debt":             {observation{tat: gcra.TAT{Micros: 99, Den: 1}, asked: 1000, answered: 3000, at: 50}, false},
	} {
		if got := c.next.replaces(&old); got != c.want {
			t.Errorf("%s: replaces reports %v; want %v", name, got, c.want)
		}
	}
}
