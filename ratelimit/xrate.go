package ratelimit

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"time"

	"golang.org/x/time/rate"

	"github.com/keyrate/keyrate/ratelimit/gcra"
)

// FromRate returns the limit that golang.org/x/time/rate's NewLimiter(r, burst)
// describes.
//
// r is a floating-point number of events per second, a Limit is a fraction of
// whole numbers, so r is rounded: to the first fraction in its continued-fraction
// expansion that is r again as a float64. 5 becomes 5/s, 2.5 becomes 5/2s, 0.1
// becomes 1/10s and rate.Every(1900*time.Millisecond) becomes 10/19s, exactly
// what was meant in each case. Where no such fraction has a rate of at most
// [gcra.MaxRate] and a period of whole seconds up to [gcra.MaxRefill], the last one before
// it is taken; above MaxRate events per second, the whole number of events per microsecond.
//
// rate.Inf, a rate of 0 and a burst of 0 have no counterpart. The error joins a
// [LimitError] for each fault; to exempt a key use [Unlimited].
func FromRate(r rate.Limit, burst int) (Limit, error) {
	events := float64(r)
	var faults []error
	fault := func(field string, value any, want string) {
		faults = append(faults, &LimitError{Field: field, Value: value, Want: want})
	}
	switch {
	case events >= math.MaxFloat64: // which is rate.Inf
		fault("r", events, "must be finite; to exempt a key, use ratelimit.Unlimited")
	case !(events > 0):
		fault("r", events, "must be above 0 events per second, such as rate.Limit(5)")
	case events >= (gcra.MaxRate+1)*1e6:
		fault("r", events, fmt.Sprintf("must be at most %d events per microsecond; to exempt a key, use ratelimit.Unlimited", int64(gcra.MaxRate)))
	case events*gcra.MaxRefill.Seconds() < 1:
		fault("r", events, fmt.Sprintf("must be at least one event in %v, such as rate.Every(time.Hour)", gcra.MaxRefill))
	}
	if burst < 1 {
		fault("burst", burst, "must be at least 1: with 0, nothing would ever be admitted")
	}
	if len(faults) > 0 {
		return Limit{}, errors.Join(faults...)
	}
	l := Limit{Burst: burst}
	if events > gcra.MaxRate {
		l.Rate, l.Period = int(events/1e6), time.Microsecond
	} else {
		n, seconds := fraction(events, gcra.MaxRate, int64(gcra.MaxRefill/time.Second))
		l.Rate, l.Period = int(n), time.Duration(seconds)*time.Second
	}
	if err := l.check(); err != nil {
		return Limit{}, err
	}
	return l, nil
}

// fraction walks the continued fraction of x > 0 and returns the first
// convergent p/q that equals x as a float64, or the last one within the bounds.
func fraction(x float64, maxP, maxQ int64) (p, q int64) {
	rest := new(big.Rat).SetFloat64(x)
	whole := func() *big.Int { return new(big.Int).Quo(rest.Num(), rest.Denom()) }
	bp0, bq0 := big.NewInt(1), big.NewInt(0)
	bp, bq := whole(), big.NewInt(1)
	for {
		p, q = bp.Int64(), bq.Int64()
		if float64(p)/float64(q) == x {
			return p, q
		}
		rest.Sub(rest, new(big.Rat).SetInt(whole()))
		if rest.Sign() == 0 {
			return p, q
		}
		rest.Inv(rest)
		a := whole()
		bp0, bp = bp, new(big.Int).Add(new(big.Int).Mul(a, bp), bp0)
		bq0, bq = bq, new(big.Int).Add(new(big.Int).Mul(a, bq), bq0)
		if !bp.IsInt64() || !bq.IsInt64() || bp.Int64() > maxP || bq.Int64() > maxQ {
			return p, q
		}
	}
}
