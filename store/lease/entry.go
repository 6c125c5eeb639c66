package lease

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyrate/keyrate/store"
)

// An entry is what the node has leased for a key under a policy: two pieces at most, the older of
// which is spent first. One trip at a time is on its way.
type entry struct {
	hash   uint64
	home   string
	key    string
	limits []store.Limit // of the request: it never changes
	life   time.Duration
	most   int // tokens that one trip leases

	book   atomic.Pointer[book]
	others atomic.Int64 // tokens that were asked for and not spent of the lease
	quiet  atomic.Int64 // until when no trip is begun in advance

	mu      sync.Mutex
	gone    bool // it is not in the table any more
	drops   int  // how often the pieces were closed before their time
	begun   int  // how many trips
	trip    *trip
	older   *piece
	newer   *piece
	last    int   // tokens that the last trip has leased
	scarce  bool  // they were less than half of what it asked for
	rests   int64 // until when no lease is asked for: the last trip brought none
	spent   int64 // tokens of former pieces
	tally   tally
	counted int64 // tokens that are in the tally
	at      int64 // when they were counted
	seen    int64 // tokens that had been asked for at a tick
	seenAt  int64 // the first tick that found as many
}

// asked returns how many tokens were asked for since the entry was made.
func (e *entry) asked() int64 { return e.others.Load() + e.spent + e.older.spent() + e.newer.spent() }

// wants returns how many tokens a trip should lease: half of what callers ask for in the life of
// a lease, but not many more than the last one brought. It returns 0 if a lease is of no use to
// calls of a cost.
func (e *entry) wants(now int64, cost int) int {
	n := e.asked()
	e.tally = e.tally.add(n-e.counted, now-e.at, e.life)
	e.counted, e.at = n, now
	wants := min(e.tally.wants(), e.most)
	if now < e.rests || !worth(wants, cost) {
		return 0
	}
	return min(wants, 2*e.last+1)
}

// worth reports whether a lease of n tokens is of use to calls of a cost: it covers a few of them.
func worth(n, cost int) bool { return cost <= n/leastWanted }

// leastWanted is how many calls are worth a lease. It costs the shared store what two to three
// decisions cost: the long form of a value, and a settlement.
const leastWanted = 4

// giveBack closes a piece that leaves the entry, and adds its settlement to all.
func (e *entry) giveBack(p *piece, all []store.Settlement) []store.Settlement {
	if p == nil {
		return all
	}
	p.close()
	e.spent += p.spent()
	if p.held() == 0 {
		return all
	}
	return append(all, e.settlement(p, p.held(), p.actual))
}

func (e *entry) settlement(p *piece, held, actual int) store.Settlement {
	return store.Settlement{Home: e.home, Key: e.key, Limits: e.limits, Names: p.names, Held: held, Actual: actual}
}

// drop ends the spending before its time, of what a trip on its way brings as well.
func (e *entry) drop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.drops++
	for _, p := range [2]*piece{e.older, e.newer} {
		if p != nil {
			p.close()
		}
	}
}

// ended gives back what is not spent any more at a tick: all of it if no call came for half a life,
// or if now is the end. The entry is gone if nothing is left.
func (e *entry) ended(now int64, end bool, all []store.Settlement) (_ []store.Settlement, over int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.trip != nil || e.gone {
		return all, 0
	}
	if n := e.asked(); n != e.seen {
		e.seen, e.seenAt = n, now
	}
	idle := end || now-e.seenAt >= int64(e.life)/2
	for _, p := range [2]**piece{&e.older, &e.newer} {
		if *p != nil && (idle || (*p).closed || now >= (*p).deadline) {
			all, over = e.giveBack(*p, all), max(over, (*p).over)
			*p = nil
		}
	}
	if e.older == nil && e.newer == nil {
		e.book.Store(nil)
		e.gone = idle
	}
	return all, over
}
