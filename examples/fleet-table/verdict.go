package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// quick notes whether 99 of 100 changes took no more than some time.
func (s *stage) quick(took []time.Duration, within time.Duration, format string, args ...any) {
	slices.Sort(took)
	p99 := took[(len(took)*99+99)/100-1]
	s.Say(p99 < within*time.Duration(s.plan.slower), "%s: %v in the median, %v for p99 of %d changes; the limit is %v",
		fmt.Sprintf(format, args...), round(took[len(took)/2]), round(p99), len(took), within)
}

// missing returns what is not in the trail and should be.
func missing(changes []change) []string {
	all := []string{"operator", "777/s", "888/s", "999/s", "blocked;reason=a demo", "rolled back to", "x10 until", "ended"}
	for _, c := range changes {
		line := strings.Join(c.What, "; ")
		all = slices.DeleteFunc(all, func(what string) bool { return strings.Contains(line, what) || what == "operator" && c.Who == "anna" })
	}
	return all
}

// audit prints a part of the trail, and notes whether all is in it.
func (s *stage) audit(changes []change, missing []string) {
	fmt.Fprintln(s.out, "The last changes, as each process shows them to operators:")
	for _, c := range changes[:min(9, len(changes))] {
		fmt.Fprintf(s.out, "  %d  %s  %-6s %s\n", c.Version, c.At.Format("15:04:05.000"), c.Who, short(strings.Join(c.What, "; ")))
	}
	fmt.Fprintln(s.out)
	s.Say(len(missing) == 0 && len(changes) == 100, "the audit trail has the last %d changes: who, when and what, with hashes for keys%s", len(changes), list(missing))
}

// short cuts a line off.
func short(line string) string {
	if len(line) > 100 {
		return strings.ToValidUTF8(line[:100], "") + "…"
	}
	return line
}

// list returns what is missing, if something is.
func list(what []string) string {
	if len(what) == 0 {
		return ""
	}
	return ", but: " + strings.Join(what, "; ")
}

// round shortens a time to what is worth reading.
func round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
