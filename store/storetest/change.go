package storetest

import (
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

var changeClauses = []clause{
	{name: "WhatIsUsedStaysUsed", promise: "when a limit changes, the tokens that were used stay used", check: checkUsed},
	{name: "LimitLowered", promise: "a lowered limit denies no key for longer than one of its refills", check: checkLowered},
	{name: "ClampIsStored", promise: "a debt that was clamped or rescaled stays so, also after a denial", check: checkClampStored},
	{name: "RestOfAToken", promise: "when a limit changes, the rest of a token is rounded up to what the limit can count", check: checkRest},
	{name: "TwoLimitsUnderOneName", promise: "two limits under one name neither free nor lock each other", check: checkTwoLimits},
}

var (
	oncePerHour = policy(ratelimit.PerHour(1))
	perMinute   = policy(ratelimit.PerMinute(60)) // burst 60
)

func checkUsed(p *probe) {
	for _, c := range []struct {
		from, to   ratelimit.Limit
		used, left int
	}{
		{ratelimit.PerDay(1000), ratelimit.PerHour(1000), 50, 950},
		{ratelimit.PerSecond(5).WithBurst(50), ratelimit.PerSecond(10).WithBurst(50), 25, 25},
		{ratelimit.PerSecond(1).WithBurst(100), ratelimit.PerSecond(100), 1, 99},
		{ratelimit.PerHour(1000), ratelimit.PerDay(1000), 1000, 0},
		{ratelimit.PerSecond(100), ratelimit.PerSecond(1).WithBurst(100), 100, 0},
		{ratelimit.Limit{Rate: 3, Period: time.Minute}, ratelimit.Limit{Rate: 5, Period: time.Minute}, 3, 2},
		{ratelimit.PerMinute(60).WithBurst(1), ratelimit.PerMinute(60), 1, 59},
		{ratelimit.PerHour(1), ratelimit.PerSecond(5), 1, 4},
	} {
		from, to, key := policy(c.from), policy(c.to), "used "+c.from.String()+c.to.String()
		p.admit(key, from, c.used)
		if left := to[0].Remaining(p.take(key, to, 0).Debts[0]); left != c.left {
			p.fail("%d of %v were used; after a change to %v %d are left, want %d", c.used, c.from, c.to, left, c.left)
		}
		if d := p.take(key, to, c.left+1); d.Allowed {
			p.fail("%d of %v were used; after a change to %v a call of cost %d was admitted", c.used, c.from, c.to, c.left+1)
		}
		p.admit(key, to, c.left)
	}
}

func checkLowered(p *probe) {
	wide, narrow := policy(ratelimit.PerSecond(10).WithBurst(1000)), policy(ratelimit.PerSecond(1).WithBurst(10))
	p.admit("lowered", wide, 1000)
	p.debts("in a denial", narrow, p.deny("lowered", narrow, 1), micros(10_000_000))
	p.advance(time.Second)
	p.debts("after a call", narrow, p.admit("lowered", narrow, 1), micros(10_000_000))
	p.advance(10 * time.Second)
	p.state("after one refill", "lowered", narrow, micros(0))
	p.admit("lowered", narrow, 10)
}

func checkClampStored(p *probe) {
	wide := policy(ratelimit.PerSecond(10).WithBurst(1000))
	p.admit("clamp", wide, 1000)
	p.deny("clamp", fivePerSecond, 5)
	// A clamp that was not stored would clamp to 1 s again and again.
	p.advance(300 * time.Millisecond)
	p.state("0.3 s after a denial that clamped", "clamp", fivePerSecond, micros(700_000))
	p.state("0.3 s after a denial that clamped", "clamp", wide, micros(99_700_000)) // the clamp of another limit frees nothing

	// The clamp of one limit is stored whatever the other limits decide.
	both := policy(ratelimit.PerSecond(5), ratelimit.PerHour(1).Named("other"))
	p.admit("clamp one", wide, 1000)
	p.admit("clamp one", policy(ratelimit.PerHour(1).Named("other")), 1)
	p.debts("in a denial", both, p.deny("clamp one", both, 1), micros(1_000_000), micros(3_600_000_000))
	p.advance(900 * time.Millisecond)
	p.state("0.9 s after a denial that clamped", "clamp one", both, micros(100_000), micros(3_599_100_000))

	// A call of cost 0 stores the clamp as well.
	p.admit("clamp at cost 0", wide, 1000)
	p.state("when the limit was lowered", "clamp at cost 0", fivePerSecond, micros(1_000_000))
	p.advance(600 * time.Millisecond)
	p.admit("clamp at cost 0", fivePerSecond, 3)

	// A debt that was not rescaled in the store would go on at the former rate.
	p.admit("rescaled", oncePerHour, 1)
	p.deny("rescaled", fivePerSecond, 5)
	p.advance(200 * time.Millisecond)
	p.admit("rescaled", fivePerSecond, 5)
}

func checkRest(p *probe) {
	three, seven := policy(ratelimit.PerSecond(3)), policy(ratelimit.PerSecond(7))
	p.admit("rest", three, 1)
	p.state("of a whole token", "rest", seven, of(142_857, 1))
	p.advance(100 * time.Millisecond) // under 7/s: 42857 1/7 µs are left, which is 0.3 of a token and 1/1000000 more
	p.debts("after a call", seven, p.admit("rest", seven, 1), of(185_714, 2))
	p.advance(42_858 * time.Microsecond)
	// 142856 2/7 are one token, less 6/7 of a microsecond.
	p.debts("in a denial", three, p.deny("rest", three, 3), of(333_331, 1))

	// The rest of a token that is part of a microsecond.
	tiny := policy(ratelimit.Limit{Rate: maxRate, Period: time.Microsecond})
	p.admit("tiny", tiny, 1)
	p.state("of a whole token", "tiny", three, of(333_333, 1))

	// A microsecond of an hour is less than a part of 3/s.
	p.admit("almost nothing", oncePerHour, 1)
	p.advance(time.Hour - time.Microsecond)
	p.state("of a 3,600,000,000th of a token", "almost nothing", three, of(0, 1))
}

func checkTwoLimits(p *probe) {
	day, second := policy(ratelimit.PerDay(100)), policy(ratelimit.PerSecond(50))
	byDay, bySecond := 0, 0
	for range 5000 {
		if p.take("two limits", day, 1).Allowed {
			byDay++
		}
		if p.take("two limits", second, 1).Allowed {
			bySecond++
		}
		p.advance(20 * time.Millisecond)
	}
	if byDay > 101 {
		p.fail("beside 50/s under the same name, 100/d admitted %d calls in 100 s", byDay)
	}
	if bySecond < 40 {
		p.fail("beside 100/d under the same name, 50/s admitted %d calls in 100 s", bySecond)
	}
}
