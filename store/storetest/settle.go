package storetest

import (
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

func checkSettle(p *probe) {
	h := p.hold("settle", fivePerSecond, 4)
	p.settled("of 1 of 4", p.settle(h, 1), micros(200_000))
	p.held("after a settlement", "settle", fivePerSecond, 0)
	h = p.hold("settle", fivePerSecond, 4)
	p.settled("of 0 of 4", p.settle(h, 0), micros(200_000))
	h = p.hold("settle", fivePerSecond, 2)
	other := p.hold("settle", fivePerSecond, 2)
	p.settled("of 2 of 2", p.settle(h, 2), micros(600_000))
	p.held("after the settlement of one of two", "settle", fivePerSecond, 2)
	p.deny("settle", fivePerSecond, 1)
	p.advance(100 * time.Millisecond)
	p.settled("of 0 of 2, 0.1 s later", p.settle(other, 0), micros(500_000))
	p.admit("settle", fivePerSecond, 2)

	both := policy(ratelimit.PerSecond(3), ratelimit.PerHour(60).Named("hourly"))
	h = p.hold("settle two", both, 3)
	p.settled("of 2 of 3 under two limits", p.settle(h, 2), of(666_666, 2), micros(120_000_000))
	p.held("after a settlement", "settle two", both, 0, 0)
	h = p.hold("settle two", both[:1], 1)
	h.limits, h.names[1] = both, 0
	p.settled("and the second limit held nothing", p.settle(h, 1), of(1_000_000, 0), micros(180_000_000))
}

func checkOverrun(p *probe) {
	h := p.hold("overrun", fivePerSecond, 2)
	p.settled("of 7 of 2", p.settle(h, 7), micros(1_400_000))
	for range 3 {
		d := p.deny("overrun", fivePerSecond, 1)
		p.debts("in a denial after an overrun", fivePerSecond, d, micros(1_400_000))
		if wait := fivePerSecond[0].RetryAfter(d.Debts[0], 1); wait != 600*time.Millisecond {
			p.fail("after an overrun, the wait that follows from the debt is %v; want 600ms", wait)
		}
	}
	p.advance(600*time.Millisecond - time.Microsecond)
	p.deny("overrun", fivePerSecond, 1)
	p.advance(time.Microsecond)
	p.debts("after the wait", fivePerSecond, p.admit("overrun", fivePerSecond, 1), micros(1_000_000))

	// Beyond two bursts.
	h = p.hold("lost", fivePerSecond, 5)
	p.settledWith("of 12 of 5", p.settle(h, 12), 2, micros(2_000_000))
	p.advance(time.Second)
	p.settledWith("of 9, and 4 are too many", p.charge("lost", fivePerSecond, 9), 4, micros(2_000_000))
	p.settledWith("of 1000", p.charge("lost", fivePerSecond, 1000), 1000, micros(2_000_000))
	p.advance(time.Second + 100*time.Millisecond)
	p.settledWith("of one more, and half of it is too much", p.charge("lost", fivePerSecond, 6), 1, micros(2_000_000))

	// The largest loss of all limits counts.
	both := policy(ratelimit.PerMinute(60).WithBurst(10), ratelimit.PerHour(60).WithBurst(3).Named("hourly"))
	h = p.hold("lost of one", both, 3)
	p.settledWith("of 8 under two limits", p.settle(h, 8), 2, micros(8_000_000), micros(360_000_000))
}

func checkCharge(p *probe) {
	p.settled("of 3 that were not held", p.charge("charge", fivePerSecond, 3), micros(600_000))
	p.settled("of nothing", p.charge("charge", fivePerSecond, 0), micros(600_000))
	p.settled("of 4 that were not held", p.charge("charge", fivePerSecond, 4), micros(1_400_000))
	p.deny("charge", fivePerSecond, 1)
	p.advance(time.Second)
	p.hold("charge", fivePerSecond, 3)
	p.settled("beside a hold", p.charge("charge", fivePerSecond, 5), micros(1_400_000))
	p.held("after a charge", "charge", fivePerSecond, 3)
	p.advance(1400 * time.Millisecond)
	p.debts("after the refill", fivePerSecond, p.admit("charge", fivePerSecond, 2), micros(400_000))
	p.deny("charge", fivePerSecond, 1)

	both := append(loans(1), fivePerSecond...)
	p.settled("of a loan and a rate", p.charge("charge two", both, 2), micros(0), micros(400_000))
	p.held("after a charge", "charge two", both, 0, 0)
}

func checkSettleEach(p *probe) {
	a, b, c := p.hold("each a", fivePerSecond, 3), p.hold("each b", perMinute, 4), p.hold("each a", fivePerSecond, 1)
	of := func(h lent, actual int) store.Settlement { return h.settlement(h.n, actual) }
	wrong := store.Settlement{Key: "each a", Names: a.names, Held: 3, Actual: 3}
	all := p.settling(of(a, 1), wrong, of(b, 4), of(c, 1))
	if all[1].Err == nil {
		p.fail("a settlement without limits has no error")
	}
	for i, want := range map[int]int64{0: 200_000, 2: 4_000_000, 3: 400_000} {
		if all[i].Err != nil || all[i].Debts[0] != micros(want) {
			p.fail("settlement %d of four, the second being wrong, has the debt %v and the error %v; want %d µs", i, all[i].Debts[0], all[i].Err, want)
		}
	}
	p.held("after the settlements", "each a", fivePerSecond, 0)
	p.held("after the settlements", "each b", perMinute, 0)
	p.settling() // of nothing
}
