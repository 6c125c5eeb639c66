package main

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// verdict prints what became of both loads, what held and what did not, which is the error.
func verdict(reserved, counted attempt, free time.Duration, out io.Writer) error {
	var broken []error
	say := func(held bool, format string, args ...any) {
		line := fmt.Sprintf(format, args...)
		if held {
			fmt.Fprintf(out, "held    %s\n", line)
			return
		}
		fmt.Fprintf(out, "BROKEN  %s\n", line)
		broken = append(broken, errors.New(line))
	}
	fmt.Fprint(out, "\nReserved: a request holds its estimate, and pays what it has used\n\n")
	show(reserved.accounts, out)
	fmt.Fprint(out, "\nCounted after the fact: a request is admitted if one token is left, and pays what it has used when it ends\n\n")
	show(counted.accounts, out)
	fmt.Fprintln(out)

	for i, a := range reserved.accounts {
		say(a.over() <= 0, "%s was never over its limit: it used at most %.0f tokens of %d at a time, and %d of %d in all", a.name, a.fullest, a.limit.Burst, a.used, a.bound)
		say(a.lost > 0 && a.charged >= float64(a.settled+a.lost-slack), "%s has paid %.0f tokens: %d were settled, and %d were the estimates of the killed gateway's streams", a.name, a.charged, a.settled, a.lost)
		c := counted.accounts[i]
		say(c.over() > 0, "%s was over its limit by %d tokens, counted after the fact", c.name, c.over())
	}
	say(each(func(i int) bool { return reserved.accounts[i].denied > 0 && counted.accounts[i].denied > 0 }), "each organisation wanted more than its limits")
	say(free > 0, "nothing was held any more %.1f s after the kill", free.Seconds())
	return errors.Join(broken...)
}

// slack is how many tokens come back between two looks at a clock.
const slack = 30

func show(accounts []account, out io.Writer) {
	fmt.Fprintf(out, "  %-8s %9s %7s %7s %10s %8s %14s %7s %7s %18s\n", "", "admitted", "denied", "failed", "estimated", "settled", "of the killed", "used", "bound", "most at a time")
	for i := range accounts {
		a := &accounts[i]
		fmt.Fprintf(out, "  %-8s %9d %7d %7d %10d %8d %14d %7d %7d %18s\n", a.name, a.calls, a.denied, a.failed, a.estimate, a.settled, a.lost, a.used, a.bound,
			fmt.Sprintf("%.0f of %d", a.fullest, a.limit.Burst))
	}
}
