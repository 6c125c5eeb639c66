package mirror_test

import (
	"math"

	"github.com/keyrate/keyrate/ratelimit/gcra"
)

// enter adds a cost that was admitted here to what is known, which becomes unreported.
func (n *modelNode) enter(m *model, cost int) {
	if !n.known || m.debt(n) == (gcra.Debt{}) {
		n.seen = math.MinInt16
	}
	for _, at := range []*span{&n.sent, &n.came, &n.tat} {
		*at = m.most(m.plus(at.later(span{}), m.cost(cost)))
	}
	n.known, n.seenBucket.alone = true, true
}

// learn takes in the answer to the request that was at this place.
func (m *model) learn(n *modelNode, c *modelCall, place int) {
	answer := seenBucket{known: true, sent: c.answer.shift(c.sent), came: c.answer, tat: c.answer.shift(c.exec), seen: c.exec}
	old := &n.seenBucket
	switch {
	case !old.known:
		n.seenBucket = answer
	case old.alone:
		m.reconcile(n, c, &answer)
	case !c.crossed, c.exec > old.seen,
		// Of two answers of one instant, the one with the larger debt is later.
		c.exec == old.seen && !m.bySendAt && !answer.tat.less(old.tat),
		c.exec == old.seen && m.bySendAt && !answer.sent.less(old.sent):
		n.seenBucket = answer
	}
	for i := range n.calls {
		if other := &n.calls[i]; other.sendersWait() {
			other.crossed = true
			other.answered = other.answered || m.once == onceAny || m.once == onceLater && i < place
		}
	}
}

// reconcile takes in an answer while the debt is unreported.
func (m *model) reconcile(n *modelNode, c *modelCall, answer *seenBucket) {
	old := &n.seenBucket
	switch m.adds {
	case addsEntered:
		// The shared store did not know of what was admitted since the question was sent.
		since := c.entered.debt()
		old.sent = old.sent.later(m.most(m.plus(answer.sent, since)))
		old.came = old.came.later(m.most(m.plus(answer.came, since)))
		old.tat = old.tat.later(m.most(m.plus(answer.tat, since)))
	case addsAfter, addsSince:
		if c.allowed && (c.exec > old.seen || c.exec == old.seen && m.adds == addsSince) {
			n.enter(m, int(c.cost))
		}
	case addsNothing:
	}
	ended := false
	switch m.ends {
	case endsByTAT:
		ended = !answer.tat.less(old.tat)
	case endsBySent:
		ended = !answer.sent.less(old.sent)
	case endsByCame:
		ended = !answer.came.less(old.sent)
	case endsCovered:
		flight := m.cost(m.inFlight(n))
		if old.seen == math.MinInt16 {
			ended = !answer.sent.less(m.plus(old.sent, flight))
		} else {
			ended = !answer.tat.less(m.plus(old.tat, flight))
		}
		ended = ended || !c.crossed && m.inFlight(n) == 0
	}
	if ended {
		n.seenBucket = *answer
	}
}
