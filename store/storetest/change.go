package storetest

import (
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

var changeClauses = []clause{
	{name: "LimitRaised", promise: "a raised limit counts at once", check: checkRaised},
	{name: "LimitLowered", promise: "a lowered limit denies no key for longer than one of its refills", check: checkLowered},
	{name: "ClampIsStored", promise: "a debt that was clamped stays clamped, also after a denial", check: checkClampStored},
	{name: "TimeDebtStays", promise: "when a limit changes, the time until the bucket is full stays", check: checkTimeDebt},
	{name: "DenominatorRoundsUp", promise: "a fraction of another denominator counts as a whole microsecond", check: checkDenominator},
}

var (
	oncePerHour = policy(ratelimit.PerHour(1))
	perMinute   = policy(ratelimit.PerMinute(60)) // burst 60
)

func checkRaised(p *probe) {
	p.admit("raised", oncePerHour, 1)
	p.deny("raised", oncePerHour, 1)
	p.debts("in a denial", fivePerSecond, p.deny("raised", fivePerSecond, 1), micros(1_000_000))
	p.advance(200 * time.Millisecond)
	p.admit("raised", fivePerSecond, 1)
	p.advance(time.Second)
	p.admit("raised", fivePerSecond, 5)

	// A larger burst counts at once.
	p.admit("more burst", policy(ratelimit.PerMinute(60).WithBurst(1)), 1)
	p.deny("more burst", policy(ratelimit.PerMinute(60).WithBurst(1)), 1)
	p.admit("more burst", perMinute, 59)
	p.deny("more burst", perMinute, 1)
}

func checkLowered(p *probe) {
	wide, narrow := policy(ratelimit.PerSecond(10).WithBurst(1000)), policy(ratelimit.PerSecond(1).WithBurst(10))
	p.admit("lowered", wide, 1000) // a debt of 100 s
	p.debts("in a denial", narrow, p.deny("lowered", narrow, 1), micros(10_000_000))
	p.advance(time.Second)
	p.debts("after a call", narrow, p.admit("lowered", narrow, 1), micros(10_000_000))
	p.advance(10 * time.Second)
	p.state("after one refill", "lowered", narrow, micros(0))
	p.admit("lowered", narrow, 10)
}

func checkClampStored(p *probe) {
	p.admit("clamp", oncePerHour, 1)
	p.deny("clamp", fivePerSecond, 5)
	// A clamp that was not stored would clamp to 1 s again and again.
	p.advance(300 * time.Millisecond)
	p.state("0.3 s after a denial that clamped", "clamp", fivePerSecond, micros(700_000))
	p.state("0.3 s after a denial that clamped", "clamp", oncePerHour, micros(700_000))

	// The clamp of one limit is stored whatever the other limits decide.
	both := policy(ratelimit.PerSecond(5), ratelimit.PerHour(1).Named("other"))
	p.admit("clamp one", oncePerHour, 1)
	p.admit("clamp one", policy(ratelimit.PerHour(1).Named("other")), 1)
	p.debts("in a denial", both, p.deny("clamp one", both, 1), micros(1_000_000), micros(3_600_000_000))
	p.advance(900 * time.Millisecond)
	p.state("0.9 s after a denial that clamped", "clamp one", both, micros(100_000), micros(3_599_100_000))

	// A call of cost 0 stores the clamp as well.
	p.admit("clamp at cost 0", oncePerHour, 1)
	p.state("when the limit was raised", "clamp at cost 0", fivePerSecond, micros(1_000_000))
	p.advance(600 * time.Millisecond)
	p.admit("clamp at cost 0", fivePerSecond, 3)
}

func checkTimeDebt(p *probe) {
	p.admit("time", fivePerSecond, 5)
	p.debts("under a slower limit", oncePerHour, p.deny("time", oncePerHour, 1), micros(1_000_000))
	p.debts("under a faster limit", perMinute, p.admit("time", perMinute, 59), micros(60_000_000))
	p.advance(59 * time.Second)
	p.state("59 s later", "time", fivePerSecond, micros(1_000_000))
	p.advance(time.Second)
	p.admit("time", oncePerHour, 1)
}

func checkDenominator(p *probe) {
	three, seven := policy(ratelimit.PerSecond(3)), policy(ratelimit.PerSecond(7))
	p.admit("denominator", three, 1)
	p.state("of 333333 1/3", "denominator", seven, micros(333_334))
	p.state("after a call that wrote nothing", "denominator", three, of(333_333, 1))
	p.debts("in a denial", seven, p.deny("denominator", seven, 7), micros(333_334))
	p.state("after a denial", "denominator", three, of(333_333, 1))
	p.debts("after a call", seven, p.admit("denominator", seven, 1), of(333_334+142_857, 1))
	p.debts("after a call", three, p.admit("denominator", three, 1), of(476_192+333_333, 1))

	// A debt that is a fraction alone is rounded up, too.
	tiny := policy(ratelimit.Limit{Rate: maxRate, Period: time.Microsecond})
	p.debts("after a call", tiny, p.admit("tiny", tiny, 1), of(0, 1))
	p.state("of a part of a microsecond", "tiny", three, micros(1))
	p.advance(time.Microsecond)
	p.state("a microsecond later", "tiny", three, micros(0))
}
