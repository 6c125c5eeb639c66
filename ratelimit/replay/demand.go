package replay

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
)

// A Demand is what each key of a plan needs so that none of its requests is denied: the rate of a
// limit, or its burst. It does not change.
type Demand struct {
	Plan string // "" for keys without a plan

	needs []uint64 // of the keys, ascending
	most  uint64   // that a limit can have
}

// Keys returns the number of keys.
func (d Demand) Keys() int { return len(d.needs) }

// Smallest returns the smallest rate or burst at which at least perMille of 1000 keys have none of
// their requests denied. ok is false if no limit is as large. It panics if perMille is not from 1 to
// 1000.
func (d Demand) Smallest(perMille int) (n int, ok bool) {
	if perMille < 1 || perMille > 1000 {
		panic(fmt.Sprintf("replay: %d of 1000 keys: must be from 1 to 1000", perMille))
	}
	if len(d.needs) == 0 {
		return 1, true
	}
	denied := int64(len(d.needs)) * int64(1000-perMille) / 1000
	need := d.needs[len(d.needs)-1-int(denied)]
	return int(min(need, d.most)), need <= d.most
}

// Denied returns how many keys have a request denied if the rate or the burst is n.
func (d Demand) Denied(n int) int {
	if n < 0 {
		return len(d.needs)
	}
	at, _ := slices.BinarySearch(d.needs, uint64(n)+1)
	return len(d.needs) - at
}

// Rates returns the demand of each plan for a limit per period whose burst is its rate: which rate
// each key needs. The keys without a plan come first, then the plans by name. A plan without
// requests is not there, nor are keys that Config.Table gives limits of their own. It returns an
// error if no limit can have the period.
func (l *Log) Rates(period time.Duration) ([]Demand, error) {
	if _, err := ratelimit.NewPolicy(ratelimit.Limit{Rate: 1, Period: period}); err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	const most uint64 = min(gcra.MaxRate, math.MaxInt) // an int may have 32 bits
	micros := uint64(period.Microseconds())
	return l.demands(most, func(times []int64, costs []uint32) uint64 {
		return rateNeeded(times, costs, micros, most)
	}), nil
}

// Bursts returns the demand of each plan for a limit of a rate: which burst each key needs. The
// order is that of [Log.Rates]. It returns an error if no limit can have the rate.
func (l *Log) Bursts(rate int, period time.Duration) ([]Demand, error) {
	if _, err := ratelimit.NewPolicy(ratelimit.Limit{Rate: rate, Period: period, Burst: 1}); err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	micros := uint64(period.Microseconds())
	var most uint64 = min(gcra.MaxBurst, math.MaxInt)
	if hi, lo := bits.Mul64(uint64(gcra.MaxRefill.Microseconds()), uint64(rate)); hi < micros {
		most = min(most, quotient(hi, lo, micros))
	}
	return l.demands(most, func(times []int64, costs []uint32) uint64 {
		return burstNeeded(times, costs, uint64(rate), micros, most)
	}), nil
}

// demands returns what keys need, by plan.
func (l *Log) demands(most uint64, need func(times []int64, costs []uint32) uint64) []Demand {
	byPlan := make([]Demand, len(l.plans))
	for n, name := range l.plans {
		byPlan[n] = Demand{Plan: name, most: most}
	}
	for key, plan := range l.planOf {
		if plan != ownLimits {
			d := &byPlan[plan]
			d.needs = append(d.needs, need(l.requests(key)))
		}
	}
	for i := range byPlan {
		slices.Sort(byPlan[i].needs)
	}
	byPlan = slices.DeleteFunc(byPlan, func(d Demand) bool { return len(d.needs) == 0 })
	slices.SortFunc(byPlan, func(a, b Demand) int { return cmp.Compare(a.Plan, b.Plan) })
	return byPlan
}

// all returns the demand of all keys together, without a plan.
func all(demands []Demand) Demand {
	var sum Demand
	for _, d := range demands {
		sum.needs, sum.most = append(sum.needs, d.needs...), d.most
	}
	slices.Sort(sum.needs)
	return sum
}
