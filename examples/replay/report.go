package main

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/keyrate/keyrate/ratelimit/replay"
)

// print prints all results.
func (s *session) print(w io.Writer) {
	printSummary(w, s.log.Summary())
	s.printNotes(w)
	if len(s.candidates) > 0 {
		printCandidates(w, s.candidates)
	}
	fmt.Fprintln(w, "\nThe smallest limits, with a burst equal to the rate, that deny nothing to")
	printDemands(w, s.rates)
	if len(s.bursts) > 0 {
		fmt.Fprintln(w, "\nThe smallest bursts that deny nothing to")
		printDemands(w, s.bursts)
	}
}

func printSummary(w io.Writer, s replay.Summary) {
	fmt.Fprintf(w, "%s requests of %s keys, from %s to %s UTC\n", grouped(s.Requests), grouped(int64(s.Keys)), s.First.Format(time.DateTime), s.Last.Format(time.DateTime))
	if s.Keyless > 0 {
		fmt.Fprintf(w, "lines without a key, which are left out: %s\n", grouped(s.Keyless))
	}
	if s.BrokenLines > 0 {
		fmt.Fprintf(w, "broken lines: %s; the first, with an a for each letter and a 9 for each digit:\n", grouped(s.BrokenLines))
		for _, b := range s.Broken {
			fmt.Fprintf(w, "    %v\n", b)
		}
	}
	if damaged := damagedFiles(s); len(damaged) > 0 {
		fmt.Fprintln(w, "damaged archives; the lines in front of the damage count:")
		for _, f := range damaged {
			fmt.Fprintf(w, "    %s: behind line %s: %s\n", f.Name, grouped(f.Lines+f.BrokenLines), f.Damage)
		}
	}
}

// printNotes prints what is strange about a log that could be read.
func (s *session) printNotes(w io.Writer) {
	summary := s.log.Summary()
	for _, f := range summary.Files {
		if f.Lines == 0 && f.BrokenLines > 0 {
			fmt.Fprintf(w, "note: none of the %s lines of %s could be read, as %s\n", grouped(f.BrokenLines), f.Name, cmp.Or(f.Format, "any format"))
		}
	}
	if summary.Last.After(s.options.now) {
		fmt.Fprintln(w, "note: the last request is in the future: a clock was wrong, or a time without a zone is not in UTC")
	}
	if plans := s.rates[0].plans; len(plans) != 1 || plans[0].Plan != "" {
		return
	}
	if field := s.options.config.Plan; field != "" {
		fmt.Fprintf(w, "note: no key has a plan: flag -plan is %q, and that is missing, empty or \"-\" in each line\n", field)
	}
	if file := s.options.plans; file != "" {
		fmt.Fprintf(w, "note: no key has a plan: none is a member of one in %s, flag -plans\n", file)
	}
}

func damagedFiles(s replay.Summary) (damaged []replay.File) {
	for _, f := range s.Files {
		if f.Damage != "" {
			damaged = append(damaged, f)
		}
	}
	return damaged
}

func printCandidates(w io.Writer, candidates []candidate) {
	fmt.Fprintln(w)
	t := columns(w)
	fmt.Fprintln(t, "limit\trequests denied\t\tkeys denied\t\tmost denials")
	for _, c := range candidates {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", c.name, grouped(c.Denied), share(c.Denied, c.Requests), grouped(int64(c.KeysDenied)), share(int64(c.KeysDenied), int64(c.Keys)), mostDenials(c.Outcome))
	}
	_ = t.Flush()
	for _, c := range candidates {
		if len(c.Worst) == 0 {
			continue
		}
		fmt.Fprintf(w, "\nThe keys that %s denies most often:\n", c.name)
		t := columns(w)
		fmt.Fprintln(t, "denied\tof\tfrom\tto\tplan\tkey")
		for _, o := range c.Worst {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", grouped(o.Denied), grouped(o.Requests), o.First.Format(time.DateTime), o.Last.Format(time.DateTime), cmp.Or(o.Plan, "-"), o.Key)
		}
		_ = t.Flush()
	}
}

// mostDenials describes the step with the most denials.
func mostDenials(o replay.Outcome) string {
	var most replay.Step
	for _, s := range o.Steps {
		if s.Denied > most.Denied {
			most = s
		}
	}
	if most.Denied == 0 {
		return "-"
	}
	return fmt.Sprintf("%s of %s within %s from %s", grouped(most.Denied), grouped(most.Requests), span(o.Every), most.From.Format(time.DateTime))
}

// shares are those of keys for which limits are found, in thousandths.
var shares = []int{990, 999}

func printDemands(w io.Writer, of []demands) {
	t := columns(w)
	fmt.Fprint(t, "plan\tkeys")
	for _, perMille := range shares {
		fmt.Fprintf(t, "\t%s of keys", percentage(perMille))
	}
	fmt.Fprintln(t)
	for i := range of[0].plans {
		for _, d := range of {
			plan := d.plans[i]
			fmt.Fprintf(t, "%s\t%s", planName(plan.Plan), grouped(int64(plan.Keys())))
			for _, perMille := range shares {
				limit := "none"
				if n, ok := plan.Smallest(perMille); ok {
					limit = d.open(n).String()
				}
				fmt.Fprintf(t, "\t%s", limit)
			}
			fmt.Fprintln(t)
		}
	}
	_ = t.Flush()
}

// printPromises prints what the limits in the file of suggestions do.
func printPromises(w io.Writer, o options, promises []replay.Promise) {
	fmt.Fprintf(w, "\n%s has limits that deny nothing to %s of keys. Enforced on this log, each alone:\n", o.suggest, percentage(o.perMille))
	t := columns(w)
	fmt.Fprintln(t, "plan\tlimit\tkeys denied")
	for _, p := range promises {
		fmt.Fprintf(t, "%s\t%v\t%s of %s\t%s\n", planName(p.Plan), p.Limit, grouped(int64(p.Denied)), grouped(int64(p.Keys)), share(int64(p.Denied), int64(p.Keys)))
	}
	_ = t.Flush()
	fmt.Fprintln(w, "They are shadow limits, which deny nothing: watch them, then remove ;shadow.")
}

func columns(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 0, 2, ' ', 0) }

func planName(plan string) string {
	return cmp.Or(plan, "default")
}

// span writes the length of a step.
func span(d time.Duration) string {
	for _, unit := range []struct {
		name string
		size time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}} {
		if d%unit.size == 0 {
			return fmt.Sprint(int64(d/unit.size), unit.name)
		}
	}
	return d.String()
}

// share writes n of all as a percentage, rounded down but never to 0 for something.
func share(n, all int64) string {
	if all == 0 {
		return "0 %"
	}
	hundredths := n * 10_000 / all
	if hundredths == 0 && n > 0 {
		return "< 0.01 %"
	}
	return fmt.Sprintf("%d.%02d %%", hundredths/100, hundredths%100)
}

// percentage writes thousandths.
func percentage(perMille int) string {
	return strconv.FormatFloat(float64(perMille)/10, 'f', -1, 64) + " %"
}

// grouped writes a number with commas between thousands.
func grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}
