package memstore

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// overflow holds the buckets that keys share for which the table has no room. The
// debt of a shared bucket counts for all keys that use it, so none of them can gain;
// only time takes debt off it.
//
// Limits share a bucket only if the times they take to refill are within a factor
// of two, so that no caller waits for more than twice its own limit's refill because
// of another's. Which bucket it is depends on the keyed hash of key and limit: a caller
// cannot choose with whom to share.
type overflow struct {
	until atomic.Int64 // all are full from then on; 0 from the start
	each  int          // buckets of a class, a power of two; 0 means perClass
	mu    sync.Mutex
	tats  []gcra.TAT // by class; nil until first needed
}

const (
	classes  = 50 // bits in the microseconds of MaxRefill, and one for less than one
	perClass = 64 // the fewest
)

// overflowEach returns how many buckets a class has in a store of so many: 4,096 in one
// of a million, so that a flood must spend that many bursts before newcomers wait. They
// take 4 bytes for each bucket of the store.
func overflowEach(maxKeys int) int { return 1 << (bits.Len(uint(max(maxKeys/200, perClass))) - 1) }

// owes reports whether any overflow bucket is in debt.
func (o *overflow) owes(now int64) bool { return o.until.Load() > now }

// debt returns the debt of the overflow bucket that id falls into, at most the
// capacity of b. What is above it is other keys' and stays.
func (o *overflow) debt(b *store.Limit, id id, now int64) gcra.Debt {
	o.mu.Lock()
	defer o.mu.Unlock()
	d, _ := b.DebtAt(*o.bucket(b, id), now)
	return d
}

// charge adds the cost of n tokens to the overflow bucket that id falls into. It
// then owes no less than after, the debt that the caller saw.
func (o *overflow) charge(b *store.Limit, id id, n int, after gcra.Debt, now int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	tat := o.bucket(b, id)
	if tat.Micros < now {
		*tat = gcra.TAT{Micros: now, Den: b.Denominator()}
	}
	if tat.Den != b.Denominator() && tat.Frac != 0 {
		tat.Micros++
		tat.Frac = 0
	}
	cost, _ := b.Cost(n)
	debt := b.Add(gcra.Debt{Micros: tat.Micros - now, Frac: tat.Frac}, cost)
	if debt.Less(after) {
		debt = after
	}
	*tat = gcra.TAT{Micros: now + debt.Micros, Frac: debt.Frac, Den: b.Denominator()} // of no interval: limits share it
	o.until.Store(max(o.until.Load(), tat.Micros+1))
}

// bucket returns the bucket that id falls into.
func (o *overflow) bucket(b *store.Limit, id id) *gcra.TAT {
	each := max(o.each, perClass)
	if o.tats == nil {
		o.tats = make([]gcra.TAT, classes*each)
	}
	return &o.tats[bits.Len64(uint64(b.Capacity().Micros))*each+int(id.limit%uint64(each))]
}
