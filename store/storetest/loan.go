package storetest

import (
	"time"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// loans returns a policy that lends n tokens.
func loans(n int) []store.Limit {
	rate, err := gcra.NewLoan(n)
	if err != nil {
		panic(err)
	}
	limit, err := store.NewLimit("at once", rate)
	if err != nil {
		panic(err)
	}
	return []store.Limit{limit}
}

func checkLoan(p *probe) {
	two := loans(2)
	a := p.hold("loan", two, 1)
	b := p.hold("loan", two, 5) // takes one whatever it costs
	p.held("after two calls", "loan", two, 2)
	p.denyHold("loan", two, 1)
	p.debts("in a denial", two, p.denyHold("loan", two, 7), micros(0))
	p.settled("of 100 tokens", p.settle(a, 100), micros(0))
	p.held("after a settlement", "loan", two, 1)
	c := p.hold("loan", two, 1)
	p.denyHold("loan", two, 1)
	p.settle(b, 0)
	p.held("after the settlement of a call of cost 5", "loan", two, 1)
	p.settle(c, 1)
	p.held("in the end", "loan", two, 0)
	p.holding("loan", two, 0, false)
	p.held("after a hold of nothing", "loan", two, 0)
	p.charge("loan", two, 9)
	p.state("after a charge", "loan", two, micros(0))

	// A caller that does not come back.
	p.hold("lost loan", two, 1)
	p.hold("lost loan", two, 1)
	p.advance(2*time.Second - time.Microsecond)
	p.denyHold("lost loan", two, 1)
	p.advance(time.Microsecond)
	p.held("2 s later", "lost loan", two, 0)
	p.state("2 s later", "lost loan", two, micros(0))
	p.hold("lost loan", two, 1)
	p.hold("lost loan", two, 1)
}

func checkLoanAlone(p *probe) {
	beside := append(loans(2), fivePerSecond...)
	for _, limits := range [][]store.Limit{loans(2), beside, {beside[1], beside[0]}} {
		for _, cost := range []int{1, 2, 5} {
			var err error
			if panicked := store.Try(func() {
				_, err = p.try(p.ctx, store.Request{Key: "alone", Limits: limits, Cost: cost})
			}); panicked != nil || err == nil {
				p.fail("a call of cost %d without Hold under %v: Take returned %v, panicked: %v; it must return an error", cost, limits, err, panicked != nil)
			}
		}
		if d := p.take("alone", limits, 0); !d.Allowed {
			p.fail("a call of cost 0 without Hold was denied under %v", limits)
		}
	}
	p.held("after such calls", "alone", beside, 0, 0)
	p.state("after such calls", "alone", beside, micros(0), micros(0))
}

func checkHoldSpend(p *probe) {
	both := append(loans(2), fivePerSecond...)
	a := p.holding("spend", both, 3, true)
	if !a.decision.Allowed || a.names[0] == 0 || a.names[1] != 0 {
		p.fail("a call that spends under a rate and holds a loan: allowed=%v, names %v; want a name for the loan alone", a.decision.Allowed, a.names)
	}
	p.debts("after a call", both, a.decision, micros(0), micros(600_000))
	p.held("after a call", "spend", both, 1, 0)

	// The rate denies: nothing is lent.
	if d := p.holding("spend", both, 3, true).decision; d.Allowed {
		p.fail("a call was admitted although the rate has no room")
	}
	p.held("after a denial by the rate", "spend", both, 1, 0)
	p.advance(200 * time.Millisecond)
	b := p.holding("spend", both, 1, true)
	p.held("after a second call", "spend", both, 2, 0)

	// The loan denies: nothing is spent.
	if d := p.holding("spend", both, 1, true).decision; d.Allowed {
		p.fail("a call was admitted although all loans are out")
	}
	p.state("after a denial by the loan", "spend", both, micros(0), micros(600_000))
	p.settled("of a call that had spent its tokens", p.settle(a, 0), micros(0), micros(600_000))
	p.held("after a settlement", "spend", both, 1, 0)
	p.settled("that charges one more", p.settle(b, 1), micros(0), micros(800_000))
	p.held("in the end", "spend", both, 0, 0)

	// Without Spend, both are held.
	h := p.hold("hold both", both, 3)
	p.held("after a hold", "hold both", both, 1, 3)
	p.settled("of two of three", p.settle(h, 2), micros(0), micros(400_000))
	p.held("after the settlement", "hold both", both, 0, 0)
}
