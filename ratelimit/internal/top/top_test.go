package top

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"strconv"
	"testing"
)

// TestDenialsInAdverseOrders: the bounds hold whatever the order is, and nothing grows.
func TestDenialsInAdverseOrders(t *testing.T) {
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
			counted := Denials{Max: most}
			truth := map[ID]int64{}
			const total = 3000
			for i := range total {
				id := ID{sha256.Sum256(strconv.AppendInt(nil, int64(next(i, most)), 10)), "l"}
				truth[id]++
				counted.Count(id, 1).Tokens++
				if c := counted.find(id); c == nil || counted.least[c.at] != c {
					t.Fatalf("%s, %d: a counter is lost", name, most)
				}
			}
			sum := int64(0)
			for _, c := range counted.Copy() {
				truly := truth[c.ID]
				if sum += c.Count; c.Count < truly || c.Count-c.Over > truly || c.Over > total/int64(most) || c.Seen.Tokens != c.Count-c.Over {
					t.Errorf("%s, %d: %d denials, %+v", name, most, truly, c)
				}
			}
			if n := min(most, len(truth)); sum != total || len(counted.least) != n {
				t.Errorf("%s, %d: %d denials in %d counters", name, most, sum, len(counted.least))
			}
			for id, n := range truth {
				if n > total/int64(most) && counted.find(id) == nil {
					t.Errorf("%s, %d: one of %d denials is missing", name, most, n)
				}
			}
		}
	}
}

// TestDenialsDoNotGrow: once all places are taken, further IDs allocate nothing.
func TestDenialsDoNotGrow(t *testing.T) {
	counted, i := Denials{Max: 100}, uint64(0)
	next := func() {
		i++
		var number [8]byte
		binary.BigEndian.PutUint64(number[:], i)
		counted.Count(ID{sha256.Sum256(number[:]), "l"}, 1)
	}
	for range 100 {
		next()
	}
	if n := testing.AllocsPerRun(10_000, next); n != 0 || len(counted.heads) != 128 {
		t.Errorf("%v allocations, %d lists", n, len(counted.heads))
	}
}
