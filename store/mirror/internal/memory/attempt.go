package memory

import (
	"math"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror/internal/clock"
)

// An Attempt is one request on its way to the shared store and back. It may be used again
// for another request, but not copied.
type Attempt struct {
	Asked int64           // when the question was sent, on this node's clock
	Ended <-chan struct{} // closed when another attempt ends, if [Memory.Before] returned [Wait]

	clock   *clock.Shared // of the part of the shared store that has the key
	owners  owners        // of its buckets
	read    bool          // the store was asked for its debts first
	waits   int           // how often the request has waited for other attempts
	foreign bool          // the request brought its own knowledge
	counted uint8         // a bit for each limit in whose slot the attempt counts as in flight

	// known is what the request hands over. It is here, behind a pointer that is used again:
	// the shared store is an interface, and a new one would be allocated.
	known store.Knowledge
	// carried are the unreported debts that the attempt hands over with no other in flight.
	carried [store.MaxLimits]carried
}

// A carried debt names the state of an observation. The zero carried is none.
type carried struct {
	debt     gcra.Debt
	interval uint32
	asked    int64
}

func (s *slot) carried() carried { return carried{s.debt(), s.interval, s.asked} }

// start fills in r.Known, and counts the attempt as in flight in the slots of the key's
// buckets, unless it costs nothing.
func (sh *shard) start(r *store.Request, a *Attempt) {
	r.Known = nil
	for i := range r.Limits {
		b := &r.Limits[i]
		a.carried[i] = carried{}
		if b.Loan() {
			a.known[i] = store.Known{}
			if r.Cost > 0 {
				sh.hold(a.owners.of(b), held{limit: b, name: inFlight, n: 1, until: a.Asked + longest(gcra.Long)}, a.Asked)
				a.counted |= 1 << i
			}
			continue
		}
		id := a.owners.of(b)
		slot := sh.find(id)
		if slot == nil {
			a.known[i] = store.Known{}
		} else if slot.known(b, &a.known[i], a.Asked, a.clock) {
			r.Known = &a.known
		}
		if r.Cost <= 0 {
			continue
		}
		if slot == nil {
			// A full bucket, seen too long ago to conclude anything from it.
			nothing := observe(b, gcra.Debt{}, a.Asked-int64(staleAfter)-1, 0, 0)
			if slot = sh.put(id, nothing, a.Asked); slot == nil {
				continue
			}
		}
		if slot.unreported && slot.inFlight == 0 {
			a.carried[i] = slot.carried()
		}
		if tokens := most(r, b); uint64(slot.inFlight)+uint64(tokens) <= math.MaxUint32 {
			slot.inFlight += uint32(tokens)
			a.counted |= 1 << i
		}
	}
}

// most returns how many tokens of b a request takes at most.
func most(r *store.Request, b *store.Limit) int {
	if r.Least > 0 {
		return min(r.Cost, b.Burst())
	}
	return r.Cost
}

// end counts the attempt as in flight no more.
func (sh *shard) end(r *store.Request, a *Attempt) {
	if a.counted == 0 {
		return
	}
	for i := range r.Limits {
		id := a.owners.of(&r.Limits[i])
		sh.endOne(id, sh.find(id), a, i, r)
	}
	a.counted = 0
}

// endOne is end for the ith limit. The slot may be nil.
func (sh *shard) endOne(id id, slot *slot, a *Attempt, i int, r *store.Request) {
	b := &r.Limits[i]
	switch {
	case a.counted&(1<<i) == 0:
	case b.Loan():
		sh.release(id, inFlight, 1)
	case slot != nil:
		slot.inFlight -= min(slot.inFlight, uint32(most(r, b))) // other attempts', if the slot was emptied since
		sh.wake(slot)
	}
}

// withInFlight returns the debt if all attempts in flight are admitted on top of it.
func withInFlight(b *store.Limit, debt gcra.Debt, tokens uint32) gcra.Debt {
	cost, ok := b.Cost(int(tokens))
	if !ok {
		return b.Capacity()
	}
	return b.Add(debt, cost)
}
