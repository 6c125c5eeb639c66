package mirror_test

// The meter of a world is a bucket that has no bounds, never fails and forgets nothing.
//
// Either it is charged with all that is admitted. Then its debt is the largest, over all
// windows that end now, of what was admitted less what the rate makes in that time. It stays
// within the burst if no more than B + r*T is admitted in any window T.
//
// Or it is the ideal: it is charged with requests whose answers were lost as well. Then no node
// may claim to know of a larger debt.

// charged counts a request when it is executed, or is decided alone. heard reports whether its
// client gets the answer.
func (m *model) charged(w *world, cost int, heard bool) {
	switch {
	case m.sound:
		w.meter = min(w.meter+m.parts(m.cost(cost)), m.ideal)
	case heard:
		w.meter += m.parts(m.cost(cost))
	}
}

// grantLoss subtracts what a loss of data may cost a single node: what is in flight.
func (m *model) grantLoss(w *world) {
	if m.forgive {
		flight := min(m.inFlight(&w.nodes[0]), m.full.Burst())
		w.meter = max(w.meter-m.parts(m.cost(flight)), 0)
	}
}

// excess returns how many tokens more than the burst were admitted.
func (m *model) excess(meter int32) float64 {
	return float64(meter-m.parts(m.full.Capacity())) / float64(m.parts(m.cost(1)))
}

func (m *model) spared() int32 { return m.parts(m.cost(1)) * int32(m.spare) }

// denied checks a denial that was given without asking.
func (m *model) denied(w *world, cost int) {
	if m.sound && w.meter+m.spared()+m.parts(m.cost(cost)) <= m.parts(m.full.Capacity()) {
		m.fault = "a request was denied that the shared store would have admitted"
	}
}

// check returns what is wrong with a world that was reached.
func (m *model) check(w *world) string {
	switch {
	case m.fault != "":
		return m.fault
	case !m.sound && w.meter > m.parts(m.full.Capacity())+m.spared():
		return "more was admitted than the bound"
	case !m.sound:
		return ""
	case m.parts(owed(m.full, w.store)) > w.meter+m.spared():
		return "the shared store was charged with more than is owed"
	}
	for i := range m.nodes {
		debt := owed(m.full, w.nodes[i].sent)
		if m.parts(debt) > w.meter+m.spared() {
			return "more is known than is owed"
		}
		if m.away == 0 && m.losses == 0 && owed(m.full, w.store).Less(debt) {
			return "more is known than the shared store has"
		}
	}
	return ""
}
