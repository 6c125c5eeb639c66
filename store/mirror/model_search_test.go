package mirror_test

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
)

// found is the result of a search.
type found struct {
	states int
	steps  int      // of the longest shortest way to a state
	whole  bool     // there is no state beyond
	worst  int32    // the meter, at its worst
	fault  string   // the first that was found wrong
	way    []string // the shortest way to it, or to the worst
}

// search visits all worlds that can be reached, the nearest first: so it finds a fault in the
// fewest steps. It gives up after most worlds.
//
// A 64-bit hash stands for a world: among a million, the chance that any two are taken for one
// is one in thirty million. Of worlds that differ in the meter alone, one that is no worse than
// an earlier one is skipped: the other leads to all that it leads to, and worse.
func (m *model) search(most int) (f found) {
	type came struct {
		from int32
		by   modelStep
	}
	var (
		seen      = make(map[uint64]int32)
		ways      = []came{{}}
		now, next = []world{m.start()}, []world(nil)
		first     int32 // the way to now[0]
		steps     []modelStep
		worst     int32 // the way to it
	)
	isNew := func(w *world) bool {
		alike := *w
		alike.meter = 0
		hash := maphash.Comparable(m.seed, alike)
		before, ok := seen[hash]
		if ok && (m.sound && before <= w.meter || !m.sound && before >= w.meter) {
			return false
		}
		seen[hash] = w.meter
		return true
	}
	isNew(&now[0])
search:
	for f.whole = true; len(now) > 0; f.steps++ {
		last := first
		first, next = int32(len(ways)), next[:0]
		for i := range now {
			steps = m.steps(&now[i], steps[:0])
			for _, step := range steps {
				w := now[i]
				m.fault = ""
				if changed := m.do(&w, step); !changed && m.fault == "" {
					continue
				}
				m.same(&w)
				if f.fault = m.check(&w); f.fault == "" && !isNew(&w) {
					continue
				}
				ways = append(ways, came{last + int32(i), step})
				if f.fault != "" || !m.sound && w.meter > f.worst {
					f.worst, worst = w.meter, int32(len(ways)-1)
				}
				if f.fault != "" || len(seen) >= most {
					f.whole = false
					break search
				}
				next = append(next, w)
			}
		}
		now, next = next, now
	}
	f.states = len(seen)
	var way []modelStep
	for ; worst > 0; worst = ways[worst].from {
		way = append(way, ways[worst].by)
	}
	slices.Reverse(way)
	f.way = m.describe(way)
	return f
}

// describe goes a way again and returns what happens. Nodes and requests keep their names.
func (m *model) describe(way []modelStep) (said []string) {
	w := m.start()
	var calls [modelNodes][modelCalls]uint8
	names := [modelNodes]uint8{0, 1, 2}
	sent := uint8(0)
	for _, step := range way {
		as := step
		as.node = names[step.node]
		if as.kind > didAlone {
			as.arg = calls[step.node][step.arg]
		}
		before := w
		m.fault = ""
		changed := m.do(&w, step)
		if step.kind == didSend && changed {
			sent++
			for i := range w.nodes[step.node].calls {
				if before.nodes[step.node].calls[i].phase == nowhere && w.nodes[step.node].calls[i].phase != nowhere {
					calls[step.node][i] = sent
				}
			}
		}
		said = append(said, as.String()+m.effect(&before, &w, step, sent, changed))
		var kept [modelNodes][modelCalls]uint8
		for i := range m.nodes {
			k := 0
			for j, c := range w.nodes[i].calls {
				if c.phase != nowhere {
					kept[i][k] = calls[i][j]
					k++
				}
			}
		}
		old := names
		for i, from := range m.same(&w) {
			if i < m.nodes {
				names[i], calls[i] = old[from], kept[from]
			}
		}
	}
	return said
}

func (m *model) effect(before, after *world, a modelStep, number uint8, changed bool) string {
	n := &after.nodes[a.node]
	switch a.kind {
	case didSend:
		if !changed {
			return ": it is denied here"
		}
		return fmt.Sprintf(", number %d, and knows %s", number, m.knows(n))
	case didAlone, didRefuse, didExpire:
		if before.nodes[a.node].share == n.share {
			return ": denied alone"
		}
		return ": admitted alone; it knows " + m.knows(n)
	case didExec, didMute:
		return ": the shared store is owed " + m.tokens(after.store)
	case didArrive:
		return ": it knows " + m.knows(n)
	case didTick, didLose:
	}
	return ""
}

func (m *model) knows(n *modelNode) string {
	what := m.tokens(n.sent)
	if m.debt(n) != owed(m.full, n.sent) {
		what += " to " + m.tokens(n.came)
	}
	if n.seenBucket.alone {
		return "an unreported debt of " + what
	}
	return what
}

// tokens returns a debt in tokens.
func (m *model) tokens(s span) string {
	return fmt.Sprintf("%.3g", float64(m.parts(owed(m.full, s)))/float64(m.parts(m.cost(1))))
}

func (f *found) String() string { return f.fault + "\n\t" + strings.Join(f.way, "\n\t") }
