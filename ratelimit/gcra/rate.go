package gcra

import (
	"fmt"
	"math"
	"math/bits"
	"time"
)

// Never is the wait for more tokens than the bucket can hold.
const Never time.Duration = math.MaxInt64

const (
	// MaxRate is the largest rate. Together with MaxRefill it keeps every sum within
	// 64 bits here, and within the 53 bits that a number in a Redis script can hold.
	MaxRate = 1 << 31
	// MaxRefill is the longest time in which an empty bucket may fill up, that is
	// burst * period / rate: ten years of 365 days.
	MaxRefill = 10 * 365 * 24 * time.Hour
	// MaxBurst is the largest burst: what a number in JSON and in a Redis script can hold.
	MaxBurst = 1 << 52
)

// A Rate is a token bucket's rate and burst, compiled to integers. It holds no state: it
// is a plain value, safe for concurrent use. Make one with [NewRate]. The zero Rate has
// no room for any call.
type Rate struct {
	num      uint64 // T = num/den microseconds
	den      uint32
	index    uint32 // of T: see Index
	burst    int
	one      Debt // T
	capacity Debt // burst*T
}

// NewRate compiles a bucket that holds burst tokens; rate tokens come back in every
// period. It returns an error if rate is not from 1 to [MaxRate], if period is not a
// whole number of microseconds, less than one or more than [MaxRefill], if burst is not from
// 1 to [MaxBurst], or if burst * period / rate is above [MaxRefill].
func NewRate(rate int, period time.Duration, burst int) (Rate, error) {
	switch {
	case rate < 1 || int64(rate) > MaxRate: // an int may have 32 bits
		return Rate{}, fmt.Errorf("gcra: rate %d must be from 1 to %d", rate, int64(MaxRate))
	case period < time.Microsecond || period%time.Microsecond != 0 || period > MaxRefill:
		return Rate{}, fmt.Errorf("gcra: period %v must be a whole number of microseconds, from 1µs to %v", period, MaxRefill)
	case burst < 1 || int64(burst) > MaxBurst:
		return Rate{}, fmt.Errorf("gcra: burst %d must be from 1 to %d", burst, int64(MaxBurst))
	}
	micros, n := uint64(period/time.Microsecond), uint64(rate)
	g := gcd(micros, n)
	num, den := micros/g, uint32(n/g)
	if !refillFits(num, den, burst) {
		return Rate{}, fmt.Errorf("gcra: burst %d must refill within %v: burst * period / rate may not exceed it", burst, MaxRefill)
	}
	return compiled(num, den, burst), nil
}

// NewLoan compiles a bucket of n tokens that are only lent, as a limit on concurrent calls
// has: a call holds one and gives it back, and nothing is ever spent. It is the rate whose
// tokens come back at once, with T = 0. It returns an error if n is not from 1 to [MaxBurst].
func NewLoan(n int) (Rate, error) {
	if n < 1 || int64(n) > MaxBurst {
		return Rate{}, fmt.Errorf("gcra: %d must be from 1 to %d", n, int64(MaxBurst))
	}
	return compiled(0, 1, n), nil
}

// Loan reports whether r was made by [NewLoan].
func (r *Rate) Loan() bool { return r.num == 0 && r.burst > 0 }

func compiled(num uint64, den uint32, burst int) Rate {
	r := Rate{num: num, den: den, burst: burst}
	if num > 0 {
		r.index = indexOf(interval{num, den})
	}
	r.one, r.capacity = r.times(1), r.times(burst)
	return r
}

// refillFits reports whether burst*num/den <= MaxRefill, in 128 bits.
func refillFits(num uint64, den uint32, burst int) bool {
	hi, lo := bits.Mul64(uint64(burst), num)
	maxHi, maxLo := bits.Mul64(uint64(MaxRefill/time.Microsecond), uint64(den))
	return hi < maxHi || hi == maxHi && lo <= maxLo
}

// Share returns one of n equal parts of r: rate/n, and a burst of burst/n rounded down
// but at least 1. A part that would refill more slowly than
// [MaxRefill] allows is one token in MaxRefill.
func (r *Rate) Share(n int) Rate {
	if n <= 1 {
		return *r
	}
	burst := max(1, r.burst/n)
	if r.Loan() {
		return compiled(0, 1, burst)
	}
	g := gcd(uint64(n), uint64(r.den))
	over, num := bits.Mul64(r.num, uint64(n)/g)
	den := r.den / uint32(g)
	if over != 0 || !refillFits(num, den, burst) { // centuries, with a burst of 1
		return compiled(uint64(MaxRefill/time.Microsecond), 1, 1)
	}
	return compiled(num, den, burst)
}

// Burst returns how many tokens the bucket holds.
func (r *Rate) Burst() int { return r.burst }

// Interval returns T, the time in which one token comes back, as a fraction of
// microseconds in lowest terms.
func (r *Rate) Interval() (num uint64, den uint32) { return r.num, r.den }

// SameInterval reports whether r and o have the same T.
func (r *Rate) SameInterval(o *Rate) bool { return r.num == o.num && r.den == o.den }

// Denominator returns the denominator of r's debts: that of T.
func (r *Rate) Denominator() uint32 { return r.den }

// Capacity returns the debt of an empty bucket, Burst*T.
func (r *Rate) Capacity() Debt { return r.capacity }

// Cost returns the debt that n tokens make, n*T. It returns false when n is
// negative or above the burst: such a call can never be admitted.
func (r *Rate) Cost(n int) (Debt, bool) {
	switch {
	case n == 1:
		return r.one, true
	case n < 0 || n > r.burst:
		return Debt{}, false
	}
	return r.times(n), true
}

// DebtAt returns the debt at the instant now of a bucket that will be full at t. A TAT of
// another interval is rescaled; if its interval is not known, a fraction of another
// denominator is rounded up to a microsecond. A debt above the capacity, which a clock set
// back or a limit that was lowered leave behind, is clamped to it. If stale is true, the debt
// was rescaled or clamped: then the caller must store it, whatever the decision is, since
// otherwise it would be so again from a TAT that drains at the former rate.
func (r *Rate) DebtAt(t TAT, now int64) (d Debt, stale bool) {
	if t.Micros < now {
		return Debt{}, false
	}
	d = Debt{Micros: t.Micros - now, Frac: t.Frac}
	if t.Den != r.den || t.Num != r.num {
		d, stale = r.converted(d, t)
	}
	if r.capacity.Less(d) {
		return r.capacity, true
	}
	return d, stale
}

// DebtIn is DebtAt for a TAT of the same interval, frac parts of a microsecond after micros
// microseconds from now.
func (r *Rate) DebtIn(micros int64, frac uint32) (d Debt, stale bool) {
	if micros < 0 {
		return Debt{}, false
	}
	d = Debt{Micros: micros, Frac: frac}
	if r.capacity.Less(d) {
		return r.capacity, true
	}
	return d, false
}

// converted returns a debt of another interval as one of r.
func (r *Rate) converted(d Debt, t TAT) (_ Debt, stale bool) {
	if t.Num != 0 {
		return r.Rescale(d, t.Num, t.Den), d != Debt{}
	}
	if t.Den != r.den && d.Frac != 0 {
		return Debt{Micros: d.Micros + 1}, false
	}
	return d, false
}

// Same reports whether the interval of t is that of r, or is not known.
func (r *Rate) Same(t TAT) bool { return t.Num == r.num && t.Den == r.den || t.Num == 0 }

// Merge returns the larger of two debts at the instant now: d, which the store found, and
// what the caller knows of the bucket under the same rate. That is known or, if seen is not
// the zero TAT and makes less, the debt of seen; it is clamped to the capacity. It is nothing
// if seen is of another interval.
func (r *Rate) Merge(d, known Debt, seen TAT, now int64) Debt {
	if !r.Same(seen) {
		return d
	}
	switch {
	case r.capacity.Less(known):
		known = r.capacity
	case known.Frac >= r.den: // of another denominator: rounded up
		known = Debt{Micros: known.Micros + 1}
	}
	if seen.Den != 0 {
		if seen.Frac >= seen.Den { // not valid: rounded up
			seen.Micros, seen.Frac = seen.Micros+1, 0
		}
		if debt, _ := r.DebtAt(seen, now); debt.Less(known) {
			known = debt
		}
	}
	if d.Less(known) {
		return known
	}
	return d
}

// Add returns d + e.
func (r *Rate) Add(d, e Debt) Debt {
	d.Micros += e.Micros
	d.Frac += e.Frac // both below 2^31
	if d.Frac >= r.den {
		d.Frac -= r.den
		d.Micros++
	}
	return d
}

// Fits reports whether a bucket has room for the debt d.
func (r *Rate) Fits(d Debt) bool { return !r.capacity.Less(d) }

// TATAt returns the instant at which a bucket with the debt d at now is full.
func (r *Rate) TATAt(d Debt, now int64) TAT {
	return TAT{Micros: now + d.Micros, Frac: d.Frac, Den: r.den, Num: r.num}
}

// Remaining returns how many tokens a bucket with the debt d holds, rounded down. A debt
// that the bucket cannot have counts as the nearest one that it can.
func (r *Rate) Remaining(d Debt) int {
	switch {
	case d.Micros < 0:
		return r.burst
	case r.capacity.Less(d):
		return 0
	case r.num == 0:
		return r.burst
	}
	room := r.sub(r.capacity, d)
	hi, lo := bits.Mul64(uint64(room.Micros), uint64(r.den))
	lo, carry := bits.Add64(lo, uint64(room.Frac), 0)
	tokens, _ := bits.Div64(hi+carry, lo, r.num) // at most Burst, so it fits
	return int(tokens)
}

// RetryAfter returns how long a caller must wait until n tokens are there, when
// the debt is d now: 0 when they are, [Never] when n is above the burst.
func (r *Rate) RetryAfter(d Debt, n int) time.Duration {
	cost, ok := r.Cost(n)
	if !ok {
		return Never
	}
	after := r.Add(d, cost)
	if r.Fits(after) {
		return 0
	}
	return r.sub(after, r.capacity).Duration()
}

// sub returns d - e, for d >= e.
func (r *Rate) sub(d, e Debt) Debt {
	d.Micros -= e.Micros
	if d.Frac < e.Frac {
		d.Frac += r.den
		d.Micros--
	}
	d.Frac -= e.Frac
	return d
}

// twice returns two bursts, the most tokens that a bucket can owe, or what an int holds.
func (r *Rate) twice() int { return int(min(2*int64(r.burst), math.MaxInt)) }

// times returns n*T for 0 <= n <= 2*Burst: at most 2*MaxRefill, so the quotient fits.
func (r *Rate) times(n int) Debt { return r.multiple(uint64(n)) }

func (r *Rate) multiple(n uint64) Debt {
	hi, lo := bits.Mul64(n, r.num)
	micros, frac := bits.Div64(hi, lo, uint64(r.den))
	return Debt{Micros: int64(micros), Frac: uint32(frac)}
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
