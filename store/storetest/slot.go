package storetest

import (
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

func checkSlotEnd(p *probe) {
	// The first hold begins a slot of one second; it ends with the second one's end.
	p.hold("ends", fivePerSecond, 3)
	p.advance(900 * time.Millisecond)
	p.hold("ends", fivePerSecond, 1)
	p.advance(time.Second)
	p.held("1 s after a hold", "ends", fivePerSecond, 4)
	p.advance(100*time.Millisecond - time.Microsecond)
	p.held("2 s after a hold, less 1 µs", "ends", fivePerSecond, 4)
	p.state("2 s after a hold, less 1 µs", "ends", fivePerSecond, micros(0))
	p.advance(time.Microsecond)
	p.held("2 s after a hold", "ends", fivePerSecond, 0)
	p.state("2 s after a hold", "ends", fivePerSecond, micros(800_000))
	p.deny("ends", fivePerSecond, 2)
	p.advance(100 * time.Millisecond)
	p.state("2.1 s after a hold", "ends", fivePerSecond, micros(700_000))

	// A slot that ends while no call comes, beside a debt and a second slot.
	p.hold("unseen", fivePerSecond, 2)
	p.advance(1500 * time.Millisecond)
	p.hold("unseen", fivePerSecond, 1)
	p.admit("unseen", fivePerSecond, 2) // until 1.9 s
	p.advance(700 * time.Millisecond)
	p.state("2.2 s after a hold of 2", "unseen", fivePerSecond, micros(200_000))
	p.held("0.7 s after a hold of 1", "unseen", fivePerSecond, 1)
	p.advance(850 * time.Millisecond)
	p.state("0.05 s after the second slot", "unseen", fivePerSecond, micros(150_000))
	p.advance(time.Hour)
	p.admit("unseen", fivePerSecond, 5)

	// A slot that ends above the capacity.
	h := p.hold("beyond", fivePerSecond, 5)
	p.charge("beyond", fivePerSecond, 5)
	p.advance(100 * time.Millisecond)
	p.renew(&h)
	p.charge("beyond", fivePerSecond, 5)
	p.advance(2 * time.Second)
	p.held("after a renewal", "beyond", fivePerSecond, 5)
	p.advance(8*time.Second - time.Microsecond)
	p.held("10 s after a renewal, less 1 µs", "beyond", fivePerSecond, 5)
	p.advance(9*time.Second + 500*time.Millisecond)
	p.charge("beyond", fivePerSecond, 5)
	p.advance(500 * time.Millisecond)
	p.held("20 s after a renewal, less 1 µs", "beyond", fivePerSecond, 5)
	p.advance(time.Microsecond)
	p.held("20 s after a renewal", "beyond", fivePerSecond, 0)
	p.state("20 s after a renewal", "beyond", fivePerSecond, micros(1_499_999))
	p.deny("beyond", fivePerSecond, 1)
	p.advance(699_999 * time.Microsecond)
	p.admit("beyond", fivePerSecond, 1)
}

func checkLate(p *probe) {
	for _, test := range []struct {
		name         string
		late         time.Duration // after the end of the slot, which leaves 0.8 s of debt
		actual, lost int
		want         int64
	}{
		{"of all, at once", 0, 4, 0, 800_000},
		{"of all, 0.3 s late", 300 * time.Millisecond, 4, 0, 800_000},
		{"of half, 0.3 s late", 300 * time.Millisecond, 2, 0, 500_000},
		{"of 3, 0.3 s late", 300 * time.Millisecond, 3, 0, 600_000},
		{"of nothing, 0.3 s late", 300 * time.Millisecond, 0, 0, 500_000},
		{"of more, 0.3 s late", 300 * time.Millisecond, 6, 0, 1_200_000},
		{"of all, an hour late", time.Hour, 4, 0, 800_000},
		{"of half, an hour late", time.Hour, 2, 0, 400_000},
		{"of 13, 0.3 s late", 300 * time.Millisecond, 13, 3, 2_000_000},
		{"of 11, an hour late", time.Hour, 11, 1, 2_000_000},
	} {
		h := p.hold(test.name, fivePerSecond, 4)
		p.advance(2*time.Second + test.late)
		p.settledWith(test.name, p.settle(h, test.actual), test.lost, micros(test.want))
		p.held("after a settlement "+test.name, test.name, fivePerSecond, 0)
	}
	// A late settlement frees nothing that another call holds.
	h := p.hold("of another", fivePerSecond, 2)
	p.advance(2500 * time.Millisecond)
	p.hold("of another", fivePerSecond, 3)
	p.settle(h, 0)
	p.held("after a late settlement", "of another", fivePerSecond, 3)
}

func checkRenew(p *probe) {
	h := p.hold("renew", fivePerSecond, 3)
	p.advance(500 * time.Millisecond)
	s := p.renew(&h)
	p.settled("that renews", s, micros(0))
	p.held("after a renewal", "renew", fivePerSecond, 3)
	for range 3 {
		p.advance(9500 * time.Millisecond)
		p.held("9.5 s after a renewal", "renew", fivePerSecond, 3)
		p.renew(&h)
		p.held("after another renewal", "renew", fivePerSecond, 3)
	}
	p.state("after renewals", "renew", fivePerSecond, micros(0))
	p.settled("of 1 of 3", p.settle(h, 1), micros(200_000))
	p.held("after the settlement", "renew", fivePerSecond, 0)

	// After its end a hold is made anew, and what it has cost stays.
	h = p.hold("renew late", fivePerSecond, 3)
	p.advance(2500 * time.Millisecond)
	p.settled("that renews 0.5 s late", p.renew(&h), micros(100_000))
	p.held("after a late renewal", "renew late", fivePerSecond, 3)
	p.admit("renew late", fivePerSecond, 1)
	p.deny("renew late", fivePerSecond, 1)
	p.advance(9 * time.Second)
	p.held("9 s after a late renewal", "renew late", fivePerSecond, 3)
	p.settled("of 3 of 3", p.settle(h, 3), micros(600_000))

	// It does not ask for room.
	h = p.hold("renew beyond", fivePerSecond, 3)
	p.advance(4 * time.Second)
	p.admit("renew beyond", fivePerSecond, 5)
	p.renew(&h)
	p.held("after a renewal beyond the room", "renew beyond", fivePerSecond, 3)
	p.advance(600 * time.Millisecond)
	p.deny("renew beyond", fivePerSecond, 1)
	p.state("0.6 s later", "renew beyond", fivePerSecond, micros(400_000))
	p.held("0.6 s later", "renew beyond", fivePerSecond, 3)
	p.settle(h, 0)
	p.admit("renew beyond", fivePerSecond, 3)

	// A renewal of nothing holds nothing.
	h = lent{key: "renew nothing", limits: fivePerSecond, n: 3}
	p.renew(&h)
	p.held("after a renewal of nothing", "renew nothing", fivePerSecond, 0)

	// Nor does a renewal of what was settled in parts. It begins no slot for later holds.
	h = p.hold("renew the rest", fivePerSecond, 2)
	p.settleOne(h.settlement(2, 2))
	h.n = 0
	p.renew(&h)
	p.held("after a renewal of the rest", "renew the rest", fivePerSecond, 0)
	p.advance(15 * time.Second)
	h = p.hold("renew the rest", fivePerSecond, 3)
	p.renew(&h)
	p.advance(9 * time.Second)
	p.held("9 s after a renewal of 3", "renew the rest", fivePerSecond, 3)
}

func checkResetHolds(p *probe) {
	for _, wait := range []time.Duration{123_457 * time.Microsecond, 1_123_457 * time.Microsecond, 3 * time.Second} {
		key := "reset after " + wait.String()
		old := p.hold(key, fivePerSecond, 3)
		p.advance(wait)
		renewed := p.hold(key, fivePerSecond, 1)
		p.renew(&renewed)
		p.reset(key, fivePerSecond)
		p.held("after a reset", key, fivePerSecond, 0)
		p.state("after a reset", key, fivePerSecond, micros(0))
		p.advance(10_007 * time.Microsecond)
		other := p.hold(key, fivePerSecond, 2)
		more := p.hold(key, fivePerSecond, 1)
		p.renew(&more)
		p.settled("of before a reset", p.settle(old, 4), micros(0))
		p.settled("of a renewal before a reset", p.settle(renewed, 4), micros(0))
		p.held("after settlements of before a reset", key, fivePerSecond, 3)
		p.settled("of after the reset", p.settle(other, 1), micros(200_000))
		p.settled("of after the reset", p.settle(more, 1), micros(400_000))
		p.held("in the end", key, fivePerSecond, 0)
	}
}

func checkResetOfAnother(p *probe) {
	daily := policy(ratelimit.PerDay(1000), ratelimit.PerDay(1000).Named("other"))
	for _, wait := range []time.Duration{0, 3 * time.Second, time.Minute} {
		key := "reset of another after " + wait.String()
		h := p.hold(key, daily[:1], 10)
		p.advance(wait)
		p.reset("another", daily)
		p.reset(key, daily[1:])
		p.advance(time.Second)
		p.settled("after the reset of another bucket", p.settle(h, 500), micros(500*86_400_000))
	}
}

func checkHoldSetBack(p *probe) {
	p.advance(2000 * time.Hour)
	for _, test := range []struct {
		back time.Duration
		owed int64 // the bucket was full at the hold, which now is in the future
	}{{time.Second, 700_000}, {5 * time.Second, 1_000_000}, {time.Hour, 1_000_000}} {
		key := "set back " + test.back.String()
		h := p.hold(key, fivePerSecond, 3)
		p.advance(300 * time.Millisecond)
		p.harness.SetBack(p.t, test.back)
		p.held("after the clock was set back", key, fivePerSecond, 3)
		p.deny(key, fivePerSecond, 3)
		p.settled("of before the clock was set back", p.settle(h, 2), micros(test.owed+400_000))
		p.held("after that settlement", key, fivePerSecond, 3)
		p.advance(2 * time.Second)
		p.held("2 s later", key, fivePerSecond, 0)
		p.deny(key, fivePerSecond, 5)
		p.advance(2 * time.Second)
		p.admit(key, fivePerSecond, 5)
	}
}
