package ratelimit_test

import (
	"math/big"
	"math/rand/v2"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

// An oracle is one token bucket in rational numbers of microseconds, written from
// the design's formulas and from nothing else. T = Period/Rate:
//
//	debt = max(0, TAT - now), clamped to Burst*T
//	admit n when debt + n*T <= Burst*T; then TAT = max(TAT, now) + n*T
//	remaining = floor((Burst*T - debt)/T), reset = debt, retry = debt + n*T - Burst*T
type oracle struct {
	tokens   int
	token    *big.Rat // T
	capacity *big.Rat // Burst*T
	tat      *big.Rat // nil: full since ever
	parts    *big.Int // the denominator of the limit under which tat was stored
}

func newOracle(l ratelimit.Limit) *oracle {
	o := new(oracle)
	o.setLimit(l)
	return o
}

// setLimit changes the limit. The debt in time stays.
func (o *oracle) setLimit(l ratelimit.Limit) {
	o.tokens = l.Burst
	if l.Burst == 0 {
		o.tokens = l.Rate
	}
	o.token = big.NewRat(int64(l.Period/time.Microsecond), int64(l.Rate))
	o.capacity = o.cost(o.tokens)
}

// store keeps a TAT, in the denominator of the limit.
func (o *oracle) store(tat *big.Rat) { o.tat, o.parts = tat, o.token.Denom() }

func (o *oracle) cost(n int) *big.Rat { return new(big.Rat).Mul(rat(int64(n)), o.token) }

// debt is what the bucket owes now; what is above the capacity is gone for good.
func (o *oracle) debt(now int64) (debt *big.Rat, clamped bool) {
	if o.tat == nil {
		return new(big.Rat), false
	}
	tat := o.tat
	if o.parts.Cmp(o.token.Denom()) != 0 { // a new denominator rounds up to a microsecond
		tat = new(big.Rat).SetInt(ceil(tat))
	}
	debt = new(big.Rat).Sub(tat, rat(now))
	if debt.Sign() <= 0 {
		return new(big.Rat), false
	}
	if debt.Cmp(o.capacity) > 0 {
		o.store(new(big.Rat).Add(rat(now), o.capacity))
		return o.capacity, true
	}
	return debt, false
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
		return ratelimit.Never
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

// extremes are the limits of the torture table and those at the edge of what is
// allowed. The primes leave nothing to reduce.
var extremes = func() []ratelimit.Limit {
	limits := []ratelimit.Limit{
		{Rate: 1, Period: 1900 * time.Millisecond},
		{Rate: 5, Period: 500 * time.Millisecond},
		{Rate: 100_000, Period: time.Second, Burst: 2},
		{Rate: 3, Period: time.Second},
		{Rate: 700_001, Period: time.Second},
		{Rate: 1_000_000, Period: time.Second},
		{Rate: 1_000_000, Period: time.Second, Burst: 1},
		{Rate: 10, Period: time.Second, Burst: 1000},
		{Rate: 100, Period: time.Second, Burst: 10},
		{Rate: 1000, Period: 24 * time.Hour, Burst: 50},
		{Rate: 1, Period: time.Microsecond},
		{Rate: 3, Period: time.Microsecond, Burst: 1},
		{Rate: 7, Period: 3 * time.Microsecond, Burst: 1_000_003},
		{Rate: 1, Period: tenYears},
		{Rate: 1, Period: time.Second, Burst: 315_360_000},
		{Rate: 1_000_000_007, Period: 998_244_353 * time.Microsecond, Burst: 1_000_000_007},
		{Rate: 2_147_483_647, Period: 2_147_483_629 * time.Microsecond, Burst: 999_983},
		{Rate: 2_147_483_647, Period: tenYears - time.Microsecond, Burst: 2_147_483_647},
		{Rate: 104_729, Period: 86_399_999_999 * time.Microsecond, Burst: 104_723},
	}
	if maxRate := int64(ratelimit.MaxRate); int64(int(maxRate)) == maxRate { // not with 32 bits
		limits = append(limits,
			ratelimit.Limit{Rate: int(maxRate), Period: time.Microsecond, Burst: int(maxRate << 31)},
			ratelimit.Limit{Rate: int(maxRate), Period: time.Microsecond, Burst: 1},
			ratelimit.Limit{Rate: int(maxRate), Period: tenYears - time.Microsecond, Burst: int(maxRate)},
			ratelimit.Limit{Rate: int(maxRate) - 1, Period: 999_999_937 * time.Microsecond, Burst: int(maxRate) * 1000},
		)
	}
	return limits
}()

// randomLimit returns a valid limit without a name: an extreme one, or one of any
// magnitude.
func randomLimit(rng *rand.Rand) ratelimit.Limit {
	if rng.IntN(3) == 0 {
		return extremes[rng.IntN(len(extremes))]
	}
	for {
		l := ratelimit.Limit{
			Rate:   int(magnitude(rng, 31)),
			Period: time.Duration(magnitude(rng, 49)) * time.Microsecond,
			Burst:  int(magnitude(rng, 60) & int64(^uint(0)>>1)),
		}
		if rng.IntN(3) == 0 {
			l.Period = []time.Duration{time.Millisecond, time.Second, time.Minute, time.Hour}[rng.IntN(4)]
		}
		if rng.IntN(2) == 0 {
			l.Burst = 1 + rng.IntN(50)
		}
		if l.Validate() == nil {
			return l
		}
	}
}

// magnitude returns a number from 1 up, below 1<<bits, small and large ones alike.
func magnitude(rng *rand.Rand, bits int) int64 {
	return 1 + rng.Int64N(int64(1)<<rng.IntN(bits))
}
