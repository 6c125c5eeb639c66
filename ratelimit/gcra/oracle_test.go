package gcra_test

import (
	"math/big"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
)

// An oracle is one token bucket in rational numbers of microseconds, written from
// the design's formulas and from nothing else. T = Period/Rate:
//
//	debt = max(0, TAT - now), clamped to Burst*T
//	admit n when debt + n*T <= Burst*T; then TAT = max(TAT, now) + n*T
//	remaining = floor((Burst*T - debt)/T), reset = debt, retry = debt + n*T - Burst*T
//
// When T changes, the whole tokens of the debt stay, and so does the part of the next one.
type oracle struct {
	tokens   int
	token    *big.Rat // T
	capacity *big.Rat // Burst*T
	tat      *big.Rat // nil: full
	made     *big.Rat // T when tat was stored; nil: not known
	parts    *big.Int // the denominator of the limit under which tat was stored
}

func newOracle(l ratelimit.Limit) *oracle {
	o := new(oracle)
	o.setLimit(l)
	return o
}

// setLimit changes the limit. What was used stays used.
func (o *oracle) setLimit(l ratelimit.Limit) {
	o.tokens = l.Burst
	if l.Burst == 0 {
		o.tokens = l.Rate
	}
	o.token = big.NewRat(int64(l.Period/time.Microsecond), int64(l.Rate))
	o.capacity = o.cost(o.tokens)
}

// store keeps a TAT, in the denominator of the limit.
func (o *oracle) store(tat *big.Rat) { o.tat, o.made, o.parts = tat, o.token, o.token.Denom() }

func (o *oracle) cost(n int) *big.Rat { return new(big.Rat).Mul(rat(int64(n)), o.token) }

// debt is what the bucket owes now; what is above the capacity is gone for good. It is
// stale if it must be stored, since it was clamped or rescaled.
func (o *oracle) debt(now int64) (debt *big.Rat, stale bool) {
	if o.tat == nil {
		return new(big.Rat), false
	}
	debt = new(big.Rat).Sub(o.tat, rat(now))
	if debt.Sign() <= 0 {
		return new(big.Rat), false
	}
	switch {
	case o.made == nil && o.parts.Cmp(o.token.Denom()) != 0: // a new denominator rounds up to a microsecond
		debt = new(big.Rat).SetInt(ceil(debt))
	case o.made != nil && o.made.Cmp(o.token) != 0:
		debt, stale = rescaled(debt, o.made, o.token), true
	}
	if debt.Cmp(o.capacity) > 0 {
		debt, stale = o.capacity, true
	}
	if stale {
		o.store(new(big.Rat).Add(rat(now), debt))
	}
	return debt, stale
}

// rescaled returns a debt made at the interval from as one at the interval to: the whole
// tokens are as many, and the part of the next one is rounded up to the denominator of to.
func rescaled(debt, from, to *big.Rat) *big.Rat {
	tokens := new(big.Rat).Quo(debt, from)
	whole := new(big.Int).Div(tokens.Num(), tokens.Denom())
	part := tokens.Sub(tokens, new(big.Rat).SetInt(whole))
	part.Mul(part, new(big.Rat).SetInt(to.Num())) // in parts of 1/to.Denom()
	sum := new(big.Int).Mul(whole, to.Num())
	return new(big.Rat).SetFrac(sum.Add(sum, ceil(part)), to.Denom())
}

func (o *oracle) admits(debt *big.Rat, n int) bool {
	return n >= 0 && n <= o.tokens && new(big.Rat).Add(debt, o.cost(n)).Cmp(o.capacity) <= 0
}

func (o *oracle) charge(debt *big.Rat, n int, now int64) {
	tat := new(big.Rat).Add(rat(now), debt)
	o.store(tat.Add(tat, o.cost(n)))
}

func (o *oracle) remaining(debt *big.Rat) int64 {
	tokens := new(big.Rat).Sub(o.capacity, debt)
	tokens.Quo(tokens, o.token)
	return new(big.Int).Div(tokens.Num(), tokens.Denom()).Int64()
}

func (o *oracle) retryAfter(debt *big.Rat, n int) time.Duration {
	if n < 0 || n > o.tokens {
		return gcra.Never
	}
	wait := new(big.Rat).Add(debt, o.cost(n))
	wait.Sub(wait, o.capacity)
	if wait.Sign() <= 0 {
		return 0
	}
	return duration(wait)
}

func rat(n int64) *big.Rat { return new(big.Rat).SetInt64(n) }

// ceil rounds up to a whole number.
func ceil(r *big.Rat) *big.Int {
	whole, rest := new(big.Int).DivMod(r.Num(), r.Denom(), new(big.Int))
	if rest.Sign() > 0 {
		whole.Add(whole, big.NewInt(1))
	}
	return whole
}

// duration rounds up to a whole number of microseconds.
func duration(micros *big.Rat) time.Duration {
	return time.Duration(ceil(micros).Int64()) * time.Microsecond
}

// interval returns T of a rate in microseconds.
func interval(r interface{ Interval() (uint64, uint32) }) *big.Rat {
	num, den := r.Interval()
	return new(big.Rat).SetFrac(new(big.Int).SetUint64(num), big.NewInt(int64(den)))
}
