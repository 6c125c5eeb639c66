package storetest

import (
	"fmt"
	"math"
	"math/big"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
)

var fractionClauses = []clause{
	{name: "FractionsAreExact", promise: "no fraction of a token is lost or gained at any rate", check: checkFractions},
	{name: "ThirdsOfASecond", promise: "at 3 per second a token takes 333333 1/3 microseconds", check: checkThirds},
	{name: "FractionsBelowTheDenominator", promise: "a fraction of a microsecond is less than a whole one", check: checkParts},
}

func checkThirds(p *probe) {
	three := policy(ratelimit.PerSecond(3))
	p.debts("after a call", three, p.admit("thirds", three, 1), of(333_333, 1))
	p.debts("after a call", three, p.admit("thirds", three, 1), of(666_666, 2))
	p.debts("after a call", three, p.admit("thirds", three, 1), of(1_000_000, 0))
	p.advance(333_333 * time.Microsecond)
	p.debts("a third of a microsecond too early", three, p.deny("thirds", three, 1), of(666_667, 0))
	p.advance(time.Microsecond)
	p.debts("after a call", three, p.admit("thirds", three, 1), of(999_999, 1))
}

// maxRate is the highest rate that fits into an int, which may have 32 bits.
const maxRate = min(gcra.MaxRate, math.MaxInt)

// maxBurst is the largest burst that fits into an int.
const maxBurst = min(gcra.MaxBurst, math.MaxInt)

// greedyLimits are limits for a caller that takes every token as soon as it can.
var greedyLimits = []ratelimit.Limit{
	{Rate: 3, Period: time.Second},
	{Rate: 3, Period: time.Second, Burst: 1},
	{Rate: 1, Period: 1900 * time.Millisecond},
	{Rate: 700_001, Period: time.Second, Burst: 3},
	{Rate: 1_000_000, Period: time.Second, Burst: 7},
	{Rate: 1, Period: time.Microsecond},
	{Rate: maxRate, Period: time.Microsecond},
	{Rate: maxRate, Period: time.Microsecond, Burst: maxBurst},
	{Rate: maxRate - 1, Period: time.Second, Burst: 12345},
	{Rate: 7, Period: 1_234_567 * time.Microsecond, Burst: 100},
	{Rate: 3, Period: 365 * 24 * time.Hour, Burst: 2},
	{Rate: 100, Period: time.Second, Burst: 10},
}

// checkFractions takes all tokens, at odd moments. The sum of the admitted tokens must be
// exactly Burst + floor(elapsed * Rate / Period).
func checkFractions(p *probe) {
	for i, l := range greedyLimits {
		one, key := policy(l), fmt.Sprintf("greedy %d", i) // where an int has 32 bits, two limits are the same
		b := &one[0]
		token, _ := b.Cost(1)
		first := p.admit(key, one, b.Burst())
		admitted := new(big.Int).SetInt64(int64(b.Burst()))
		d := first
		for i := range int64(200) {
			// About one to three tokens, but never longer than until the bucket is full.
			wait := min(token.Micros*(1+i%3)+i%7, d.Debts[0].Micros)
			p.advance(time.Duration(wait) * time.Microsecond)
			n := b.Remaining(p.take(key, one, 0).Debts[0])
			d = p.admit(key, one, n)
			admitted.Add(admitted, new(big.Int).SetInt64(int64(n)))
		}
		p.deny(key, one, b.Burst())
		want := new(big.Int).SetInt64(d.Now - first.Now)
		want.Mul(want, big.NewInt(int64(l.Rate)))
		want.Div(want, big.NewInt(int64(l.Period/time.Microsecond)))
		want.Add(want, new(big.Int).SetInt64(int64(b.Burst())))
		if admitted.Cmp(want) != 0 {
			p.fail("under %v, %v tokens were admitted in %d µs; want %v", l, admitted, d.Now-first.Now, want)
		}
	}
}

func checkParts(p *probe) {
	for _, l := range greedyLimits {
		one, key := policy(l), "parts "+l.String()
		b := &one[0]
		for range 50 {
			d := p.take(key, one, 1)
			if d.Debts[0].Frac >= b.Denominator() {
				p.fail("under %v the debt is %d µs and %d parts of 1/%d", l, d.Debts[0].Micros, d.Debts[0].Frac, b.Denominator())
			}
			p.advance(time.Microsecond)
		}
	}
}
