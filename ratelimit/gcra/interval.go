package gcra

import (
	"math/bits"
	"sync"
)

// An interval is T, the time in which one token comes back: num/den microseconds in lowest
// terms. It is 0/1 for tokens that are only lent.
type interval struct {
	num uint64
	den uint32
}

// MaxIntervals is how many different intervals a program can have at once under an
// [Rate.Index] of their own.
const MaxIntervals = 1<<16 - 1

// intervals are the intervals of all rates of the program, by their index. The first stays
// unused: 0 is the index of those that found no place.
var intervals struct {
	mu    sync.Mutex
	index map[interval]uint32
	all   [MaxIntervals + 1]interval // its pages are used as they are needed
}

// indexOf returns the index of an interval, a new one if need be.
func indexOf(i interval) uint32 {
	t := &intervals
	t.mu.Lock()
	defer t.mu.Unlock()
	if at, ok := t.index[i]; ok {
		return at
	}
	if t.index == nil {
		t.index = make(map[interval]uint32)
	}
	at := uint32(len(t.index) + 1)
	if at > MaxIntervals {
		return 0
	}
	t.all[at] = i
	t.index[i] = at
	return at
}

// Index returns a number from 1 to [MaxIntervals] that stands for T: rates with the same T
// have the same, as long as the program runs. It is 0 for a loan, and if the program had
// MaxIntervals others before.
func (r *Rate) Index() uint32 { return r.index }

// TATOf returns the TAT of a bucket whose rate has this index; one that does not say its
// interval if the index is 0.
func TATOf(micros int64, frac, index uint32) TAT {
	i := intervals.all[index]
	return TAT{Micros: micros, Frac: frac, Den: max(i.den, 1), Num: i.num}
}

// times returns n*T for a sum of at most most, which is returned for larger ones.
func (i interval) times(n int, most int64) Debt {
	hi, lo := bits.Mul64(uint64(n), i.num)
	if hi >= uint64(i.den) {
		return Debt{Micros: most}
	}
	micros, frac := bits.Div64(hi, lo, uint64(i.den))
	if micros >= uint64(most) {
		return Debt{Micros: most}
	}
	return Debt{Micros: int64(micros), Frac: uint32(frac)}
}

// tokens returns how many whole tokens the debt d is, and the rest in parts of 1/den
// microseconds; math.MaxUint64 and 0 if they are more than 64 bits hold.
func (i interval) tokens(d Debt) (n, rest uint64) {
	hi, lo := bits.Mul64(uint64(d.Micros), uint64(i.den))
	lo, carry := bits.Add64(lo, uint64(d.Frac), 0)
	if hi += carry; hi >= i.num {
		return 1<<64 - 1, 0
	}
	return bits.Div64(hi, lo, i.num)
}

// Rescale returns what a debt means for r that was made at another rate, where a token took
// num/den microseconds: as many whole tokens, and the same part of the rest of a token,
// rounded up. What a key has used stays used when its limit changes. More than two bursts
// become two bursts.
func (r *Rate) Rescale(d Debt, num uint64, den uint32) Debt {
	switch {
	case r.num == num && r.den == den:
		return d
	case r.num == 0 || num == 0:
		return Debt{}
	}
	n, rest := interval{num, den}.tokens(d)
	if n >= 2*uint64(r.burst) {
		return r.Add(r.capacity, r.capacity)
	}
	hi, lo := bits.Mul64(rest, r.num) // rest < num, so the quotient is at most r.num
	lo, carry := bits.Add64(lo, num-1, 0)
	part, _ := bits.Div64(hi+carry, lo, num)
	rescaled := Debt{Micros: int64(part / uint64(r.den)), Frac: uint32(part % uint64(r.den))}
	return r.Add(r.multiple(n), rescaled)
}
