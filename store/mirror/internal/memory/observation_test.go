package memory

import "testing"

// TestReplaces: replaces reports which of two answers is the later one.
func TestReplaces(t *testing.T) {
	old := observation{interval: observedBit, micros: 100, asked: 1000, answered: 2000, at: 50}
	for name, c := range map[string]struct {
		next observation
		want bool
	}{
		"asked afterwards": {observation{interval: observedBit, micros: 1, asked: 2000, answered: 3000, at: 60}, true},
		"asked afterwards, of a clock that was set back": {observation{interval: observedBit, micros: 1, asked: 2000, answered: 3000, at: 1}, true},
		"asked before that, decided later":               {observation{interval: observedBit, micros: 1, asked: 1500, answered: 3000, at: 51}, true},
		"asked before that, decided earlier":             {observation{interval: observedBit, micros: 999, asked: 1500, answered: 3000, at: 49}, false},
		"decided together, the larger debt":              {observation{interval: observedBit, micros: 101, asked: 1000, answered: 3000, at: 50}, true},
		"of another interval, decided earlier":           {observation{interval: observedBit | 1, micros: 1, asked: 1500, answered: 3000, at: 49}, true},
		"decided together, the smaller debt":             {observation{interval: observedBit, micros: 99, asked: 1000, answered: 3000, at: 50}, false},
	} {
		if got := c.next.replaces(&old); got != c.want {
			t.Errorf("%s: replaces reports %v; want %v", name, got, c.want)
		}
	}
}
