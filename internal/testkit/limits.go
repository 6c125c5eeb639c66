package testkit

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// Policy returns the policy of limits that are valid.
func Policy(tb testing.TB, limits ...ratelimit.Limit) *ratelimit.Policy {
	tb.Helper()
	p, err := ratelimit.NewPolicy(limits...)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// Limits returns limits that are valid as a store takes them.
func Limits(tb testing.TB, limits ...ratelimit.Limit) []store.Limit {
	tb.Helper()
	return Policy(tb, limits...).Compiled()
}

// Extremes are the limits of the torture table and those at the edge of what is
// allowed. The primes leave nothing to reduce.
var Extremes = func() []ratelimit.Limit {
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
		{Rate: 1, Period: gcra.MaxRefill},
		{Rate: 1, Period: time.Second, Burst: 315_360_000},
		{Rate: 1_000_000_007, Period: 998_244_353 * time.Microsecond, Burst: 1_000_000_007},
		{Rate: 2_147_483_647, Period: 2_147_483_629 * time.Microsecond, Burst: 999_983},
		{Rate: 2_147_483_647, Period: gcra.MaxRefill - time.Microsecond, Burst: 2_147_483_647},
		{Rate: 104_729, Period: 86_399_999_999 * time.Microsecond, Burst: 104_723},
	}
	if maxRate, maxBurst := int64(gcra.MaxRate), int64(gcra.MaxBurst); int64(int(maxRate)) == maxRate { // not with 32 bits
		limits = append(limits,
			ratelimit.Limit{Rate: int(maxRate), Period: time.Microsecond, Burst: int(maxBurst)},
			ratelimit.Limit{Rate: int(maxRate), Period: time.Microsecond, Burst: 1},
			ratelimit.Limit{Rate: int(maxRate), Period: gcra.MaxRefill - time.Microsecond, Burst: int(maxRate)},
			ratelimit.Limit{Rate: int(maxRate) - 1, Period: 999_999_937 * time.Microsecond, Burst: int(maxRate) * 1000},
		)
	}
	return limits
}()

// RandomLimit returns a valid limit without a name: an extreme one, or one of any
// magnitude.
func RandomLimit(rng *rand.Rand) ratelimit.Limit {
	if rng.IntN(3) == 0 {
		return Extremes[rng.IntN(len(Extremes))]
	}
	for {
		l := ratelimit.Limit{
			Rate:   int(magnitude(rng, 31)),
			Period: time.Duration(magnitude(rng, 49)) * time.Microsecond,
			Burst:  int(magnitude(rng, 52) & int64(^uint(0)>>1)),
		}
		if rng.IntN(3) == 0 {
			l.Period = []time.Duration{time.Millisecond, time.Second, time.Minute, time.Hour}[rng.IntN(4)]
		}
		if rng.IntN(2) == 0 {
			l.Burst = 1 + rng.IntN(50)
		}
		if _, err := ratelimit.NewPolicy(l); err == nil {
			return l
		}
	}
}

// magnitude returns a number from 1 up, below 1<<bits, small and large ones alike.
func magnitude(rng *rand.Rand, bits int) int64 {
	return 1 + rng.Int64N(int64(1)<<rng.IntN(bits))
}
