package storetest

import (
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// leaseClauses are for a store that can hold tokens.
var leaseClauses = []clause{
	{name: "LeaseHoldsBesideTheCost", promise: "an admitted call spends its cost and holds its lease beside it; a call of cost 0 only holds", check: checkLease, holds: true},
	{name: "CostBeforeLease", promise: "a lease gets what the cost leaves, and a denied call gets none", check: checkLeaseRoom, holds: true},
	{name: "LeaseOfHalfTheBurst", promise: "what is held in the short class and leased is never more than half the burst, rounded down", check: checkLeaseHalf, holds: true},
	{name: "LeaseIsTheSameInAllLimits", promise: "a lease holds the same number of tokens under all limits", check: checkLeaseTogether, holds: true},
	{name: "NoLeaseUnderALoan", promise: "under a loan, and without Spend, nothing is leased", check: checkLeaseLoan, holds: true},
	{name: "LeaseEnds", promise: "what is leased and not settled becomes a debt 1 to 2 s later", check: checkLeaseEnd, holds: true},
	{name: "SettlesInParts", promise: "a settlement of a part of what is held leaves the rest held under the same name", check: checkSettleParts, holds: true},
	{name: "ReleaseComesFirst", promise: "the settlements that come with a request are made before it is decided, whatever is decided", check: checkRelease, holds: true},
	{name: "ReleaseHasResults", promise: "each settlement that comes with a request has its results; one that was not made has an error, and nothing was charged", check: checkReleaseResults, holds: true},
}

func checkLease(p *probe) {
	h := p.lease("at first", "lease", perMinute, 2, 3, 3)
	p.debts("after a call of cost 2 with a lease", perMinute, h.decision, micros(2_000_000))
	if h.decision.Held[0] != 3 || h.names[0] == 0 || h.names[1] != 0 {
		p.fail("a call with a lease of 3 was answered with %d held and the names %d; want 3, and one name", h.decision.Held[0], h.names)
	}
	p.held("after a lease", "lease", perMinute, 3)
	p.deny("lease", perMinute, 56)
	p.admit("lease", perMinute, 55)
	p.settled("of 1 of 3", p.settle(h, 1), micros(58_000_000))
	p.held("after a settlement", "lease", perMinute, 0)

	h = p.lease("of cost 0", "lease alone", perMinute, 0, 4, 4)
	p.debts("after a call of cost 0 with a lease", perMinute, h.decision, micros(0))
	p.held("after a lease", "lease alone", perMinute, 4)
	p.settled("of 4 of 4", p.settle(h, 4), micros(4_000_000))
	for _, lease := range []int{0, -1} {
		h = p.lease("of nothing", "lease nothing", perMinute, 1, lease, 0)
		if h.names != [store.MaxLimits]int64{} {
			p.fail("a call with a lease of %d has the names %d", lease, h.names)
		}
	}
	p.held("after leases of nothing", "lease nothing", perMinute, 0)

	// With Least, the call spends what there is, and leaves nothing.
	hold := store.Hold{Spend: true, Lease: 5}
	d := p.request(store.Request{Key: "least", Limits: fivePerSecond, Cost: 9, Least: 1, Hold: &hold})
	if !d.Allowed || d.Granted != 5 || hold.Leased != 0 {
		p.fail("a call of its least with a lease was granted %d and leased %d; want 5 and 0", d.Granted, hold.Leased)
	}
}

func checkLeaseRoom(p *probe) {
	p.admit("room", perMinute, 40)
	p.lease("with 20 left", "room", perMinute, 15, 9, 5)
	p.lease("with 0 left", "room", perMinute, 0, 9, 0)
	p.advance(1500 * time.Millisecond)
	p.lease("with one and a half left", "room", perMinute, 0, 9, 1)
	p.admit("denied", perMinute, 40)
	for _, cost := range []int{21, 61, -1} {
		h := p.leasing("denied", perMinute, cost, 9)
		if h.decision.Allowed || h.n != 0 || h.names != [store.MaxLimits]int64{} {
			p.fail("a call of cost %d with 20 left: allowed=%v, leased %d, names %d; want a denial and no lease", cost, h.decision.Allowed, h.n, h.names)
		}
	}
	p.held("after denials", "denied", perMinute, 0)

	// A lease never keeps a call out that asks for the last token.
	p.admit("last", perMinute, 59)
	p.lease("with one left", "last", perMinute, 1, 30, 0)
}

func checkLeaseHalf(p *probe) {
	p.lease("at first", "half", fivePerSecond, 0, 9, 2)
	p.lease("beside 2", "half", fivePerSecond, 1, 9, 0)
	p.held("after leases", "half", fivePerSecond, 2)
	p.hold("half", fivePerSecond, 2)

	// Any other hold of the class counts, in both of its slots, and no renewed one.
	h := p.hold("other holds", perMinute, 10)
	p.lease("beside a hold of 10", "other holds", perMinute, 0, 60, 20)
	p.renew(&h)
	p.lease("after the renewal of that hold", "other holds", perMinute, 0, 5, 5)
	p.advance(1100 * time.Millisecond)
	p.lease("in the next slot", "other holds", perMinute, 0, 60, 5)
	p.held("in the end", "other holds", perMinute, 40)
	p.lease("of a burst of 1", "one", policy(ratelimit.PerMinute(60).WithBurst(1)), 0, 1, 0)
}

func checkLeaseTogether(p *probe) {
	both := policy(ratelimit.PerMinute(60).WithBurst(20), ratelimit.PerHour(60).WithBurst(30).Named("hourly"))
	h := p.lease("of two limits", "together", both, 3, 30, 10)
	p.held("after a lease", "together", both, 10, 10)
	p.settled("of 4 of 10", p.settle(h, 4), micros(7_000_000), micros(420_000_000))
	p.admit("together", both[1:], 15)
	p.lease("of two limits, the second with 8 left", "together", both, 2, 30, 6)
	p.held("after a second lease", "together", both, 6, 6)
	if h := p.leasing("together", both, 3, 30); h.decision.Allowed || h.n != 0 {
		p.fail("a call that the second limit has no room for: allowed=%v, leased %d", h.decision.Allowed, h.n)
	}
	p.held("after a denial by the second limit", "together", both, 6, 6)
}

func checkLeaseLoan(p *probe) {
	both := append(loans(9), perMinute...)
	p.lease("beside a loan", "loan", both, 1, 9, 0)
	p.held("after a call", "loan", both, 1, 0)
	p.lease("of a loan", "loan alone", loans(9), 1, 9, 0)
	p.held("after a call", "loan alone", loans(9), 1)
	hold := store.Hold{Lease: 9}
	if p.request(store.Request{Key: "hold", Limits: perMinute, Cost: 2, Hold: &hold}); hold.Leased != 0 {
		p.fail("a call that holds its cost has leased %d", hold.Leased)
	}
	p.held("after a call that holds its cost", "hold", perMinute, 2)
}

func checkLeaseEnd(p *probe) {
	h := p.lease("at first", "ends", perMinute, 2, 4, 4)
	p.advance(2*time.Second - time.Microsecond)
	p.held("2 s after a lease, less 1 µs", "ends", perMinute, 4)
	p.advance(time.Microsecond)
	p.held("2 s after a lease", "ends", perMinute, 0)
	p.state("2 s after a lease", "ends", perMinute, micros(4_000_000))
	p.advance(time.Second)
	p.settled("a second too late", p.settle(h, 4), micros(4_000_000))
}

func checkSettleParts(p *probe) {
	h := p.lease("at first", "parts", perMinute, 0, 10, 10)
	for spent := range 4 {
		p.settled("of 2 of what is left", p.settleOne(h.settlement(2, 2)), micros(int64(2*spent+2)*1_000_000))
		p.held("after a settlement in part", "parts", perMinute, 8-2*spent)
	}
	p.advance(1500 * time.Millisecond)
	p.settled("of 1, in the next slot", p.settleOne(h.settlement(1, 1)), micros(7_500_000))
	p.held("after a settlement in the next slot", "parts", perMinute, 1)
	p.settled("of the rest, unspent", p.settleOne(h.settlement(1, 0)), micros(7_500_000))
	p.held("in the end", "parts", perMinute, 0)

	both := policy(ratelimit.PerMinute(60).WithBurst(20), ratelimit.PerHour(60).WithBurst(30).Named("hourly"))
	h = p.hold("parts of two", both, 9)
	p.settled("of 4 of 9", p.settleOne(h.settlement(4, 3)), micros(3_000_000), micros(180_000_000))
	p.held("after a settlement in part", "parts of two", both, 5, 5)
	p.advance(2500 * time.Millisecond)
	p.held("after the end of the slot", "parts of two", both, 0, 0)
	p.state("0.5 s after the end of the slot", "parts of two", both, micros(5_500_000), micros(477_500_000))
}

func checkRelease(p *probe) {
	take := func(limits []store.Limit, cost int, release ...store.Settlement) store.Decision {
		return p.request(store.Request{Key: "release", Limits: limits, Cost: cost, Release: release})
	}
	h := p.lease("at first", "release", perMinute, 20, 30, 30)
	if d := take(perMinute, 30, h.settlement(30, 10)); !d.Allowed || d.Held[0] != 0 || d.Debts[0] != micros(60_000_000) {
		p.fail("a call of cost 30 that settles 10 of 30 was answered allowed=%v, %d held, debts %v; want it admitted: it finds 30 tokens", d.Allowed, d.Held[0], debts(perMinute, d))
	}
	p.advance(30 * time.Second)
	h = p.lease("later", "release", perMinute, 0, 30, 30)
	if d := take(perMinute, 21, h.settlement(20, 10)); d.Allowed || d.Held[0] != 10 || d.Debts[0] != micros(40_000_000) {
		p.fail("a call of cost 21 that settles 10 of 20 was answered allowed=%v, %d held, debts %v; want it denied, and the settlement made", d.Allowed, d.Held[0], debts(perMinute, d))
	}
	p.state("after a denied call with a settlement", "release", perMinute, micros(40_000_000))
	p.held("after a denied call with a settlement", "release", perMinute, 10)

	// A lease in place of another, and a settlement of other limits.
	other := policy(ratelimit.PerHour(60).Named("hourly"))
	more := p.hold("release", other, 7)
	hold := store.Hold{Spend: true, Lease: 30}
	p.request(store.Request{Key: "release", Limits: perMinute, Hold: &hold, Release: []store.Settlement{more.settlement(7, 7), h.settlement(10, 0)}})
	if hold.Leased != 20 {
		p.fail("a lease in place of another was of %d tokens; want the 20 that are left", hold.Leased)
	}
	p.state("after the settlement of other limits", "release", other, micros(420_000_000))
	p.held("in the end", "release", append(other[:1:1], perMinute...), 0, 20)
}

func checkReleaseResults(p *probe) {
	a, b := p.hold("results", fivePerSecond, 2), p.hold("results", fivePerSecond, 1)
	renewed := b.settlement(1, 0)
	renewed.Renew = true
	wrong := a.settlement(2, 2)
	wrong.Limits = nil
	late := a.settlement(2, 12)
	late.Err, late.Lost = errNoHolder, 7 // of before
	all := []store.Settlement{late, wrong, renewed}
	d := p.request(store.Request{Key: "results", Limits: fivePerSecond, Cost: 0, Release: all})
	if s := all[0]; s.Err != nil || s.Debts[0] != micros(2_000_000) || s.Lost != 2 || s.Now != d.Now {
		p.fail("the settlement of 12 of 2 with a request has the debt %v, %d lost, the time %d and the error %v; want 2 s, 2, %d and none", s.Debts[0], s.Lost, s.Now, s.Err, d.Now)
	}
	if failed := store.NewError(all[1].Err, ""); all[1].Err == nil || !failed.NotCharged {
		p.fail("a settlement without limits that comes with a request has the error %v; want one that is NotCharged", all[1].Err)
	}
	if s := all[2]; s.Err != nil || s.Names[0] == 0 || s.Names[0] == b.names[0] {
		p.fail("a renewal that comes with a request has the names %d and the error %v; want another name", s.Names, s.Err)
	}
	p.held("after settlements with a request", "results", fivePerSecond, 1)
	b.names = all[2].Names
	p.settled("of the renewed hold", p.settle(b, 0), micros(2_000_000))

	// Nothing is lost with a request that is an error.
	c := p.hold("error", fivePerSecond, 3)
	all = []store.Settlement{c.settlement(3, 1)}
	if _, err := p.try(p.ctx, store.Request{Key: "error", Release: all}); err == nil {
		p.fail("a request without limits has no error")
	}
	want := 0
	if failed := store.NewError(all[0].Err, ""); all[0].Err != nil {
		if want = 3; !failed.NotCharged {
			p.fail("a settlement with a request without limits has the error %v; want none, or one that is NotCharged", all[0].Err)
		}
	}
	p.held("after a request without limits", "error", fivePerSecond, want)
}
