package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// A verdict is what held and what did not.
type verdict struct {
	lines  []string
	broken []error
}

// say notes whether something held.
func (v *verdict) say(held bool, format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if held {
		v.lines = append(v.lines, "held    "+line)
		return
	}
	v.lines = append(v.lines, "BROKEN  "+line)
	v.broken = append(v.broken, errors.New(line))
}

// print prints all of it. The error is what did not hold.
func (v *verdict) print(out io.Writer) error {
	for _, line := range v.lines {
		fmt.Fprintln(out, line)
	}
	return errors.Join(v.broken...)
}

// quick notes whether 99 of 100 changes took no more than some time.
func (s *stage) quick(took []time.Duration, within time.Duration, format string, args ...any) {
	slices.Sort(took)
	p99 := took[(len(took)*99+99)/100-1]
	s.say(p99 < within*time.Duration(s.plan.slower), "%s: %v in the median, %v for p99 of %d changes; the limit is %v",
		fmt.Sprintf(format, args...), round(took[len(took)/2]), round(p99), len(took), within)
}

// audit prints a part of the trail, and notes whether all is in it.
func (s *stage) audit(changes []change) {
	fmt.Fprintln(s.out, "The last changes, as each process shows them to operators:")
	missing := []string{"operator", "777/s", "888/s", "999/s", stopped, "rolled back to", "x10 until", "ended"}
	for i, c := range changes {
		line := strings.Join(c.What, "; ")
		if i < 9 {
			fmt.Fprintf(s.out, "  %d  %s  %-6s %s\n", c.Version, c.At.Format("15:04:05.000"), c.Who, short(line))
		}
		missing = slices.DeleteFunc(missing, func(what string) bool { return strings.Contains(line, what) || what == "operator" && c.Who == "anna" })
	}
	fmt.Fprintln(s.out)
	s.say(len(missing) == 0 && len(changes) == 100, "the audit trail has the last %d changes: who, when and what, with hashes for keys%s", len(changes), list(missing))
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
