package storetest

import (
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

func checkLeast(p *probe) {
	both := policy(ratelimit.PerMinute(60).WithBurst(10), ratelimit.PerHour(60).WithBurst(6).Named("hourly"))
	for _, hold := range []bool{false, true} {
		key := "least"
		if hold {
			key = "least, held"
		}
		ask := func(limits []store.Limit, cost, least, want int) store.Decision {
			r := store.Request{Key: key, Limits: limits, Cost: cost, Least: least}
			if hold {
				r.Hold = &store.Hold{}
			}
			d := p.request(r)
			if d.Allowed != (want > 0) || d.Granted != want {
				p.fail("of a call of cost %d, at least %d, %d tokens were granted, allowed=%v; want %d", cost, least, d.Granted, d.Allowed, want)
			}
			return d
		}
		used := 0
		check := func(d store.Decision, n int) {
			used += n
			owed, held := int64(used), 0
			if hold {
				owed, held = 0, used
			}
			p.debts("after a call of its least", both, d, micros(owed*1_000_000), micros(owed*60_000_000))
			if d.Held[0] != held || d.Held[1] != held {
				p.fail("after a call of its least, %v are held; want %d of each", d.Held, held)
			}
		}
		check(ask(both, 2, 1, 2), 2)
		check(ask(both, 3, 3, 3), 3)
		ask(both, 3, 2, 0) // one is left under the hourly limit
		check(ask(both, 100, 1, 1), 1)
		ask(both, 3, 1, 0)
		d := ask(both[:1], 100, 2, 4) // a cost above the burst
		if d.Held[0] == 0 == hold {
			p.fail("a call of its least was answered with %d held", d.Held[0])
		}
		ask(both[:1], 1, 1, 0)
		ask(both[:1], -1, 1, 0)
	}
	if d := p.admit("without least", both, 2); d.Granted != 0 {
		p.fail("Granted is %d without Least; want 0", d.Granted)
	}
}
