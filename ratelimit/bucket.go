package ratelimit

import (
	"hash/maphash"
	"math/bits"
	"time"
)

// This file is the arithmetic, all of it. A token bucket is one number, its
// theoretical arrival time (TAT): the instant at which it will be full again.
// That is the generic cell rate algorithm, GCRA (ITU-T I.371, annex A, as virtual
// scheduling). With T = Period/Rate, the time that one token takes to come back:
//
//	debt       = max(0, TAT - now)
//	admit n    when debt + n*T <= Burst*T; then TAT = max(TAT, now) + n*T
//	remaining  = floor((Burst*T - debt) / T)
//	reset in   debt
//	retry in   debt + n*T - Burst*T
//
// T need not be a whole number of microseconds: 3 per second is 333333 1/3. So a
// time is a whole number of microseconds and a fraction whose denominator is the
// limit's own, Rate reduced against Period. All of it is integers and exact.

// A Debt is how far a bucket is from full, as the time that it takes to fill up:
// Micros whole microseconds and Frac parts of one microsecond divided by the
// denominator of the limit's [Bucket]. Frac is always less than the denominator.
// The zero Debt is a full bucket.
type Debt struct {
	Micros int64
	Frac   uint32
}

// Less tells whether d is a smaller debt than e, of the same bucket.
func (d Debt) Less(e Debt) bool {
	return d.Micros < e.Micros || d.Micros == e.Micros && d.Frac < e.Frac
}

// Duration returns d, rounded up to a microsecond.
func (d Debt) Duration() time.Duration {
	if d.Frac > 0 {
		d.Micros++
	}
	return time.Duration(d.Micros) * time.Microsecond
}

// A TAT is the state of a bucket as a store keeps it: the instant, on the store's
// own clock, at which the bucket will be full again. It brings its denominator
// along, so that it keeps its meaning when the limit changes. The zero TAT is not
// an instant; it stands for a bucket that is not known.
type TAT struct {
	Micros int64
	Frac   uint32
	Den    uint32
}

// A Bucket is a [Limit] as the stores work with it: compiled to integers. It
// holds no state and is safe for concurrent use.
type Bucket struct {
	limit    Limit
	nameHash uint64
	num      uint64 // T = num/den microseconds
	den      uint32
	one      Debt // T
	capacity Debt // Burst*T
}

// nameSeed makes the hashes of limit names differ from process to process.
var nameSeed = maphash.MakeSeed()

// newBucket compiles a limit that Validate accepts.
func newBucket(l Limit) Bucket {
	l = l.withDefaults()
	period, rate := uint64(l.Period/time.Microsecond), uint64(l.Rate)
	g := gcd(period, rate)
	b := Bucket{
		limit:    l,
		nameHash: maphash.String(nameSeed, l.Name),
		num:      period / g,
		den:      uint32(rate / g),
	}
	b.one = b.times(1)
	b.capacity = b.times(l.Burst)
	return b
}

// Limit returns the limit with its defaults filled in.
func (b *Bucket) Limit() Limit { return b.limit }

// NameHash returns a hash of the limit's name, the same throughout the process.
func (b *Bucket) NameHash() uint64 { return b.nameHash }

// Denominator returns what the fractions of this bucket's times are parts of.
func (b *Bucket) Denominator() uint32 { return b.den }

// Capacity returns the debt of an empty bucket, Burst*T.
func (b *Bucket) Capacity() Debt { return b.capacity }

// Cost returns the debt that n tokens make, n*T. It returns false when n is
// negative or above the burst: such a call can never be admitted.
func (b *Bucket) Cost(n int) (Debt, bool) {
	switch {
	case n == 1:
		return b.one, true
	case n < 0 || n > b.limit.Burst:
		return Debt{}, false
	}
	return b.times(n), true
}

// DebtAt returns the debt at the instant now of a bucket that will be full at t.
// A fraction of another denominator is rounded up to a microsecond. A debt above
// the capacity, which a clock set back or a limit that was raised leave behind,
// is clamped to it; then the caller must store the clamped value, whatever the
// decision is, since a clamp that is not stored clamps again for ever.
func (b *Bucket) DebtAt(t TAT, now int64) (d Debt, clamped bool) {
	if t.Micros < now {
		return Debt{}, false
	}
	d = Debt{Micros: t.Micros - now, Frac: t.Frac}
	if t.Den != b.den && t.Frac != 0 {
		d.Micros++
		d.Frac = 0
	}
	if b.capacity.Less(d) {
		return b.capacity, true
	}
	return d, false
}

// Merge returns the larger of the debt d, found at the instant now, and what is
// known of the bucket from elsewhere, which is clamped to the capacity first.
func (b *Bucket) Merge(d Debt, known Known, now int64) Debt {
	k := known.Debt
	switch {
	case b.capacity.Less(k):
		k = b.capacity
	case k.Frac >= b.den: // of another denominator: rounded up
		k = Debt{Micros: k.Micros + 1}
	}
	if known.TAT.Den != 0 {
		if known.TAT.Frac >= known.TAT.Den { // not what any bucket says
			known.TAT.Micros, known.TAT.Frac = known.TAT.Micros+1, 0
		}
		if seen, _ := b.DebtAt(known.TAT, now); seen.Less(k) {
			k = seen
		}
	}
	if d.Less(k) {
		return k
	}
	return d
}

// Add returns d + e.
func (b *Bucket) Add(d, e Debt) Debt {
	d.Micros += e.Micros
	d.Frac += e.Frac // both below 2^31
	if d.Frac >= b.den {
		d.Frac -= b.den
		d.Micros++
	}
	return d
}

// Fits tells whether a bucket has room for the debt d.
func (b *Bucket) Fits(d Debt) bool { return !b.capacity.Less(d) }

// TATAt returns the instant at which a bucket with the debt d at now is full.
func (b *Bucket) TATAt(d Debt, now int64) TAT {
	return TAT{Micros: now + d.Micros, Frac: d.Frac, Den: b.den}
}

// Remaining returns how many tokens a bucket with the debt d holds, rounded down.
func (b *Bucket) Remaining(d Debt) int {
	room := b.sub(b.capacity, d)
	hi, lo := bits.Mul64(uint64(room.Micros), uint64(b.den))
	lo, carry := bits.Add64(lo, uint64(room.Frac), 0)
	tokens, _ := bits.Div64(hi+carry, lo, b.num) // at most Burst, so it fits
	return int(tokens)
}

// RetryAfter returns how long a caller must wait until n tokens are there, when
// the debt is d now: 0 when they are, [Never] when n is above the burst.
func (b *Bucket) RetryAfter(d Debt, n int) time.Duration {
	cost, ok := b.Cost(n)
	if !ok {
		return Never
	}
	after := b.Add(d, cost)
	if b.Fits(after) {
		return 0
	}
	return b.sub(after, b.capacity).Duration()
}

// sub returns d - e, for d >= e.
func (b *Bucket) sub(d, e Debt) Debt {
	d.Micros -= e.Micros
	if d.Frac < e.Frac {
		d.Frac += b.den
		d.Micros--
	}
	d.Frac -= e.Frac
	return d
}

// times returns n*T for 0 <= n <= Burst: at most MaxRefill, so the quotient fits.
func (b *Bucket) times(n int) Debt {
	hi, lo := bits.Mul64(uint64(n), b.num)
	micros, frac := bits.Div64(hi, lo, uint64(b.den))
	return Debt{Micros: int64(micros), Frac: uint32(frac)}
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
