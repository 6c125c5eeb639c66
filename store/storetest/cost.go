package storetest

import (
	"math"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

var costClauses = []clause{
	{name: "CostZeroChargesNothing", promise: "a call of cost 0 returns the state and charges nothing", check: checkZero},
	{name: "CostAboveBurst", promise: "a cost above the burst is denied and charges nothing", check: checkAbove},
	{name: "NegativeCost", promise: "a negative cost is denied and adds no token", check: checkNegative},
	{name: "CostsAddUp", promise: "a call of cost n is charged n tokens", check: checkCosts},
}

func checkZero(p *probe) {
	for _, taken := range []int{0, 2, 3} {
		p.admit("zero", fivePerSecond, taken)
		before := p.take("zero", fivePerSecond, 0)
		for range 20 {
			d := p.take("zero", fivePerSecond, 0)
			if !d.Allowed {
				p.fail("a call of cost 0 was denied")
			}
			p.debts("after calls of cost 0", fivePerSecond, d, before.Debts[0])
		}
	}
	p.state("after five tokens", "zero", fivePerSecond, micros(1_000_000))
}

func checkAbove(p *probe) {
	for _, cost := range []int{6, 7, 1000, min(math.MaxInt32+1, math.MaxInt), math.MaxInt - 1, math.MaxInt} {
		p.deny("above", fivePerSecond, cost)
		p.state("after it", "above", fivePerSecond, micros(0))
	}
	p.admit("above", fivePerSecond, 4)
	p.deny("above", fivePerSecond, math.MaxInt)
	p.admit("above", fivePerSecond, 1)

	// The smaller burst counts.
	two := policy(ratelimit.PerSecond(5), ratelimit.PerHour(1000).Named("hourly"))
	p.debts("in a denial", two, p.deny("above both", two, 6), micros(0), micros(0))
	p.debts("after a call", two, p.admit("above both", two, 5), micros(1_000_000), micros(18_000_000))
}

func checkNegative(p *probe) {
	p.admit("negative", fivePerSecond, 5)
	for _, cost := range []int{-1, -5, -6, math.MinInt32, math.MinInt + 1, math.MinInt} {
		p.debts("in a denial", fivePerSecond, p.deny("negative", fivePerSecond, cost), micros(1_000_000))
	}
	p.deny("negative", fivePerSecond, 1)
	p.advance(time.Hour)
	p.deny("negative", fivePerSecond, -5)
	p.admit("negative", fivePerSecond, 5)
	p.deny("negative", fivePerSecond, 1)
}

func checkCosts(p *probe) {
	costs := policy(ratelimit.PerMinute(60).WithBurst(1000))
	owed := int64(0)
	for _, cost := range []int{1, 2, 3, 94, 900} {
		owed += int64(cost) * 1_000_000
		p.debts("after a call", costs, p.admit("costs", costs, cost), micros(owed))
	}
	p.deny("costs", costs, 1)
	p.advance(7 * time.Second)
	p.deny("costs", costs, 8)
	p.admit("costs", costs, 7)
	p.deny("costs", costs, 1)
}
