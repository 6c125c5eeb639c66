package storetest

import (
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

var knownClauses = []clause{
	{name: "KnownDebtDenies", promise: "a known debt counts like the bucket's own", check: checkKnownDenies},
	{name: "KnownDebtIsCharged", promise: "an admitted call leaves the known debt and its cost in the bucket", check: checkKnownCharged},
	{name: "KnownLessThanOwn", promise: "a known debt counts only if it is larger than the bucket's own", check: checkKnownLess},
	{name: "KnownAboveCapacity", promise: "a known debt above the capacity counts as the capacity", check: checkKnownAbove},
	{name: "KnownDebtAndTAT", promise: "of a known debt and a known TAT the smaller debt counts", check: checkKnownBoth},
	{name: "KnownOfAnotherRate", promise: "what is known of a bucket under another rate or period does not count", check: checkKnownOther},
	{name: "KnownOfSeveralLimits", promise: "knowledge counts for its own limit, in the order of the limits", check: checkKnownSeveral},
	{name: "KnownIsOnlyRead", promise: "the store does not change the caller's knowledge", check: checkKnownRead},
}

func debt(d gcra.Debt) store.Known { return store.Known{Debt: d} }

// tat returns knowledge of a bucket that owed d at the time now.
func tat(b *store.Limit, claimed, d gcra.Debt, now int64) store.Known {
	return store.Known{Debt: claimed, TAT: b.TATAt(d, now)}
}

func checkKnownDenies(p *probe) {
	for range 3 {
		d := p.knowing("known", fivePerSecond, 1, debt(micros(1_000_000)))
		if d.Allowed {
			p.fail("a call was admitted although its caller knew that the bucket was empty")
		}
		p.debts("in the denial", fivePerSecond, d, micros(1_000_000))
	}
	if d := p.knowing("known", fivePerSecond, 1, debt(micros(800_001))); d.Allowed {
		p.fail("a call was admitted although its caller knew of a debt of 800001 µs")
	}
	p.state("after denials by knowledge, which write nothing", "known", fivePerSecond, micros(0))
	if d := p.knowing("known", fivePerSecond, 1, debt(micros(800_000))); !d.Allowed {
		p.fail("a call was denied although the known debt left room for it")
	}
	p.deny("known", fivePerSecond, 1)
}

func checkKnownCharged(p *probe) {
	p.debts("after a call", fivePerSecond, p.knowing("carried", fivePerSecond, 1, debt(micros(400_001))), micros(600_001))
	p.state("after the call", "carried", fivePerSecond, micros(600_001))
	p.advance(100 * time.Millisecond)
	p.state("0.1 s later", "carried", fivePerSecond, micros(500_001))

	p.debts("in a call of cost 0", fivePerSecond, p.knowing("cost 0", fivePerSecond, 0, debt(micros(400_000))), micros(400_000))
	p.state("after a call of cost 0, which writes nothing", "cost 0", fivePerSecond, micros(0))

	three := policy(ratelimit.PerSecond(3))
	p.debts("after a call", three, p.knowing("carried thirds", three, 1, debt(of(333_333, 2))), of(666_667, 0))
}

func checkKnownLess(p *probe) {
	p.admit("less", fivePerSecond, 3)
	for _, known := range []store.Known{
		{}, debt(micros(599_999)), debt(micros(600_000)), debt(micros(-1)),
		tat(&fivePerSecond[0], micros(1_000_000), micros(1), p.take("less", fivePerSecond, 0).Now),
	} {
		p.debts("in a call that knows less", fivePerSecond, p.knowing("less", fivePerSecond, 0, known), micros(600_000))
	}
	p.debts("after a call", fivePerSecond, p.knowing("less", fivePerSecond, 1, debt(micros(599_999))), micros(800_000))
}

func checkKnownAbove(p *probe) {
	hour := micros(3_600_000_000)
	now := p.take("too much", fivePerSecond, 0).Now
	for _, known := range []store.Known{debt(hour), debt(of(1_000_000, 0)), debt(micros(1_000_001)), tat(&fivePerSecond[0], hour, hour, now)} {
		d := p.knowing("too much", fivePerSecond, 1, known)
		if d.Allowed {
			p.fail("a call was admitted although its caller knew that the bucket was empty")
		}
		p.debts("in the denial", fivePerSecond, d, micros(1_000_000))
	}
	p.debts("in a call of cost 0", fivePerSecond, p.knowing("too much", fivePerSecond, 0, debt(hour)), micros(1_000_000))
}

func checkKnownBoth(p *probe) {
	b := &fivePerSecond[0]
	p.advance(time.Second)
	now := p.take("both", fivePerSecond, 0).Now
	for _, test := range []struct {
		when  string
		known store.Known
		want  int64
	}{
		{"knowing of a debt of 0.3 s, and by its TAT of 0.5 s", tat(b, micros(300_000), micros(500_000), now), 300_000},
		{"knowing of a debt of 0.5 s, and by its TAT of 0.3 s", tat(b, micros(500_000), micros(300_000), now), 300_000},
		{"knowing of a debt of 0.5 s, and of a TAT in the past", tat(b, micros(500_000), micros(300_000), now-400_000), 0},
		{"knowing of no debt and of a TAT", tat(b, micros(0), micros(300_000), now), 0},
		{"knowing of a debt of an hour, and of a TAT 0.2 s away", tat(b, micros(3_600_000_000), micros(200_000), now), 200_000},
		{"knowing of a debt of 0.1 s, and of a TAT an hour away", tat(b, micros(100_000), micros(3_600_000_000), now), 100_000},
		{"knowing of a debt of 0.4 s alone", debt(micros(400_000)), 400_000},
	} {
		p.debts(test.when, fivePerSecond, p.knowing("both", fivePerSecond, 0, test.known), micros(test.want))
	}
	// A TAT ages on the store's clock.
	p.advance(100 * time.Millisecond)
	d := p.knowing("both", fivePerSecond, 1, tat(b, micros(1_000_000), micros(500_000), now))
	p.debts("after a call that knew of a TAT 0.4 s away", fivePerSecond, d, micros(600_000))
}

func checkKnownOther(p *probe) {
	three, seven := policy(ratelimit.PerSecond(3)), policy(ratelimit.PerSecond(7))
	d := p.admit("thirds", three, 1)
	seen := store.Known{Debt: micros(1_000_000), TAT: three[0].TATAt(d.Debts[0], d.Now)}
	p.debts("knowing of 333333 1/3 under 3/s", seven, p.knowing("sevenths", seven, 0, seen), micros(0))
	p.debts("knowing of 333333 1/3", three, p.knowing("other thirds", three, 0, seen), of(333_333, 1))

	// Nor does it count for a bucket that owes what was spent under another rate.
	p.admit("changed", three, 1)
	p.debts("after a change to 7/s", seven, p.knowing("changed", seven, 0, debt(micros(1_000_000))), of(142_857, 1))
	p.debts("after a change to 7/s", seven, p.knowing("changed", seven, 0, debt(micros(1_000_000))), micros(1_000_000))
}

func checkKnownSeveral(p *probe) {
	both := policy(ratelimit.PerSecond(5), ratelimit.PerMinute(60).Named("minute"))
	request := store.Request{Key: "several", Limits: both, Cost: 1, Known: &store.Knowledge{{}, debt(micros(60_000_000))}}
	d := p.request(request)
	if d.Allowed {
		p.fail("a call was admitted although its caller knew that the second bucket was empty")
	}
	p.debts("in the denial", both, d, micros(0), micros(60_000_000))
	request.Known[1].Debt = micros(5_000_000)
	request.Known[0].Debt = micros(100_000)
	p.debts("after a call", both, p.request(request), micros(300_000), micros(6_000_000))
	p.state("after the call", "several", both, micros(300_000), micros(6_000_000))
	// Knowledge beyond the limits of the request is ignored.
	request.Limits, request.Known = perMinute, &store.Knowledge{{}, debt(micros(60_000_000)), debt(micros(60_000_000)), debt(micros(60_000_000))}
	p.debts("after a call", perMinute, p.request(request), micros(2_500_000))
}

func checkKnownRead(p *probe) {
	for _, micro := range []int64{100_000, 3_600_000_000} {
		known := store.Knowledge{debt(micros(micro))}
		for _, cost := range []int{0, 1, 5} {
			p.request(store.Request{Key: "read", Limits: fivePerSecond, Cost: cost, Known: &known})
			if known != (store.Knowledge{debt(micros(micro))}) {
				p.fail("Request.Known was changed to %+v", known)
			}
		}
	}
}
