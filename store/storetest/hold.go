package storetest

import (
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// holdClauses are for a store that can hold tokens.
var holdClauses = []clause{
	{name: "HoldTakesRoom", promise: "held tokens take room, but are no debt and do not drain", check: checkHold, holds: true},
	{name: "HoldIsAllOrNothing", promise: "a call holds its tokens under all limits or under none", check: checkHoldTogether, holds: true},
	{name: "HoldNames", promise: "the names of a hold are set, to 0 where nothing is held", check: checkHoldNames, holds: true},
	{name: "HoldSpend", promise: "with Spend, a call spends the tokens of rates and holds one of each loan, all or nothing", check: checkHoldSpend, holds: true},
	{name: "LoanLendsAndNeverCharges", promise: "a loan lends one token to each call, until it is settled or its slot ends, and nothing is spent", check: checkLoan, holds: true},
	{name: "LoanWithoutHoldIsAnError", promise: "a call that would take a loan and cannot give it back is an error, and charges nothing", check: checkLoanAlone, holds: true},
	{name: "LeastGrants", promise: "with Least, a call takes what is there, from Least to Cost", check: checkLeast, holds: true},
	{name: "SettleFreesTheRest", promise: "a settlement spends the actual tokens and frees the rest", check: checkSettle, holds: true},
	{name: "SettleOverruns", promise: "a settlement of more than was held is a debt, up to two bursts; the rest is reported as lost", check: checkOverrun, holds: true},
	{name: "ChargeBeyondRoom", promise: "a settlement without a hold charges, whether there is room or not", check: checkCharge, holds: true},
	{name: "SettlesEach", promise: "settlements that are sent together have their own results; one without limits is an error", check: checkSettleEach, holds: true},
	{name: "SlotEndBecomesDebt", promise: "a hold that is not settled becomes a debt 1 to 2 s later, 10 to 20 s after a renewal", check: checkSlotEnd, holds: true},
	{name: "LateSettlePaysWhatDrained", promise: "a settlement after the end of the slot pays what has drained of the hold since", check: checkLate, holds: true},
	{name: "RenewKeeps", promise: "a renewal keeps a hold, and makes it anew if it has ended", check: checkRenew, holds: true},
	{name: "ResetVoidsHolds", promise: "after a Reset nothing is held, and a settlement of before charges nothing and frees nothing", check: checkResetHolds, holds: true},
	{name: "ResetVoidsNoOtherHolds", promise: "after a Reset of another bucket, a late settlement pays as without it", check: checkResetOfAnother, holds: true},
	{name: "HeldStaysWhenTheLimitChanges", promise: "held tokens stay held when the limit changes", check: checkHeldChange, holds: true},
	{name: "HoldsWhenTheClockIsSetBack", promise: "when the clock is set back, what is held stays held, under another name", check: checkHoldSetBack, holds: true, setsBack: true},
	{name: "ConcurrentHolds", promise: "concurrent holds are never more than the burst, and all are settled in the end", check: checkConcurrentHolds, holds: true},
}

func checkHold(p *probe) {
	p.debts("after a hold", fivePerSecond, p.hold("hold", fivePerSecond, 3).decision, micros(0))
	p.held("after a hold", "hold", fivePerSecond, 3)
	p.denyHold("hold", fivePerSecond, 3)
	p.deny("hold", fivePerSecond, 3)
	p.held("after a denial", "hold", fivePerSecond, 3)
	d := p.admit("hold", fivePerSecond, 2)
	p.debts("beside a hold of 3", fivePerSecond, d, micros(400_000))
	if d.Held[0] != 3 {
		p.fail("beside a hold of 3, a call was answered with %d held", d.Held[0])
	}
	p.deny("hold", fivePerSecond, 1)
	p.denyHold("hold", fivePerSecond, 1)
	p.advance(400_000_000)
	p.state("0.4 s later", "hold", fivePerSecond, micros(0))
	p.held("0.4 s later", "hold", fivePerSecond, 3)
	p.deny("hold", fivePerSecond, 3)
	p.debts("after a second hold", fivePerSecond, p.hold("hold", fivePerSecond, 2).decision, micros(0))
	p.held("after a second hold", "hold", fivePerSecond, 5)
	p.deny("hold", fivePerSecond, 1)
	p.admit("another key", fivePerSecond, 5)
}

func checkHoldTogether(p *probe) {
	both := policy(ratelimit.PerMinute(60).WithBurst(3), ratelimit.PerHour(60).WithBurst(5).Named("hourly"))
	p.hold("together", both, 2)
	p.held("after a hold", "together", both, 2, 2)
	p.denyHold("together", both, 2)
	p.held("after a denial by the first limit", "together", both, 2, 2)
	p.admit("together", both[1:], 2)
	p.debts("in a denial by the second limit", both, p.denyHold("together", both[:2], 2), micros(0), micros(120_000_000))
	p.hold("together", both, 1)
	p.held("after another hold", "together", both, 3, 3)
	p.denyHold("together", both, 1)
	p.state("after all this", "together", both, micros(0), micros(120_000_000))
}

func checkHoldNames(p *probe) {
	one, three := policy(ratelimit.PerMinute(60).WithBurst(3)), policy(ratelimit.PerMinute(60).WithBurst(3), ratelimit.PerHour(9).Named("b"), ratelimit.PerHour(9).Named("c"))
	for _, test := range []struct {
		when   string
		limits []store.Limit
		cost   int
		hold   store.Hold
		named  int
	}{
		{"a hold under one limit", one, 1, store.Hold{}, 1},
		{"a hold under three limits", three, 1, store.Hold{}, 3},
		{"a hold of nothing", three, 0, store.Hold{}, 0},
		{"a denied hold", three, 4, store.Hold{}, 0},
		{"a call that spends at once", three, 1, store.Hold{Spend: true}, 0},
	} {
		test.hold.Names = [store.MaxLimits]int64{7, 7, 7, 7} // of another call before
		p.request(store.Request{Key: "names", Limits: test.limits, Cost: test.cost, Hold: &test.hold})
		for i, name := range test.hold.Names {
			if (name != 0) != (i < test.named) || name == 7 {
				p.fail("after %s the names are %d; want %d that are set, and then zeros", test.when, test.hold.Names, test.named)
			}
		}
	}
}

func checkHeldChange(p *probe) {
	slow, two := policy(ratelimit.PerSecond(1).WithBurst(100)), policy(ratelimit.PerSecond(2))
	h := p.hold("changed", fivePerSecond, 3)
	p.held("after a change to "+slow[0].String(), "changed", slow, 3)
	p.denyHold("changed", slow, 98)
	h.limits = slow
	p.settled("under the new limit", p.settle(h, 3), micros(3_000_000))

	h = p.hold("lowered", fivePerSecond, 5)
	p.held("after a change to "+two[0].String(), "lowered", two, 5)
	p.deny("lowered", two, 1)
	p.held("after a denial", "lowered", two, 5)
	p.held("after a change back", "lowered", fivePerSecond, 5)
	h.limits = two
	p.settle(h, 0)
	p.admit("lowered", two, 2)

	// What a slot held becomes a debt under the limit of the last request before its end.
	p.hold("ended", fivePerSecond, 3)
	p.advance(2_200_000_000)
	p.state("0.2 s after the end of a slot of 3 tokens, at a change to 1/s", "ended", slow, micros(2_000_000))
	p.hold("read", fivePerSecond, 3)
	p.state("after a change to 1/s", "read", slow, micros(0))
	p.advance(2_200_000_000)
	p.state("0.2 s after the end of a slot of 3 tokens, and 2.2 s after a change to 1/s", "read", slow, micros(2_800_000))
}
