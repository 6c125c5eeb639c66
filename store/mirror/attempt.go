package mirror

import "github.com/keyrate/keyrate/ratelimit"

// A trip is one call's way to the shared store and back.
type trip struct {
	part  *part
	hash  id
	sent  int64  // on this node's clock
	epoch uint64 // of the part's breaker
	// known is what the call takes along. It is here, behind a pointer that is used
	// again, since the shared store is an interface: it would be allocated.
	known ratelimit.Knowledge
	// counted has a bit for each limit in whose slot the call is among those flying.
	counted uint8
	// took is, of each limit, the ledger of calls admitted here that it takes along, if no
	// other call was on its way.
	took [ratelimit.MaxLimits]ledger
	// unknown says that the call failed, and may have been charged all the same.
	unknown bool
}

// A ledger is the state of a sight that includes calls admitted here; zero is none.
type ledger struct {
	debt ratelimit.Debt
	sent int64
}

// trip returns one for a call that is about to be sent.
func (s *Store) trip(key string) *trip {
	t, ok := s.trips.Get().(*trip)
	if !ok {
		t = new(trip)
	}
	t.part, t.hash, t.counted, t.unknown = s.parts.of(key), s.memory.hash(key), 0, false
	return t
}
