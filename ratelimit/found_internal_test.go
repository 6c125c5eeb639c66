package ratelimit

import (
	"crypto/sha256"
	"math"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"
)

// TestNoPhaseComesBack: neither a clock that is set back, nor a caller who read it before
// others did, takes a limit out of force. All callers have the same phase.
func TestNoPhaseComesBack(t *testing.T) {
	p, err := NewPolicy(PerHour(1).EnforcedFrom(time.Unix(100, 0)), PerHour(1).Named("b").EnforcedFrom(time.Unix(200, 0)))
	if err != nil {
		t.Fatal(err)
	}
	ps := p.phases
	var last *phase
	for i, step := range []struct {
		now                   int64
		enforced, beside      int
		shadow, another, ends bool
	}{
		{99, 2, 0, true, true, false},
		{1, 2, 0, true, false, false},
		{100, 1, 1, false, true, false},
		{99, 1, 1, false, false, false}, // set back
		{199, 1, 1, false, false, false},
		{math.MaxInt64 - 1, 2, 0, false, true, true}, // set forward
		{1, 2, 0, false, false, true},
	} {
		ph := ps.nowAt(step.now)
		if len(ph.policy.limits) != step.enforced || len(ph.policy.beside) != step.beside || ph.shadow != step.shadow || (ph != last) != step.another || (ph.until == math.MaxInt64) != step.ends {
			t.Errorf("step %d: %+v", i, ph)
		}
		last = ph
	}

	for range 200 { // whoever is late does not bring back what was
		ps.current.Store(nil)
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() { ps.nowAt(int64(99 + i%2)) })
		}
		wg.Wait()
		if ph := ps.nowAt(99); ph.shadow {
			t.Fatal("a limit was taken out of force")
		}
	}
}

// TestRefusalsOutOfOrder: callers overtake each other between the clock and the lock.
func TestRefusalsOutOfOrder(t *testing.T) {
	w := watched{top: top{max: 1}}
	key, start := sha256.Sum256(nil), time.Now()
	for _, after := range []time.Duration{2 * time.Second, time.Second, 3 * time.Second, 0, 2 * time.Second} {
		w.add(key, "l", 1, 0, start.Add(after))
	}
	if s := w.counters()[0].seen; !s.first.Equal(start) || !s.last.Equal(start.Add(3*time.Second)) {
		t.Errorf("first %v, last %v", s.first.Sub(start), s.last.Sub(start))
	}
}

// TestTopInAdverseOrders: the bounds hold whatever the order is, and nothing grows.
func TestTopInAdverseOrders(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 26))
	for name, next := range map[string]func(i, most int) int{
		"all are new":          func(i, _ int) int { return i },
		"in turn":              func(i, most int) int { return i % (most + 1) },
		"one, and new ones":    func(i, _ int) int { return i * (i % 2) },
		"half at first":        func(i, most int) int { return min(i%most, i) },
		"new, then in turn":    func(i, most int) int { return max(i-1000, 0) % (2 * most) },
		"each twice":           func(i, _ int) int { return i / 2 },
		"a few more often":     func(int, int) int { return int(rng.ExpFloat64() * 5) },
		"back and forth":       func(i, most int) int { return max(i%(4*most)-2*most, 2*most-i%(4*most)) },
		"any of twice as many": func(_, most int) int { return rng.IntN(2 * most) },
	} {
		for _, most := range []int{1, 2, 3, 10, 64} {
			counted := top{max: most}
			truth := map[refusal]int64{}
			const total = 3000
			for i := range total {
				id := refusal{sha256.Sum256(strconv.AppendInt(nil, int64(next(i, most)), 10)), "l"}
				truth[id]++
				counted.count(id).tokens++
				if c := counted.byID[id]; c == nil || counted.least[c.at] != c {
					t.Fatalf("%s, %d: a counter is lost", name, most)
				}
			}
			sum := int64(0)
			for _, c := range counted.copied() {
				truly := truth[c.id]
				if sum += c.count; c.count < truly || c.count-c.over > truly || c.over > total/int64(most) || c.seen.tokens != c.count-c.over {
					t.Errorf("%s, %d: %d refusals, %+v", name, most, truly, c)
				}
			}
			if n := min(most, len(truth)); sum != total || len(counted.byID) != n || len(counted.least) != n {
				t.Errorf("%s, %d: %d refusals in %d counters", name, most, sum, len(counted.least))
			}
			for id, n := range truth {
				if n > total/int64(most) && counted.byID[id] == nil {
					t.Errorf("%s, %d: one of %d refusals is missing", name, most, n)
				}
			}
		}
	}
}
