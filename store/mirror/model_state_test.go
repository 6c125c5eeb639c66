package mirror_test

import (
	"hash/maphash"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// This is a model of the mirror: its rules, on one bucket, written a second time and as small as
// possible, so that all their interleavings can be searched. Its arithmetic is the real one,
// [gcra.Rate].
//
// All times are relative to now, and what is too old to matter is forgotten: so states with the
// same future are the same state, whenever they are reached. There are finitely many, and a
// search that ends has covered histories of any length.

// A modelled is the rules of a model. The zero value of each rule keeps all bounds. The other
// values show what the rule is for.
type modelled struct {
	limit   ratelimit.Limit
	nodes   int
	away    int   // nodes that may find the shared store down; the others always reach it
	tick    int16 // microseconds
	costs   []int // of requests
	flights int   // requests of a node in flight, at most
	losses  int   // how often the shared store loses its data
	unknown int   // requests whose answers are lost, at most
	ticks   int   // how long it all takes; 0: any time, -1: none
	trip    int   // ticks from question to execution, at most, unless it is given up; -1: any number

	sound   bool // the meter is the ideal debt; otherwise it is what was admitted
	forgive bool // less what was in flight at a loss of data
	spare   int  // tokens by which the meter's bound may be exceeded

	noCarry  bool       // nothing is handed over
	noTAT    bool       // the aged debt alone is handed over
	noFlight bool       // what is in flight does not count when a request is decided alone
	seldom   bool       // it counts only if something was known when it was sent
	noDrain  bool       // requests are sent while others are in flight that did not hand over everything
	follow   bool       // then at least no request is sent that does not fit with those in flight
	bySend   bool       // what is known is always dated by its question
	bySendAt bool       // two answers of one instant are ordered by their questions
	adds     modelAdds  // what an answer adds to an unreported debt
	ends     modelEnds  // when an unreported debt ends
	once     modelSince // whether a request whose answer was lost counts once, if another answer may include it
}

type modelAdds uint8

const (
	addsEntered modelAdds = iota // the answer and what was admitted since its question, if that is more
	addsAfter                    // the cost, if the request was executed after the unreported debt began
	addsSince                    // the same, or at the same instant
	addsNothing
)

type modelEnds uint8

const (
	endsByTAT   modelEnds = iota // an answer that owes as much, on the shared store's clock
	endsBySent                   // dated by its question
	endsByCame                   // dated by its arrival
	endsCovered                  // one that owes as much and what is in flight; or the last in flight, if it handed over everything
)

type modelSince uint8

const (
	onceNever modelSince = iota
	onceLater            // an answer to a request that was sent later
	onceAny              // any answer since then
)

// span is a debt, or an instant relative to now: in microseconds and a fraction with the
// limit's own denominator.
type span struct{ us, frac int16 }

// seenBucket is what a node knows of the bucket.
type seenBucket struct {
	known bool
	alone bool // unreported: it includes requests that were admitted here
	sent  span // when nothing is left of the debt, dated by its question: a lower bound
	came  span // dated by the answer: an upper bound
	tat   span // the same on the shared store's clock
	seen  int16
}

type modelPhase uint8

const (
	nowhere modelPhase = iota
	out                // not yet executed
	done               // executed, the answer is on its way
	mute               // executed, and the answer is lost; the sender does not know yet
	lost               // given up by the sender, and may still be executed
)

type modelCall struct {
	phase    modelPhase
	cost     uint8
	allowed  bool
	counted  bool  // as in flight
	answered bool  // by another answer, which may include it
	crossed  bool  // what is known has changed since it was sent
	bare     bool  // a request was admitted alone since it was sent
	entered  span  // what those requests cost
	sent     int16 // when
	exec     int16 // when it was executed
	answer   span  // the debt of the answer
	debt     span  // what it hands over
	tat      span
}

// sendersWait reports whether the sender waits for the answer.
func (c *modelCall) sendersWait() bool { return c.phase != nowhere && c.phase != lost }

const (
	modelCalls = 4
	modelNodes = 3
)

type modelNode struct {
	seenBucket
	firm  bool // it always reaches the shared store
	share span // when the bucket of its share is full
	calls [modelCalls]modelCall
}

// world is a state of the model.
type world struct {
	store   span // when the bucket is full
	nodes   [modelNodes]modelNode
	losses  uint8
	unknown uint8
	ticks   uint8
	// meter is a debt, in parts of a microsecond, that decides nothing: of two worlds
	// that differ in it alone, one is the worse.
	meter int32
}

type model struct {
	modelled
	full, part *store.Limit // the limit's, and a node's share
	seed       maphash.Seed
	unit       int32  // parts of a microsecond
	ideal      int32  // the most that the ideal owes
	horizon    int16  // nothing longer ago than this matters
	fault      string // what was wrong with the last step
}

func newModel(t testing.TB, r modelled) *model {
	t.Helper()
	whole := policy(t, r.limit)
	l := r.limit
	// A node's share: rate/nodes, with a burst of max(1, floor(burst/nodes)).
	part := policy(t, ratelimit.Limit{
		Rate: l.Rate, Period: l.Period * time.Duration(r.nodes), Burst: max(1, l.Burst/r.nodes),
	})
	m := &model{modelled: r, full: &whole[0], part: &part[0], seed: maphash.MakeSeed()}
	m.unit = int32(m.full.Denominator())
	m.horizon = 2*int16(m.full.Capacity().Micros) + 2
	// What is admitted beyond the limit is owed as well, up to a bound: the search must end.
	m.ideal = 3 * m.parts(m.full.Capacity())
	return m
}

// start returns the world in which nothing has happened.
func (m *model) start() (w world) {
	for i := range m.nodes {
		w.nodes[i].firm = i >= m.away
	}
	m.same(&w)
	return w
}

func (s span) debt() gcra.Debt { return gcra.Debt{Micros: int64(s.us), Frac: uint32(s.frac)} }

func spanOf(d gcra.Debt) span { return span{int16(d.Micros), int16(d.Frac)} }

func (s span) less(o span) bool { return s.us < o.us || s.us == o.us && s.frac < o.frac }

func (s span) shift(us int16) span { return span{s.us + us, s.frac} }

// later returns the later of two instants.
func (s span) later(o span) span {
	if s.less(o) {
		return o
	}
	return s
}

// plus returns an instant or a debt, and a debt more.
func (m *model) plus(s span, d gcra.Debt) span {
	return spanOf(m.full.Add(gcra.Debt{Frac: uint32(s.frac)}, d)).shift(s.us)
}

// most returns an instant, but no later than a bucket can be full.
func (m *model) most(s span) span {
	if capacity := spanOf(m.full.Capacity()); capacity.less(s) {
		return capacity
	}
	return s
}

// owed returns the debt now of a bucket that will be full at an instant, clamped.
func owed(b *store.Limit, full span) gcra.Debt {
	d, _ := b.DebtAt(gcra.TAT{Micros: int64(full.us), Frac: uint32(full.frac), Den: b.Denominator()}, 0)
	return d
}

func (m *model) cost(n int) gcra.Debt {
	if d, ok := m.full.Cost(n); ok {
		return d
	}
	return m.full.Capacity()
}

func (m *model) parts(d gcra.Debt) int32 { return int32(d.Micros)*m.unit + int32(d.Frac) }

// same makes worlds with the same future equal. Nodes have no order; it returns where each
// one went.
func (m *model) same(w *world) (order [modelNodes]int) {
	for i := range m.nodes {
		w.nodes[i].forget(m)
	}
	w.store = w.store.later(span{})
	var hashes [modelNodes]uint64
	for i := range m.nodes {
		hashes[i], order[i] = maphash.Comparable(m.seed, w.nodes[i]), i
	}
	for i := 1; i < m.nodes; i++ {
		for j := i; j > 0 && hashes[j] < hashes[j-1]; j-- {
			hashes[j], hashes[j-1] = hashes[j-1], hashes[j]
			order[j], order[j-1] = order[j-1], order[j]
			w.nodes[j], w.nodes[j-1] = w.nodes[j-1], w.nodes[j]
		}
	}
	return order
}

// forget makes what is too old as old as can be.
func (n *modelNode) forget(m *model) {
	k, first := 0, int16(0)
	for _, c := range n.calls {
		if c.phase != nowhere {
			c.forget(m)
			n.calls[k] = c
			k++
		}
		if c.phase == done {
			first = min(first, c.exec)
		}
	}
	clear(n.calls[k:])
	n.share = n.share.later(span{})
	s := &n.seenBucket
	s.sent, s.came, s.tat = s.sent.later(span{}), s.came.later(span{}), s.tat.later(span{})
	s.seen = max(s.seen, first-1)
	if !s.known || k == 0 && s.sent == (span{}) && s.came == (span{}) && s.tat == (span{}) {
		*s = seenBucket{}
	}
}

func (c *modelCall) forget(m *model) {
	if old := -m.horizon - c.sent; old > 0 {
		// What was admitted since may keep it from being forgotten.
		if c.sent += old; c.entered.us >= old && m.adds == addsEntered {
			c.entered.us, c.exec = c.entered.us-old, min(c.exec+old, 0)
		} else {
			c.entered = span{}
		}
	}
	c.exec = max(c.exec, -m.horizon)
	if c.tat = c.tat.later(span{}); c.phase == lost {
		if c.sent = 0; c.tat == (span{}) && !m.noTAT {
			c.debt = span{}
		}
	}
}
