package gcra

import "math"

// A Class is how long a hold lasts that is not renewed: from one to two times its length.
type Class int

// The classes. Every hold begins as a Short one; its first renewal makes it a Long one.
const (
	Short Class = iota // a second: short calls and leases
	Long               // ten seconds: calls that last

	Classes = 2
)

// Length returns the length of a slot of the class in microseconds. It is the same for all
// limits: a length that depended on the limit would not survive a change of the limit.
func (c Class) Length() int64 {
	if c == Long {
		return 10_000_000
	}
	return 1_000_000
}

// A Slot counts what is held in one class: the tokens of the present slot of time, and those
// of the one before, which leave at its end. The zero Slot holds nothing.
type Slot struct {
	End   int64 // when the present slot ends, in microseconds
	Newer int   // held since the present slot began; they leave one length after End
	Older int   // held since the slot before; they leave at End
}

// lastEnd returns when the last tokens of the slot leave; 0 if it holds none.
func (s *Slot) lastEnd(c Class) int64 {
	switch {
	case s.Newer > 0:
		return s.End + c.Length()
	case s.Older > 0:
		return s.End
	}
	return 0
}

// lasts reports whether now is in the present slot, or nothing is held.
func (s *Slot) lasts(c Class, now int64) bool {
	return s.Newer|s.Older == 0 || s.End > now && s.End-c.Length() <= now
}

// Held returns how many tokens are held.
func (b *Bucket) Held() (n int) {
	for i := range b.Slots {
		n = sum(n, sum(b.Slots[i].Newer, b.Slots[i].Older))
	}
	return n
}

// sum returns a + b, at most what a number in a Redis script can hold, and an int.
func sum(a, b int) int { return int(min(int64(a)+int64(b), mostMicros, math.MaxInt)) }

// roll applies the ends of slots up to now, in the order of time: what a slot held becomes
// debt at its end. It returns how many tokens did. A clock found before the present slot was
// set back: then what is held begins a slot at now, under another name.
func (b *Bucket) roll(own interval, now int64) (ended int, setBack bool) {
	if b.Slots[Short].lasts(Short, now) && b.Slots[Long].lasts(Long, now) {
		return 0, false
	}
	for i := range b.Slots {
		s, length := &b.Slots[i], Class(i).Length()
		if *s == (Slot{}) || s.End-length <= now {
			continue
		}
		b.Slots[i] = Slot{End: newEnd(now, length, s.End), Newer: sum(s.Newer, s.Older)}
		setBack = true
	}
	for {
		next := -1
		for i := range b.Slots {
			if s := &b.Slots[i]; *s != (Slot{}) && s.End <= now && (next < 0 || s.End < b.Slots[next].End) {
				next = i
			}
		}
		if next < 0 {
			return ended, setBack
		}
		s := &b.Slots[next]
		if s.Older > 0 {
			b.TAT = plus(b.TAT, own, s.End, s.Older)
			ended = sum(ended, s.Older)
		}
		*s = Slot{End: s.End + Class(next).Length(), Older: s.Newer}
		if s.Older == 0 {
			*s = Slot{}
		}
	}
}

// newEnd returns the end of a slot that begins at now. It is not that of a slot whose names
// are void: those that end at old, or a whole number of lengths from it.
func newEnd(now, length, old int64) int64 {
	end := now + length
	if (old-end)%length == 0 {
		end++
	}
	return end
}

// hold adds n tokens to the present slot of a class, and returns the name of the hold.
func (b *Bucket) hold(c Class, n int, now int64) (name int64) {
	s := &b.Slots[c]
	if *s == (Slot{}) {
		s.End = now + c.Length()
	}
	s.Newer = sum(s.Newer, n)
	name = s.End*Classes + int64(c)
	if s.Newer == 0 && s.Older == 0 { // of nothing: the slot would never end
		*s = Slot{}
	}
	return name
}

// Hold lends n tokens that there is room for. The name identifies the slot, not the single
// hold: it ends with it.
func (b *Bucket) Hold(n int, now int64) (name int64) { return b.hold(Short, n, now) }

// Leasable returns how many tokens a lease can hold in the class [Short] when cost tokens more
// are spent: what there is room for, and no more than the rest of half the burst, rounded down,
// that this class does not hold already.
func (b *Bucket) Leasable(r *Rate, spent Debt, cost int) int {
	short := &b.Slots[Short]
	return max(min(b.Room(r, spent)-cost, r.burst/2-sum(short.Newer, short.Older)), 0)
}

// Began returns when the slot of a name began: no hold of this name was made before.
func Began(name int64) int64 { return lotOf(name).began() }

// A lot is what a name says about a hold.
type lot struct {
	class Class
	end   int64 // of the slot in which it began
}

func lotOf(name int64) lot { return lot{Class(name & (Classes - 1)), name >> 1} } // of any number

// began returns when the slot of the lot began.
func (l lot) began() int64 { return l.end - l.class.Length() }

// leaves returns when what the lot holds becomes debt.
func (l lot) leaves() int64 { return l.end + l.class.Length() }

// release takes n tokens out of the slot of a name. It returns false if the slot has ended
// or its name is void.
func (b *Bucket) release(l lot, n int) bool {
	s := &b.Slots[l.class]
	switch {
	case *s == (Slot{}):
		return false
	case l.end == s.End:
		s.Newer -= min(n, s.Newer)
	case l.leaves() == s.End:
		s.Older -= min(n, s.Older)
	default:
		return false
	}
	if s.Newer == 0 && s.Older == 0 {
		*s = Slot{}
	}
	return true
}

// Settle ends a hold of n tokens when actual were spent, and returns the debt after it
// and how many tokens were not charged: see [Bucket.Charge].
//
// If the slot of the hold has ended, its tokens have become debt then, and what of them has
// drained since is paid again. If the name is unknown, since the store has lost its data or
// its clock was set back, the whole of actual is charged; if a reset at the instant reset has
// voided it, nothing is.
func (b *Bucket) Settle(r *Rate, spent Debt, name int64, n, actual int, reset, now int64) (after Debt, lost int) {
	l := lotOf(name)
	switch {
	case b.release(l, n):
		return b.Charge(r, spent, actual, now)
	case reset > 0 && l.began() <= reset:
		return spent, 0
	case l.leaves() > now:
		return b.Charge(r, spent, actual, now)
	}
	if actual > r.twice() {
		actual, lost = r.twice(), actual-r.twice()
	}
	cost := r.times(actual)
	paid := interval{r.num, r.den}.times(n, mostMicros)
	if paid.Micros -= now - l.leaves(); paid.Micros >= 0 { // what is left of it
		if !paid.Less(cost) {
			return spent, lost
		}
		cost = r.sub(cost, paid)
	}
	after, more := b.charge(r, spent, cost, now)
	return after, lost + more
}

// Renew moves a hold of n tokens to the present slot of the long class, and returns its new
// name. If its slot has ended or its name is void, it holds the tokens anew without asking
// for room: the call that they belong to goes on.
func (b *Bucket) Renew(name int64, n int, now int64) int64 {
	b.release(lotOf(name), n)
	return b.hold(Long, n, now)
}
