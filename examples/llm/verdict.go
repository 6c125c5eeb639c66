package main

import (
	"fmt"
	"io"
	"time"

	"github.com/keyrate/keyrate/examples/internal/verdict"
)

// judge prints what became of both loads, what held and what did not, which is the error.
func judge(reserved, counted attempt, out io.Writer) error {
	v := verdict.Verdict{Out: out}
	fmt.Fprint(out, legend)
	fmt.Fprint(out, "\nReserved: a request holds its estimate, and pays what it has used\n\n")
	show(reserved.accounts, out)
	fmt.Fprint(out, "\nCounted after the fact: a request is admitted if one token is left, and pays what it has used when it ends\n\n")
	show(counted.accounts, out)
	fmt.Fprintln(out)

	for i, a := range reserved.accounts {
		v.Say(a.over() <= 0, "%s was never over its limit: it used at most %.0f tokens of %d at a time, and %d of %d in all", a.name, a.fullest, a.limit.Burst, a.used, a.bound)
		open, explained := a.paid()
		v.Say(a.lost > 0 && explained, "%s has paid %d tokens: %d were settled, %d were the estimates of the killed gateway's streams, and %d those of failed calls; Redis has charged %.0f to %.0f",
			a.name, a.settled+a.lost+open, a.settled, a.lost, open, a.least, a.most)
		c := counted.accounts[i]
		v.Say(c.over() > 0, "%s was over its limit by %d tokens, counted after the fact", c.name, c.over())
	}
	v.Say(each(func(i int) bool { return reserved.accounts[i].denied > 0 && counted.accounts[i].denied > 0 }), "each organisation wanted more than its limits")
	after := func(at time.Time) float64 { return at.Sub(reserved.killed).Seconds() }
	last := "none was seen after the load"
	if !reserved.still.IsZero() {
		last = fmt.Sprintf("the last was seen %.1f s after the kill", after(reserved.still))
	}
	v.Say(!reserved.free.IsZero() && !reserved.still.After(reserved.freeBy()), "what the killed gateway held has come to its end: %s, and none at %.1f s; it may last until %.1f s", last, after(reserved.free), after(reserved.freeBy()))
	return v.Err()
}

// legend explains the columns, which are in calls and in tokens.
const legend = `
  admitted, denied   calls that got a response of the model, or 429
  failed             calls without a response, since their gateway was killed, or with another error
  estimated          the estimates of the admitted calls: what they held while they ran
  settled            what those of them have paid that came to their end
  of the killed      the estimates of those that ended with their gateway, which are paid in full
  used               what the model has billed, for calls without a response, too
  bound              what the limit allows in the time of the load
  most at a time     the fullest that a bucket was that takes what is used and drains at the limit's rate
`

func show(accounts []account, out io.Writer) {
	fmt.Fprintf(out, "  %-8s %9s %7s %7s %10s %8s %14s %7s %7s %18s\n", "", "admitted", "denied", "failed", "estimated", "settled", "of the killed", "used", "bound", "most at a time")
	for i := range accounts {
		a := &accounts[i]
		fmt.Fprintf(out, "  %-8s %9d %7d %7d %10d %8d %14d %7d %7d %18s\n", a.name, a.calls, a.denied, a.failed, a.estimate, a.settled, a.lost, a.used, a.bound,
			fmt.Sprintf("%.0f of %d", a.fullest, a.limit.Burst))
	}
}
