package gcra

import "math"

// A Bucket is all that a store may have to keep of one bucket: what was spent of it, what is
// held, and what it was before its limit changed. A store that neither lends tokens nor
// changes limits needs the TAT alone. The zero Bucket is full.
//
//	spent = max(0, TAT + Over*T - now)      the debt: it drains at the rate
//	held  = the tokens of all slots         they take room, but are no debt
//	room  = Burst*T - spent - held*T
//
// A call of [Bucket.Open] comes first in every operation. The methods change the Bucket
// alone; whether the change is kept is the store's business.
type Bucket struct {
	TAT TAT
	// Over is how many tokens were spent beyond the capacity, at most Burst: an overrun or a
	// penalty. They are kept apart from TAT, so that a TAT above the capacity still shows a
	// clock that was set back.
	Over int
	// Former is the TAT before the interval changed, until that instant has passed. A request
	// of the former interval owes at least as much: so two limits under one name neither free
	// nor lock each other.
	Former TAT
	// Slots are what is held, by [Class].
	Slots [Classes]Slot
}

// mostMicros bounds the sums of instants and debts: the integers that a number in a Redis
// script can hold.
const mostMicros = 1<<53 - 1

// Open brings the bucket to the instant now and to the interval of r, and returns what was
// spent. Slots that have ended become debt. If stale is true, the Bucket must be kept, even
// if the operation changes nothing else: see [Rate.DebtAt].
//
// Same reports whether knowledge about the bucket under r counts: it was used under the same
// interval, or nothing is spent.
func (b *Bucket) Open(r *Rate, now int64) (spent Debt, stale, same bool) {
	if b.TAT.Num == 0 || r.num == 0 { // of an unknown interval, or nothing is spent under a loan
		d, _ := r.converted(Debt{Micros: b.TAT.Micros, Frac: b.TAT.Frac}, TAT{Den: b.TAT.Den})
		b.TAT = r.TATAt(d, 0)
	}
	own := interval{b.TAT.Num, b.TAT.Den}
	over := b.Over
	if over > 0 {
		b.TAT = plus(b.TAT, own, b.TAT.Micros, over)
		b.Over = 0
	}
	ended, setBack := b.roll(own, now)
	over = sum(over, ended)
	stale = setBack

	spent = b.TAT.debt(now)
	same = r.Same(b.TAT) || spent == Debt{}
	if b.Former.fullAt() <= now {
		b.Former = TAT{}
	}
	former := Debt{}
	if !r.Same(b.TAT) {
		if r.Same(b.Former) {
			former = b.Former.debt(now)
		}
		b.Former = TAT{}
		if spent != (Debt{}) {
			b.Former, stale = b.TAT, true
			spent = r.Rescale(spent, own.num, own.den)
		} else if b.Held() > 0 { // it becomes a debt under r
			stale = true
		}
	}
	if spent.Less(former) {
		spent = former
	}
	if !r.Fits(spent) {
		if most := r.Add(r.capacity, r.times(min(over, r.burst))); most.Less(spent) {
			spent, stale = most, true
		}
	}
	b.Spend(r, spent, now)
	return spent, stale, same
}

// Spend makes spent the debt at now. What exceeds two capacities is cut off.
func (b *Bucket) Spend(r *Rate, spent Debt, now int64) {
	b.Over = 0
	if !r.Fits(spent) {
		b.Over = min(r.tokensUp(r.sub(spent, r.capacity)), r.burst)
		spent = r.sub(spent, r.times(b.Over))
		if !r.Fits(spent) {
			spent = r.capacity
		}
	}
	b.TAT = r.TATAt(spent, now)
}

// Charge spends n tokens more, whether they fit or not, and returns how many were not
// charged because the debt would exceed two capacities.
func (b *Bucket) Charge(r *Rate, spent Debt, n int, now int64) (after Debt, lost int) {
	if n > r.twice() {
		n, lost = r.twice(), n-r.twice()
	}
	cost := r.one
	if n != 1 {
		cost = r.times(n)
	}
	after, more := b.charge(r, spent, cost, now)
	return after, lost + more
}

func (b *Bucket) charge(r *Rate, spent, cost Debt, now int64) (after Debt, lost int) {
	after = r.Add(spent, cost)
	if !r.Fits(after) {
		if most := r.Add(r.capacity, r.capacity); most.Less(after) {
			lost = r.tokensUp(r.sub(after, most))
			after = most
		}
	}
	b.Spend(r, after, now)
	return after, lost
}

// Room returns how many tokens are left of what is neither spent nor held; less than 0 if
// more are held than there is room for.
func (b *Bucket) Room(r *Rate, spent Debt) int { return r.Remaining(spent) - b.Held() }

// Plain reports whether the bucket is its TAT and nothing else.
func (b *Bucket) Plain() bool {
	return b.Over == 0 && b.Former == TAT{} && b.Slots == [Classes]Slot{}
}

// FullAt returns the first whole microsecond from which on the bucket equals the zero
// Bucket, if nothing more happens to it.
func (b *Bucket) FullAt() int64 {
	if b.Over == 0 && b.Slots[Long] == (Slot{}) { // the usual case: the slots end one after another
		t, own, s := b.TAT, interval{b.TAT.Num, b.TAT.Den}, &b.Slots[Short]
		if s.Older > 0 {
			t = plus(t, own, s.End, s.Older)
		}
		if s.Newer > 0 {
			t = plus(t, own, s.End+Short.Length(), s.Newer)
		}
		return max(t.fullAt(), s.lastEnd(Short), b.Former.fullAt())
	}
	c := *b
	own := interval{c.TAT.Num, c.TAT.Den}
	c.TAT = plus(c.TAT, own, c.TAT.Micros, c.Over)
	last := c.Former.fullAt()
	for i := range c.Slots {
		last = max(last, c.Slots[i].lastEnd(Class(i)))
	}
	c.roll(own, last)
	return max(last, c.TAT.fullAt())
}

// debt returns the debt of a bucket that will be full at t.
func (t TAT) debt(now int64) Debt {
	if t.Micros < now {
		return Debt{}
	}
	return Debt{Micros: t.Micros - now, Frac: t.Frac}
}

// plus returns the TAT after n tokens were spent at the instant at.
func plus(t TAT, own interval, at int64, n int) TAT {
	if t.Micros < at {
		t.Micros, t.Frac = at, 0
	}
	d := own.times(n, mostMicros)
	t.Micros += d.Micros
	if t.Frac += d.Frac; t.Frac >= own.den {
		t.Frac -= own.den
		t.Micros++
	}
	if t.Micros >= mostMicros {
		t.Micros, t.Frac = mostMicros, 0
	}
	return t
}

// tokensUp returns how many tokens the debt d is, rounded up.
func (r *Rate) tokensUp(d Debt) int {
	n, rest := interval{r.num, r.den}.tokens(d)
	if rest > 0 {
		n++
	}
	return int(min(n, math.MaxInt))
}
