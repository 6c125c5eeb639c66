package storetest

import (
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

var clockClauses = []clause{
	{name: "NowIsTheClock", promise: "Decision.Now is the store's clock, and debts age by it", check: checkNow},
	{name: "ClockSetBack", promise: "a clock that is set back adds no token, and no key waits longer than one refill", check: checkSetBack, setsBack: true},
}

func checkNow(p *probe) {
	three := policy(ratelimit.PerSecond(3).WithBurst(30))
	before := p.admit("now", three, 30)
	if again := p.take("another", three, 0); again.Now != before.Now {
		p.fail("Decision.Now went from %d to %d while the clock stood still", before.Now, again.Now)
	}
	for _, d := range []time.Duration{time.Microsecond, 3 * time.Microsecond, time.Millisecond, time.Second, 1_234_567 * time.Microsecond} {
		p.advance(d)
		now := p.deny("now", three, 30)
		if passed := time.Duration(now.Now-before.Now) * time.Microsecond; passed != d {
			p.fail("Decision.Now advanced by %v in %v", passed, d)
		}
		want := before.Debts[0]
		want.Micros -= int64(d / time.Microsecond)
		p.debts("after the clock advanced", three, now, want)
		before = now
	}
}

func checkSetBack(p *probe) {
	for _, back := range []time.Duration{time.Microsecond, 300 * time.Millisecond, time.Hour, 1000 * time.Hour} {
		key := "set back " + back.String()
		p.advance(2000 * time.Hour)
		p.admit(key, fivePerSecond, 5)
		p.harness.SetBack(p.t, back)
		for range 3 {
			p.debts("after the clock was set back", fivePerSecond, p.deny(key, fivePerSecond, 1), micros(1_000_000))
		}
		p.advance(time.Second / 2)
		p.deny(key, fivePerSecond, 3)
		p.advance(time.Second / 2)
		p.state("one refill after the clock was set back", key, fivePerSecond, micros(0))
		p.admit(key, fivePerSecond, 5)
		p.deny(key, fivePerSecond, 1)
	}
}
