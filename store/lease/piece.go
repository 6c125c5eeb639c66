package lease

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

const (
	mostLife  = 950 * time.Millisecond // the shared store keeps what is held for 1 s at least
	leastLife = 20 * time.Millisecond
	// overAfter is when the shared store has charged what nothing has settled.
	overAfter = 2 * int64(time.Second)
)

// lifeOf returns how long a node may spend what it leases of limits, 0 if it cannot: half the time
// in which the bucket of any of them fills up. most is how much one lease may be, a quarter of the
// least burst: two nodes leave half of it to the others.
func lifeOf(limits []store.Limit) (life time.Duration, most int) {
	life, most = mostLife, math.MaxInt
	for i := range limits {
		l := &limits[i]
		if l.Loan() {
			return 0, 0
		}
		life = min(life, time.Duration(l.Capacity().Micros)*time.Microsecond/2)
		most = min(most, l.Burst()/4)
	}
	if life < leastLife {
		return 0, 0
	}
	return life, most
}

// A piece is what one trip has leased. Callers spend it without a lock.
type piece struct {
	names    [store.MaxLimits]int64
	granted  int
	deadline int64 // when the node must stop spending
	over     int64 // when the shared store has charged the rest
	left     atomic.Int64

	// Under the lock of the entry:
	settled int  // tokens that are a debt at the shared store
	closed  bool // nothing can be spent any more
	actual  int  // of a closed one: tokens that were spent and are not settled
}

// ended is what is left of a closed piece.
const ended = math.MinInt64 / 2

// spend spends n tokens and returns how many are left.
func (p *piece) spend(n int, now int64) (left int64, ok bool) {
	if p == nil || now >= p.deadline {
		return 0, false
	}
	for {
		had := p.left.Load()
		if had < int64(n) {
			return 0, false
		}
		if left = had - int64(n); p.left.CompareAndSwap(had, left) {
			return left, true
		}
	}
}

// rest returns how many tokens are left; 0 of a piece that has ended.
func (p *piece) rest() int64 {
	if p == nil {
		return 0
	}
	return max(p.left.Load(), 0)
}

// live returns how many tokens can be spent now.
func (p *piece) live(now int64) int64 {
	if p == nil || now >= p.deadline {
		return 0
	}
	return p.rest()
}

// close ends the spending.
func (p *piece) close() {
	if !p.closed {
		p.closed = true
		p.actual = p.granted - p.settled - int(max(p.left.Swap(ended), 0))
	}
}

// held returns how many tokens the piece holds at the shared store.
func (p *piece) held() int {
	if p == nil {
		return 0
	}
	return p.granted - p.settled
}

// spent returns how many tokens were spent.
func (p *piece) spent() int64 {
	switch {
	case p == nil:
		return 0
	case p.closed:
		return int64(p.settled + p.actual)
	}
	return int64(p.granted) - p.rest()
}

// settles takes in that n tokens that were spent are a debt.
func (p *piece) settles(n int) {
	if p.settled += n; p.closed {
		p.actual -= n
	}
}

// A book is what callers see of a lease. It never changes, but for what is left of its pieces.
type book struct {
	older, newer *piece // what is left of older is spent first
	low          int64  // at how many tokens the next are asked for; below 0 if they are not

	// As the shared store reported last:
	debts  [store.MaxLimits]gcra.Debt
	others [store.MaxLimits]int // what others hold
	out    int64                // what the pieces held
	store  int64                // when that was on its clock, in microseconds
	at     int64                // when the answer was here
}

// before reports whether the shared store has decided d certainly after what it reported last. If
// a trip was away when it was asked, that may have brought tokens just after.
func (b *book) before(d *store.Decision, away bool) bool {
	return b == nil || d.Now > b.store || d.Now == b.store && !away && !d.Debts[0].Less(b.debts[0])
}

// take spends n tokens of the lease, if it covers them, and returns how many are left.
func (b *book) take(n int, now int64) (left int64, ok bool) {
	if b == nil {
		return 0, false
	}
	if left, ok = b.older.spend(n, now); ok {
		return left + b.newer.live(now), true
	}
	if left, ok = b.newer.spend(n, now); ok {
		return left + b.older.live(now), true
	}
	return 0, false
}

// spend decides a call of cost n by the lease, if it covers that, and returns what is left.
func (b *book) spend(limits []store.Limit, n int, now int64, d *store.Decision) (left int64, ok bool) {
	if left, ok = b.take(n, now); !ok {
		return 0, false
	}
	passed := b.passed(now)
	d.Allowed, d.Source, d.Now = true, store.FromLease, b.store+passed
	spent := b.spent(left, n)
	for i := range limits {
		d.Debts[i], d.Held[i] = b.debt(i, &limits[i], spent, passed), b.others[i]
	}
	return left, true
}

// passed returns the microseconds since the shared store has answered.
func (b *book) passed(now int64) int64 { return max(now-b.at, 0) / 1000 }

// spent returns how many tokens were spent since then, if so many are left: n at least.
func (b *book) spent(left int64, n int) int {
	return int(min(max(b.out-left, int64(n)), math.MaxInt))
}

// debt returns the debt of the limit at i with what was spent since then.
func (b *book) debt(i int, l *store.Limit, spent int, passed int64) gcra.Debt {
	debt := b.debts[i]
	if debt.Micros < passed {
		debt = gcra.Debt{}
	} else {
		debt.Micros -= passed
	}
	price, fits := l.Cost(spent)
	if debt = l.Add(debt, price); !fits || !l.Fits(debt) {
		return l.Capacity()
	}
	return debt
}
