package storetest

import (
	"fmt"
	"math"
	"math/big"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// A Model is the contract as arithmetic on fractions of unbounded size. It shares no
// computation with package gcra but T in lowest terms, keeps every bucket and is slow.
//
// A bucket is the time at which it will be full again. Its debt is the time until then, or
// 0, and a token takes T = Period/Rate:
//
//   - a call of cost n is admitted if the debt plus n*T and what is held is at most Burst*T in
//     every limit; then each bucket owes n*T more, or holds n more
//   - a debt above Burst*T counts as Burst*T, and is stored so, unless it was charged so
//   - a debt that the caller knows, the smaller of Debt and TAT - now, counts if it is
//     larger than the bucket's own; if the call is charged, it is stored
//   - if T has changed, the whole tokens of the debt and the part of the rest stay
//   - a hold that is not settled becomes a debt when its slot of time ends for the second time
//   - a lease holds what is left after the cost in every limit, up to half of each Burst with what
//     is held in the short class already
//   - settlements that come with a call are made before it
//
// A Model is not safe for concurrent use.
type Model struct {
	// BriefReset is as in [Harness].
	BriefReset bool

	buckets map[bucketName]*modelBucket
	terms   map[gcra.Rate]*terms
}

// bucketName identifies a bucket. That of a shared limit has no key.
type bucketName struct {
	home, key, limit string
	shared           bool
}

func nameOf(home, key string, l *store.Limit) bucketName {
	if l.Shared && home != "" {
		return bucketName{home, "", l.Name, true}
	}
	return bucketName{home, key, l.Name, false}
}

type modelBucket struct {
	full   *big.Rat // when it is full, in microseconds
	token  *big.Rat // T of the limit that wrote it
	over   int64    // tokens that were charged beyond the capacity
	former *big.Rat // full, before T changed; nil if that is over
	oldT   *big.Rat // T of former
	slots  [2]modelSlot
	reset  int64 // the last one; 0: never
	until  int64 // with BriefReset, when it is forgotten
}

// A modelSlot has the tokens that are held since the present slot of time began, and since
// the one before.
type modelSlot struct{ end, newer, older int64 }

func (s modelSlot) empty() bool { return s.newer == 0 && s.older == 0 }

// slotLengths are in microseconds.
var slotLengths = [2]int64{1_000_000, 10_000_000}

// terms are the terms of a limit, in microseconds.
type terms struct {
	token    *big.Rat // T; 0 for a loan
	capacity *big.Rat // Burst*T
	burst    int64
}

func (t *terms) loan() bool { return t.token.Sign() == 0 }

func (t *terms) times(n int64) *big.Rat {
	return new(big.Rat).Mul(t.token, new(big.Rat).SetInt64(n))
}

// NewModel returns a model in which all buckets are full.
func NewModel() *Model {
	return &Model{buckets: map[bucketName]*modelBucket{}, terms: map[gcra.Rate]*terms{}}
}

// Take returns the decision of a correct store at the time now, in microseconds. The names
// in r.Hold are the model's own.
func (m *Model) Take(now int64, r store.Request) store.Decision {
	return m.take(now, r, true)
}

// Peek is Take without the charge.
func (m *Model) Peek(now int64, r store.Request) store.Decision {
	return m.take(now, r, false)
}

func (m *Model) take(now int64, r store.Request, charge bool) store.Decision {
	d := store.Decision{Now: now}
	if r.Hold != nil {
		r.Hold.Names, r.Hold.Leased = [store.MaxLimits]int64{}, 0
	}
	for i := range r.Release {
		if charge {
			m.Settle(now, &r.Release[i])
		}
	}
	var all [store.MaxLimits]*opened
	free, granted := true, int64(r.Cost)
	for i := range r.Limits {
		name := nameOf(r.Home, r.Key, &r.Limits[i])
		o := m.open(now, name, &r.Limits[i])
		if o.same && !o.loan() && r.Known != nil && !m.outdated(now, name, r.Known[i].Seen) {
			if known := knownDebt(now, r.Known[i], o.terms); known.Cmp(o.spent) > 0 {
				o.spent = known
			}
		}
		all[i] = o
		if o.loan() {
			free = free && (r.Cost <= 0 || o.b.held() < o.burst)
		} else {
			granted = min(granted, max(o.room(), 0))
		}
	}
	least := int64(r.Cost)
	if r.Least > 0 {
		least = int64(r.Least)
	}
	d.Allowed = free && r.Cost >= 0 && granted >= least
	if d.Allowed && r.Least > 0 {
		d.Granted = int(granted)
	}
	leased := int64(0)
	if d.Allowed && charge && r.Hold != nil && r.Hold.Spend {
		leased = max(int64(r.Hold.Lease), 0)
		for _, o := range all[:len(r.Limits)] {
			leased = min(leased, o.leasable(granted))
		}
		r.Hold.Leased = int(leased)
	}
	for i := range r.Limits {
		o := all[i]
		holds := r.Hold != nil && (o.loan() || !r.Hold.Spend)
		switch {
		case !d.Allowed || granted+leased == 0 || !charge && holds:
			if o.stale {
				o.write(o.spent)
			}
		case holds && o.loan():
			r.Hold.Names[i] = o.b.hold(0, 1, now)
			o.write(o.spent)
		case holds:
			r.Hold.Names[i] = o.b.hold(0, granted, now)
			o.write(o.spent)
		default:
			o.spent = new(big.Rat).Add(o.spent, o.times(granted))
			if leased > 0 {
				r.Hold.Names[i] = o.b.hold(0, leased, now)
			}
			if charge {
				o.write(o.spent)
			}
		}
		d.Debts[i], d.Held[i] = parts(o.spent, o.token.Denom()), int(o.b.held())
	}
	return d
}

// Settle settles, renews or charges at the time now.
func (m *Model) Settle(now int64, s *store.Settlement) {
	s.Now, s.Lost, s.Err = now, 0, nil
	for i := range s.Limits {
		bucket := nameOf(s.Home, s.Key, &s.Limits[i])
		o := m.open(now, bucket, &s.Limits[i])
		held, actual, name := max(int64(s.Held), 0), min(max(int64(s.Actual), 0), 2*gcra.MaxBurst), s.Names[i]
		if o.loan() {
			held, actual = 1, 0
		}
		var lost int64
		switch {
		case s.Renew && name == 0:
		case s.Renew:
			o.b.release(name, held)
			s.Names[i] = o.b.hold(1, held, now)
		case name == 0, o.b.release(name, held):
			lost = o.charge(o.times(min(actual, 2*o.burst)))
			lost += max(actual-2*o.burst, 0)
		default:
			end, class := name/2, name%2
			ended := end + slotLengths[class]
			cost := o.times(min(actual, 2*o.burst))
			switch {
			case m.resetOf(now, bucket) >= end-slotLengths[class]:
				cost = nil
			case ended <= now:
				paid := new(big.Rat).Sub(capped(o.times(held)), new(big.Rat).SetInt64(now-ended))
				if paid.Sign() > 0 {
					cost.Sub(cost, paid)
				}
			}
			if cost != nil {
				lost = max(actual-2*o.burst, 0)
				if cost.Sign() > 0 {
					lost += o.charge(cost)
				}
			}
		}
		o.write(o.spent)
		s.Lost = max(s.Lost, int(lost))
		s.Debts[i] = parts(o.spent, o.token.Denom())
	}
}

// Reset fills the buckets of a request at the time now.
func (m *Model) Reset(now int64, r store.Request) {
	for i := range r.Limits {
		limit := &r.Limits[i]
		t := m.termsOf(&limit.Rate)
		refill := new(big.Int).Add(t.capacity.Num(), t.capacity.Denom())
		refill.Sub(refill, big.NewInt(1)).Div(refill, t.capacity.Denom()) // rounds up
		m.buckets[nameOf(r.Home, r.Key, limit)] = &modelBucket{reset: now, until: now + max(refill.Int64(), 2*slotLengths[1])}
	}
}

// termsOf returns the terms of a rate.
func (m *Model) termsOf(r *gcra.Rate) *terms {
	t := m.terms[*r]
	if t == nil {
		num, den := r.Interval()
		t = &terms{token: big.NewRat(int64(num), int64(den)), burst: int64(r.Burst())}
		t.capacity = t.times(t.burst)
		m.terms[*r] = t
	}
	return t
}

// An opened bucket is a copy, as it is at an instant and for the terms of a limit.
type opened struct {
	*terms
	b     modelBucket
	kept  *modelBucket
	now   int64
	spent *big.Rat
	stale bool // must be written
	same  bool // what is known of it counts
}

// open reads a bucket as it is at the time now.
func (m *Model) open(now int64, name bucketName, limit *store.Limit) *opened {
	t := m.termsOf(&limit.Rate)
	kept := m.buckets[name]
	if kept == nil {
		kept = new(modelBucket)
		m.buckets[name] = kept
	}
	o := &opened{terms: t, b: *kept, kept: kept, now: now}
	b := &o.b
	if b.full == nil {
		b.full = new(big.Rat)
	}
	if b.token == nil || b.token.Sign() == 0 || t.loan() {
		b.token = t.token
	}
	ended := b.roll(now, &o.stale)
	at := new(big.Rat).SetInt64(now)
	o.spent = new(big.Rat).Sub(b.full, at)
	if o.spent.Sign() < 0 {
		o.spent = new(big.Rat)
	}
	o.same = b.token.Cmp(t.token) == 0 || o.spent.Sign() == 0
	if b.former != nil && b.former.Cmp(at) <= 0 {
		b.former = nil
	}
	if b.token.Cmp(t.token) != 0 {
		var floor *big.Rat
		if b.former != nil && b.oldT.Cmp(t.token) == 0 {
			floor = new(big.Rat).Sub(b.former, at)
		}
		b.former = nil
		if o.spent.Sign() > 0 {
			b.former, b.oldT, o.stale = b.full, b.token, true
			o.spent = rescaled(o.spent, b.token, t.token)
		} else if b.held() > 0 { // it becomes a debt under t
			o.stale = true
		}
		if floor != nil && floor.Cmp(o.spent) > 0 {
			o.spent = floor
		}
	}
	if most := new(big.Rat).Add(t.capacity, t.times(min(b.over+ended, t.burst))); o.spent.Cmp(most) > 0 {
		o.spent, o.stale = most, true
	}
	return o
}

// rescaled returns a debt of whole and part tokens as one of as many tokens of another T, the
// part rounded up to what the other T can count.
func rescaled(debt, from, to *big.Rat) *big.Rat {
	tokens := new(big.Rat).Quo(debt, from)
	whole := new(big.Rat).SetInt(new(big.Int).Quo(tokens.Num(), tokens.Denom()))
	part := new(big.Rat).Sub(tokens, whole)
	part.Mul(part, to)
	return whole.Mul(whole, to).Add(whole, roundedUp(part, to.Denom()))
}

// roundedUp returns r, rounded up to a multiple of 1/den.
func roundedUp(r *big.Rat, den *big.Int) *big.Rat {
	n := new(big.Int).Mul(r.Num(), den)
	n.Add(n, r.Denom()).Sub(n, big.NewInt(1)).Quo(n, r.Denom())
	return new(big.Rat).SetFrac(n, den)
}

// mostMicros bounds instants, as in package gcra: what a number in a Redis script can hold.
const mostMicros = 1<<53 - 1

func capped(r *big.Rat) *big.Rat {
	if most := new(big.Rat).SetInt64(mostMicros); r.Cmp(most) > 0 {
		return most
	}
	return r
}

// count bounds numbers of tokens in the same way.
func count(n int64) int64 { return min(n, mostMicros, math.MaxInt) }

// roll turns what was held in slots that have ended into debt, and returns how many tokens
// did. A slot that has not begun yet shows that the clock was set back.
func (b *modelBucket) roll(now int64, setBack *bool) (ended int64) {
	for c, length := range slotLengths {
		if s := &b.slots[c]; !s.empty() && s.end-length > now {
			end := now + length
			if (s.end-end)%length == 0 { // a name of before would be one of now
				end++
			}
			*s, *setBack = modelSlot{end: end, newer: count(s.newer + s.older)}, true
		}
	}
	for {
		first := -1
		for c := range b.slots {
			if s := &b.slots[c]; !s.empty() && s.end <= now && (first < 0 || s.end < b.slots[first].end) {
				first = c
			}
		}
		if first < 0 {
			return ended
		}
		s := &b.slots[first]
		if s.older > 0 {
			at := new(big.Rat).SetInt64(s.end)
			if b.full.Cmp(at) > 0 {
				at = b.full
			}
			b.full = capped(new(big.Rat).Add(at, new(big.Rat).Mul(b.token, new(big.Rat).SetInt64(s.older))))
			ended = count(ended + s.older)
		}
		*s = modelSlot{end: s.end + slotLengths[first], older: s.newer}
	}
}

func (b *modelBucket) held() (n int64) {
	for _, s := range b.slots {
		n = count(n + count(s.newer+s.older))
	}
	return n
}

func (b *modelBucket) hold(class, n, now int64) (name int64) {
	s := &b.slots[class]
	if s.empty() {
		s.end = now + slotLengths[class]
	}
	s.newer = count(s.newer + n)
	return s.end*2 + class
}

func (b *modelBucket) release(name, n int64) bool {
	s, length := &b.slots[name%2], slotLengths[name%2]
	switch end := name / 2; {
	case s.empty():
		return false
	case end == s.end:
		s.newer = max(s.newer-n, 0)
	case end == s.end-length:
		s.older = max(s.older-n, 0)
	default:
		return false
	}
	return true
}

// room returns how many tokens are neither spent nor held.
func (o *opened) room() int64 {
	left := new(big.Rat).Sub(o.capacity, o.spent)
	if left.Sign() < 0 {
		return -o.b.held()
	}
	left.Quo(left, o.token)
	return new(big.Int).Quo(left.Num(), left.Denom()).Int64() - o.b.held()
}

// leasable returns how many tokens can be held beside a cost: none of a loan.
func (o *opened) leasable(cost int64) int64 {
	if o.loan() {
		return 0
	}
	short := o.b.slots[0]
	return max(min(o.room()-cost, o.burst/2-count(short.newer+short.older)), 0)
}

// charge adds to the debt, up to two capacities, and returns how many tokens it cut off.
func (o *opened) charge(cost *big.Rat) (lost int64) {
	o.spent = new(big.Rat).Add(o.spent, cost)
	most := o.times(2 * o.burst)
	if more := new(big.Rat).Sub(o.spent, most); more.Sign() > 0 {
		lost, o.spent = tokensUp(more, o.token), most
	}
	return lost
}

func tokensUp(debt, token *big.Rat) int64 {
	n := roundedUp(new(big.Rat).Quo(debt, token), big.NewInt(1))
	return n.Num().Int64()
}

// write makes the bucket owe spent.
func (o *opened) write(spent *big.Rat) {
	o.b.token, o.b.over = o.token, 0
	if more := new(big.Rat).Sub(spent, o.capacity); more.Sign() > 0 {
		o.b.over = tokensUp(more, o.token)
	}
	o.b.full = new(big.Rat).Add(spent, new(big.Rat).SetInt64(o.now))
	*o.kept = o.b
}

// resetOf returns the last reset that a bucket remembers; 0 if there is none.
func (m *Model) resetOf(now int64, name bucketName) int64 {
	if b := m.buckets[name]; b != nil && (!m.BriefReset || now < b.until) {
		return b.reset
	}
	return 0
}

// outdated reports whether a bucket ignores an observation because of a reset. Seen 0, an
// observation without a date, always counts. An observation in the microsecond of the reset
// counts as older.
func (m *Model) outdated(now int64, name bucketName, seen int64) bool {
	return seen != 0 && seen <= m.resetOf(now, name)
}

// knownDebt returns the known debt, at most the capacity; 0 for what is known under another T.
func knownDebt(now int64, k store.Known, t *terms) *big.Rat {
	if k.TAT.Num != 0 && new(big.Rat).SetFrac(new(big.Int).SetUint64(k.TAT.Num), big.NewInt(int64(k.TAT.Den))).Cmp(t.token) != 0 {
		return new(big.Rat)
	}
	d := new(big.Rat).SetFrac(big.NewInt(int64(k.Debt.Frac)), t.token.Denom())
	d.Add(d, new(big.Rat).SetInt64(k.Debt.Micros))
	if k.TAT.Den != 0 {
		full := big.NewRat(int64(k.TAT.Frac), int64(k.TAT.Den))
		full.Add(full, new(big.Rat).SetInt64(k.TAT.Micros-now))
		if full.Sign() < 0 {
			full = new(big.Rat)
		}
		if full.Cmp(d) < 0 {
			d = full
		}
	}
	if d.Cmp(t.capacity) > 0 {
		return t.capacity
	}
	return d
}

// parts returns d in whole microseconds and parts of 1/den microseconds.
func parts(d *big.Rat, den *big.Int) gcra.Debt {
	n := new(big.Int).Mul(d.Num(), den)
	n, rest := n.QuoRem(n, d.Denom(), new(big.Int))
	if rest.Sign() != 0 {
		panic(fmt.Sprintf("storetest: the model has a debt of %v, which is not a multiple of 1/%v", d, den))
	}
	whole, frac := n.QuoRem(n, den, rest)
	return gcra.Debt{Micros: whole.Int64(), Frac: uint32(frac.Uint64())}
}
