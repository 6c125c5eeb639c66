package mirror_test

import (
	"fmt"
	"math"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

type modelKind uint8

const (
	didTick   modelKind = iota
	didLose             // the shared store loses its data
	didSend             // a node sends a request
	didAlone            // a node decides a request without the shared store, which refused it or is down
	didExec             // a request is executed
	didMute             // a request is executed, and its answer is lost
	didArrive           // its answer arrives
	didRefuse           // it was not executed, and the sender knows it
	didExpire           // the sender gives it up, and does not know whether it was executed
)

// modelStep is one step of a model.
type modelStep struct {
	kind modelKind
	node uint8
	arg  uint8 // the cost, or the number of the request
}

func (a modelStep) String() string {
	name := string(rune('A' + a.node))
	switch a.kind {
	case didTick:
		return "a tick"
	case didLose:
		return "the shared store loses its data"
	case didSend, didAlone:
		return fmt.Sprintf("%s %s a request of %d", name, [...]string{"sends", "decides alone"}[a.kind-didSend], a.arg)
	default:
		return fmt.Sprintf("%s%d %s", name, a.arg, [...]string{"is executed", "is executed, its answer lost", "is answered", "is refused", "is given up"}[a.kind-didExec])
	}
}

// steps appends the steps that can come next.
func (m *model) steps(w *world, all []modelStep) []modelStep {
	if m.ticks == 0 || int(w.ticks) < m.ticks {
		all = append(all, modelStep{kind: didTick})
	}
	if int(w.losses) < m.losses && w.store != (span{}) {
		all = append(all, modelStep{kind: didLose})
	}
	for i := range m.nodes {
		if i == 0 || w.nodes[i] != w.nodes[i-1] {
			all = m.stepsOf(w, i, all)
		}
	}
	return all
}

func (m *model) stepsOf(w *world, i int, all []modelStep) []modelStep {
	n := &w.nodes[i]
	unsure := int(w.unknown) < m.unknown && !n.firm
	flight, free := 0, false
	for j := range n.calls {
		c := &n.calls[j]
		add := func(k modelKind, can bool) {
			if can {
				all = append(all, modelStep{k, uint8(i), uint8(j)})
			}
		}
		free = free || c.phase == nowhere
		if c.sendersWait() {
			flight++
		}
		inTime := m.trip < 0 || int(c.sent)+m.trip*int(m.tick) >= 0
		add(didExec, c.phase == out && inTime || c.phase == lost)
		add(didMute, c.phase == out && inTime && unsure)
		add(didRefuse, c.phase == out && !n.firm)
		add(didExpire, c.phase == out && unsure || c.phase == mute)
		add(didArrive, c.phase == done)
	}
	for _, cost := range m.costs {
		if free && flight < m.flights {
			all = append(all, modelStep{didSend, uint8(i), uint8(cost)})
		}
		if !n.firm {
			all = append(all, modelStep{didAlone, uint8(i), uint8(cost)})
		}
	}
	return all
}

// do makes a step, and reports whether that changes anything.
func (m *model) do(w *world, a modelStep) bool {
	n := &w.nodes[a.node]
	c := &n.calls[a.arg%modelCalls]
	it := *c
	switch a.kind {
	case didTick:
		m.tickOn(w)
	case didLose:
		w.losses++
		w.store = span{}
		m.grantLoss(w)
	case didSend:
		return m.send(w, n, int(a.arg))
	case didAlone:
		return m.alone(w, n, &modelCall{cost: a.arg}, true)
	case didExec:
		m.execute(w, c, false)
	case didMute:
		w.unknown++
		m.execute(w, c, true)
	case didArrive:
		*c = modelCall{}
		m.learn(n, &it, int(a.arg))
	case didRefuse:
		*c = modelCall{}
		m.alone(w, n, &it, true)
	case didExpire:
		*c = modelCall{}
		if it.phase == out {
			w.unknown++
			*c = modelCall{phase: lost, cost: it.cost, debt: it.debt, tat: it.tat}
		}
		m.alone(w, n, &it, false)
	}
	return true
}

func (m *model) tickOn(w *world) {
	if m.ticks != 0 {
		w.ticks++
	}
	w.meter = max(w.meter-m.unit*int32(m.tick), 0)
	w.store = w.store.shift(-m.tick)
	for i := range m.nodes {
		n := &w.nodes[i]
		n.share = n.share.shift(-m.tick)
		n.sent, n.came, n.tat = n.sent.shift(-m.tick), n.came.shift(-m.tick), n.tat.shift(-m.tick)
		n.seen = max(n.seen, math.MinInt16+m.tick) - m.tick
		for j := range n.calls {
			if c := &n.calls[j]; c.phase != nowhere {
				c.sent, c.exec, c.tat = c.sent-m.tick, c.exec-m.tick, c.tat.shift(-m.tick)
			}
		}
	}
}

// send asks the shared store, unless what is known denies the request, or it has to wait.
func (m *model) send(w *world, n *modelNode, cost int) bool {
	if !n.seenBucket.alone && !m.full.Fits(m.full.Add(owed(m.full, n.sent), m.cost(cost))) {
		m.denied(w, cost)
		return false
	}
	if m.follow && !m.full.Fits(m.full.Add(m.expected(n), m.cost(cost))) {
		return false
	}
	for i := range n.calls {
		if n.calls[i].bare && !m.noDrain {
			return false
		}
	}
	for i := range n.calls {
		if c := &n.calls[i]; c.phase == nowhere {
			*c = modelCall{phase: out, cost: uint8(cost), counted: n.known || !m.seldom, debt: spanOf(m.debt(n))}
			if c.debt != (span{}) {
				c.tat = n.tat
			}
			break
		}
	}
	return true
}

// debt returns what is known, as it is handed over and decides alone.
func (m *model) debt(n *modelNode) gcra.Debt {
	if m.bySend {
		return owed(m.full, n.sent)
	}
	return owed(m.full, n.came)
}

// execute executes a request in the shared store.
func (m *model) execute(w *world, c *modelCall, silent bool) {
	known := store.Known{}
	if c.debt != (span{}) && !m.noCarry {
		known.Debt = c.debt.debt()
		if !m.noTAT {
			known.TAT = gcra.TAT{Micros: int64(c.tat.us), Frac: uint32(c.tat.frac), Den: m.full.Denominator()}
		}
	}
	debt := m.full.Merge(owed(m.full, w.store), known.Debt, known.TAT, 0)
	after := m.full.Add(debt, m.cost(int(c.cost)))
	allowed := m.full.Fits(after)
	if allowed {
		w.store, debt = spanOf(after), after
	}
	unheard := c.phase == lost || silent
	if allowed {
		m.charged(w, int(c.cost), !unheard)
	}
	switch {
	case c.phase == lost:
		*c = modelCall{}
	case silent:
		c.phase = mute
	default:
		c.phase, c.allowed, c.answer, c.exec = done, allowed, spanOf(debt), 0
		c.debt, c.tat = span{}, span{}
	}
}

// expected returns what is known, and what the requests in flight will add.
func (m *model) expected(n *modelNode) gcra.Debt {
	debt, flight := m.debt(n), m.inFlight(n)
	if flight == 0 || m.noFlight {
		return debt
	}
	if debt = m.full.Add(debt, m.cost(flight)); flight > m.full.Burst() || !m.full.Fits(debt) {
		return m.full.Capacity()
	}
	return debt
}

// inFlight returns what a node's requests in flight cost.
func (m *model) inFlight(n *modelNode) (tokens int) {
	for i := range n.calls {
		if c := &n.calls[i]; c.counted {
			tokens += int(c.cost)
		}
	}
	return tokens
}

// alone decides a request by the bucket of the node's share, whose debt is at least the expected
// one, as a time. certain reports that the shared store did not execute it.
func (m *model) alone(w *world, n *modelNode, c *modelCall, certain bool) bool {
	expected := m.expected(n)
	if expected.Frac != 0 && m.part.Denominator() != m.full.Denominator() {
		expected = gcra.Debt{Micros: expected.Micros + 1}
	}
	cost, ok := m.part.Cost(int(c.cost))
	share := m.part.Add(m.part.Merge(owed(m.part, n.share), expected, gcra.TAT{}, 0), cost)
	if !ok || !m.part.Fits(share) {
		return false
	}
	n.share = spanOf(share)
	m.charged(w, int(c.cost), true)
	for i := range n.calls {
		if other := &n.calls[i]; other.sendersWait() {
			other.bare, other.crossed = true, true
			other.entered = m.plus(other.entered, m.cost(int(c.cost)))
		}
	}
	if !certain && c.answered && !n.seenBucket.alone {
		// A later answer may include it: the larger of both.
		least := m.plus(c.debt, m.cost(int(c.cost))).shift(c.sent)
		if n.sent.less(least) {
			n.seenBucket = seenBucket{known: true, alone: true, sent: least, came: least, tat: least, seen: math.MinInt16}
		}
		return true
	}
	n.enter(m, int(c.cost))
	return true
}
