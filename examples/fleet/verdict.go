package main

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/keyrate/keyrate/examples/internal/verdict"
	"github.com/keyrate/keyrate/store"
)

// judge prints the figures, what held and what did not, which is the error.
func judge(p plan, without, with *attempt, out io.Writer) error {
	show(without, with, out)
	v := verdict.Verdict{Out: out}
	fmt.Fprintln(out)
	v.Say(with.below.trips()*p.fewer <= without.below.trips(), "below the limit, a decision takes 1/%.0f of the trips with leases", without.below.trips()/max(with.below.trips(), 1e-9))
	for _, a := range []struct {
		name string
		*attempt
	}{{"without leases", without}, {"with leases", with}} {
		end := a.end()
		v.Say(over(a.samples) <= 0, "%s: %d calls were admitted in %.1f s, of at most %d: a burst of %d and %d per second%s; checked %d times",
			a.name, end.admitted, end.at.Seconds(), bound(end.at, end.losses), burst, limit.Rate, lost(end.losses), len(a.samples))
		v.Say(end.admitted*4 >= 3*min(end.all.decisions(), bound(end.at, 0)), "%s: at least three quarters of what the limit allows was admitted", a.name)
		seen := a.visitors
		v.Say(end.all[failed] == 0 && len(seen.other) == 0 && seen.unclear == 0, "%s: %d of %d calls failed; over HTTP %d failed, %d got 200, and %d got 429",
			a.name, end.all[failed], end.all.decisions()+end.all[failed], len(seen.other)+seen.unclear, seen.admitted, seen.denied)
	}
	s := &with.faults
	for _, p := range s.parts {
		n := p.answers()
		v.Say(n.decisions() > 0, "%s: decisions went on, %d in %.1f s, %d of them admitted: %s", p.name, n.decisions(), p.lasts().Seconds(), n[admitted], basis(&n))
	}
	v.Say(s.held > 0 && s.free > 0 && s.still <= holdTime, "the killed process held %d tokens of a key of its own: some were last seen %.2f s after its end, and none at %.2f s; the limit is %v",
		s.held, s.still.Seconds(), s.free.Seconds(), holdTime)
	if denial := with.visitors.denial; denial != "" {
		fmt.Fprintf(out, "\nA denial over HTTP: %s\n", denial)
	}
	return v.Err()
}

// show prints the figures.
func show(without, with *attempt, out io.Writer) {
	columns := []*part{&without.below, &with.below, &without.above, &with.above}
	row := func(name string, of func(p *part, t *tally) string) {
		fmt.Fprintf(out, "  %-36s", name)
		for _, p := range columns {
			t := p.answers()
			fmt.Fprintf(out, " %12s", of(p, &t))
		}
		fmt.Fprintln(out)
	}
	number := func(n int) string { return strconv.Itoa(n) }
	fmt.Fprintf(out, "\n  %-36s %25s %25s\n  %-36s", "", "below the limit", "above the limit", "leases")
	fmt.Fprintf(out, " %12s %12s %12s %12s\n", "without", "with", "without", "with")
	row("decisions per second", func(p *part, t *tally) string { return number(p.perSecond(t.decisions())) })
	row("  admitted", func(p *part, t *tally) string { return number(p.perSecond(t[admitted])) })
	for _, s := range []store.Source{store.FromLease, store.FromStore, store.FromKnowledge, store.FromShare} {
		row("  decided by "+sourceNames[s], func(p *part, t *tally) string { return number(p.perSecond(t[sources+int(s)])) })
	}
	row("trips to Redis per second", func(p *part, _ *tally) string { return number(p.perSecond(p.cost.trips)) })
	row("trips per decision", func(p *part, _ *tally) string { return fmt.Sprintf("%.5f", p.trips()) })
	row("Redis' processor time per decision", func(p *part, _ *tally) string { return micro(p.each(float64(p.cost.cpu))) })
	row("a decision takes, p50", func(_ *part, t *tally) string { return micro(float64(t.quantile(0.5))) })
	row("a decision takes, p99", func(_ *part, t *tally) string { return micro(float64(t.quantile(0.99))) })
	row("admitted since the start", func(p *part, _ *tally) string { return number(p.to.admitted) })
	row("  of at most", func(p *part, _ *tally) string { return number(bound(p.to.at, 0)) })
}

// sourceNames are what decisions are based on.
var sourceNames = map[store.Source]string{
	store.FromLease: "leases", store.FromStore: "Redis", store.FromKnowledge: "what a node knows", store.FromShare: "a node alone",
}

// basis returns what decisions were based on.
func basis(t *tally) string {
	return fmt.Sprintf("leases %.1f %%, Redis %.1f %%, a node alone %.1f %%",
		t.share(store.FromLease), t.share(store.FromStore), t.share(store.FromShare))
}

// micro returns a time in microseconds.
func micro(ns float64) string { return fmt.Sprintf("%.2f us", ns/float64(time.Microsecond)) }

// lost returns what a bound has for losses of Redis' data.
func lost(n int) string {
	if n == 0 {
		return ""
	}
	return ", and one more burst for the data that Redis has lost"
}
