package storetest

import (
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

var resetClauses = []clause{
	{name: "ResetFills", promise: "Reset fills the buckets of the key and the policy, and no others", check: checkReset},
	{name: "ResetWinsOverOlderKnowledge", promise: "observations from before a Reset are ignored", check: checkResetWins},
	{name: "ResetInTheSameMicrosecond", promise: "an observation in the microsecond of a Reset counts as older, also on a new store", check: checkResetAtOnce},
	{name: "LaterKnowledgeCounts", promise: "observations from after a Reset count", check: checkLaterKnowledge},
	{name: "UndatedKnowledgeCounts", promise: "an observation without a date (Seen is 0) always counts, also after a Reset", check: checkUndated},
}

func checkReset(p *probe) {
	both := policy(ratelimit.PerHour(2), ratelimit.PerDay(3).Named("daily"))
	p.reset("never seen", both)
	p.admit("never seen", both, 2)

	p.admit("reset", both, 2)
	p.admit("bystander", both, 2)
	p.advance(time.Minute)
	p.reset("reset", both)
	p.state("after a reset", "reset", both, micros(0), micros(0))
	p.admit("reset", both, 2)
	p.deny("reset", both, 1)
	p.state("of another key", "bystander", both, micros(2*1_800_000_000-60_000_000), micros(2*28_800_000_000-60_000_000))

	p.reset("reset", policy(ratelimit.PerHour(2)))
	p.state("after a reset of the hourly limit alone", "reset", both, micros(0), micros(2*28_800_000_000))
	p.admit("reset", both, 1)

	// The name counts: the limit may have changed since.
	p.admit("reset by name", oncePerHour, 1)
	p.reset("reset by name", fivePerSecond)
	p.admit("reset by name", oncePerHour, 1)
}

// spent empties a bucket and returns the caller's observation of it.
func (p *probe) spent(key string, policy []store.Limit) store.Known {
	d := p.admit(key, policy, policy[0].Burst())
	return store.Known{Debt: d.Debts[0], TAT: policy[0].TATAt(d.Debts[0], d.Now), Seen: d.Now}
}

func checkResetWins(p *probe) {
	p.advance(time.Second)
	old := p.spent("wins", oncePerHour)
	p.advance(time.Minute)
	p.reset("wins", oncePerHour)
	p.advance(time.Minute)
	d := p.knowing("wins", oncePerHour, 1, old)
	if !d.Allowed {
		p.fail("a call was denied by an observation from before the reset: %v", debts(oncePerHour, d))
	}
	p.debts("after a call", oncePerHour, d, micros(3_600_000_000))
	p.reset("wins", oncePerHour)
	p.debts("in a call of cost 0", oncePerHour, p.knowing("wins", oncePerHour, 0, old), micros(0))

	// Also for a bucket that the store never had, and as long as such a debt could last.
	p.reset("wins, unseen", oncePerHour)
	p.advance(59 * time.Minute)
	p.debts("59 minutes after the reset", oncePerHour, p.knowing("wins, unseen", oncePerHour, 0, old), micros(0))

	p.debts("of another key", oncePerHour, p.knowing("bystander", oncePerHour, 0, debt(micros(1_800_000_000))), micros(1_800_000_000))
	seen := store.Known{Debt: micros(1_800_000_000), Seen: old.Seen}
	p.debts("of another key", oncePerHour, p.knowing("bystander", oncePerHour, 0, seen), micros(1_800_000_000))
	other := policy(ratelimit.PerHour(1).Named("other"))
	p.debts("of another limit", other, p.knowing("wins", other, 0, seen), micros(1_800_000_000))
}

func checkResetAtOnce(p *probe) {
	old := p.spent("at once", oncePerHour)
	p.reset("at once", oncePerHour)
	if d := p.knowing("at once", oncePerHour, 1, old); !d.Allowed {
		p.fail("a call was denied by an observation at %d, the microsecond of the reset, which counts as older: %v", old.Seen, debts(oncePerHour, d))
	}
}

func checkLaterKnowledge(p *probe) {
	p.spent("later", oncePerHour)
	p.reset("later", oncePerHour)
	p.advance(time.Microsecond)
	d := p.take("later", oncePerHour, 0)
	p.advance(time.Minute)
	if d := p.knowing("later", oncePerHour, 1, store.Known{Debt: micros(600_000_000), Seen: d.Now}); d.Allowed {
		p.fail("a call was admitted although its caller knew of a debt from after the reset")
	}
	now := p.spent("later", oncePerHour)
	p.advance(time.Minute)
	p.debts("in a denial", oncePerHour, p.knowing("later", oncePerHour, 1, now), micros(3_540_000_000))
}

func checkUndated(p *probe) {
	p.reset("undated", oncePerHour)
	p.advance(time.Minute)
	if d := p.knowing("undated", oncePerHour, 1, debt(micros(600_000_000))); d.Allowed {
		p.fail("a call was admitted although its caller knew of a debt without a date")
	}
}
