package storetest

import (
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

var bucketClauses = []clause{
	{name: "FreshBucketIsFull", promise: "a key that never called has all of its tokens", check: checkFresh},
	{name: "BurstThenDenial", promise: "exactly Burst calls are admitted at once, and each is charged", check: checkBurst},
	{name: "WaitAdmits", promise: "a call is admitted after the wait that follows from the debt, and not a microsecond earlier", check: checkWait},
	{name: "DenialChargesNothing", promise: "a denied call costs nothing", check: checkDenial},
	{name: "RefillToFullOnly", promise: "an idle bucket refills up to Burst and no further", check: checkRefill},
	{name: "ProvesItself", promise: "store.Probe finds the store sound, each time", check: checkProve},
}

var fivePerSecond = policy(ratelimit.PerSecond(5))

func checkFresh(p *probe) {
	d := p.take("fresh", fivePerSecond, 0)
	if !d.Allowed {
		p.fail("a call of cost 0 was denied")
	}
	p.debts("before any call", fivePerSecond, d, micros(0))
	p.admit("fresh, all at once", fivePerSecond, 5)
}

func checkBurst(p *probe) {
	for i := range int64(5) {
		p.debts("after a call", fivePerSecond, p.admit("burst", fivePerSecond, 1), micros((i+1)*200_000))
	}
	d := p.deny("burst", fivePerSecond, 1)
	p.debts("in a denial", fivePerSecond, d, micros(1_000_000))
	if wait := fivePerSecond[0].RetryAfter(d.Debts[0], 1); wait != 200*time.Millisecond {
		p.fail("the wait that follows from the debt is %v; want 200ms", wait)
	}
}

func checkWait(p *probe) {
	for _, l := range []ratelimit.Limit{
		ratelimit.PerSecond(5),
		ratelimit.PerSecond(3),
		{Rate: 1, Period: 1900 * time.Millisecond, Burst: 2},
		{Rate: 700_001, Period: time.Second, Burst: 2},
		{Rate: 3, Period: time.Hour, Burst: 10},
		{Rate: 1, Period: gcra.MaxRefill / 2, Burst: 2},
	} {
		both, key := policy(l), "wait "+l.String()
		b := &both[0]
		p.admit(key, both, b.Burst())
		for _, cost := range []int{1, 2} {
			wait := b.RetryAfter(p.deny(key, both, cost).Debts[0], cost)
			if wait > time.Microsecond {
				p.advance(wait - time.Microsecond)
				if d := p.take(key, both, cost); d.Allowed {
					p.fail("under %v a call of cost %d was admitted a microsecond before its wait of %v was over", l, cost, wait)
				}
			}
			p.advance(min(wait, time.Microsecond))
			if d := p.take(key, both, cost); !d.Allowed {
				p.fail("under %v a call of cost %d was denied after its wait of %v, with the debt %v", l, cost, wait, debts(both, d))
			}
		}
	}
}

func checkDenial(p *probe) {
	p.admit("denial", fivePerSecond, 3)
	for range 100 {
		p.debts("in a denial", fivePerSecond, p.deny("denial", fivePerSecond, 3), micros(600_000))
	}
	p.debts("after a hundred denials and a call of cost 2", fivePerSecond, p.admit("denial", fivePerSecond, 2), micros(1_000_000))
	p.advance(time.Second / 10)
	p.debts("in a denial", fivePerSecond, p.deny("denial", fivePerSecond, 1), micros(900_000))
	p.advance(time.Second / 10)
	p.admit("denial", fivePerSecond, 1)
}

func checkRefill(p *probe) {
	for _, idle := range []time.Duration{time.Second, time.Second + time.Microsecond, time.Hour, 365 * 24 * time.Hour} {
		p.admit("refill", fivePerSecond, 5)
		p.advance(idle)
		p.state("after the refill", "refill", fivePerSecond, micros(0))
		for range 5 {
			p.admit("refill", fivePerSecond, 1)
		}
		p.deny("refill", fivePerSecond, 1)
		p.advance(2 * time.Second)
	}
	p.admit("refill", fivePerSecond, 2)
	p.advance(time.Second * 3 / 10)
	p.state("after 0.3 s", "refill", fivePerSecond, micros(100_000))
}

func checkProve(p *probe) {
	for range 3 {
		if err := store.Probe(p.ctx, p.store, "", answerTime); err != nil {
			p.fail("Prove returned an error: %v", err)
		}
	}
	p.admit("after the probes", fivePerSecond, 5)
}
