package main

import (
	"fmt"
	"io"
	"time"

	"github.com/keyrate/keyrate/examples/internal/verdict"
	"github.com/keyrate/keyrate/store"
)

// judge prints what held and what did not. It returns an error if a bound did not
// hold, a call was not decided, or the mirror did not take over or hand back: then
// the bounds would have held for nothing.
func judge(calls []call, rows []row, seen *history, out io.Writer) error {
	v := verdict.Verdict{Out: out}
	fmt.Fprintln(out)

	over, lost := -limit.Rate, 0
	may := leave{seen.lost(calls)}
	for key := range keyCount {
		over = max(over, may.worst(calls, key))
		for _, s := range may.losses {
			lost += s.inFlight[key]
		}
	}
	end := rows[len(rows)-1]
	v.Say(over <= 0, "%d calls were admitted, of at most %d: a burst of %d and %s for each of %d keys, and %d that were in flight when Redis was killed",
		end.admitted, end.bound, limit.Rate, limit, keyCount, lost)
	v.Say(over <= 0, "no key was admitted more than that in any window of time")
	v.Say(end.admitted*10 >= end.bound*9, "at least nine tenths of what the limits allow was admitted")

	failed := 0
	for _, r := range rows {
		failed += r.failed
	}
	v.Say(failed == 0, "%d of %d calls were answered 200 or 429", len(calls)-failed, len(calls))

	for i, e := range seen.faults {
		switch e.phase.fault {
		case hang, kill:
			v.Say(decidedBy(calls, store.FromShare, e) > 0, "Redis %s: this node decided%s", e.phase.redis, after(seen, i, true, "no call waited for Redis any more"))
		case resume, restart:
			v.Say(decidedBy(calls, store.FromStore, e) > 0, "Redis %s: it decided again%s", e.phase.redis, after(seen, i, false, "all calls were its own again"))
		default:
		}
	}

	var slowest, late time.Duration
	for i := range calls {
		slowest, late = max(slowest, calls[i].latency()), max(late, calls[i].sent-calls[i].due)
	}
	fmt.Fprintf(out, "\nThe slowest answer took %s, and its decision may take %v of that; this machine was late by up to %s to make a call.\n", inMs(slowest), store.DefaultTimeout, inMs(late))
	return v.Err()
}

// decidedBy counts the calls in a phase on which a source has decided.
func decidedBy(calls []call, source store.Source, e event) int {
	n := 0
	for i := range calls {
		c := &calls[i]
		if c.decided() && c.source == source && c.sent > e.at && c.sent < e.begin+e.phase.lasts {
			n++
		}
	}
	return n
}

// after returns when the mirror reported it, if it did: a short outage may go unreported.
func after(seen *history, i int, down bool, what string) string {
	after, ok := seen.reported(i, down)
	if !ok {
		return ""
	}
	return fmt.Sprintf("; after %d ms %s", after.Milliseconds(), what)
}
