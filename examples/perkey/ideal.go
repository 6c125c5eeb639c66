package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// A row is what the keys of a plan were admitted in a phase, and what they ought to be.
type row struct {
	plan      string
	phase     int // from 1
	perSecond int // the limit of each key, which is its burst as well
	calls     int
	admitted  int
	ideal     float64
}

// A report is what came of the calls.
type report struct {
	rows    []row
	held    []time.Duration // from the save of each edit to the last answer by the limits before
	calls   int
	slowest time.Duration
	failed  error // of the calls that failed
}

// count sorts the answers by the limit that decided them. In its first phase the bucket of a
// key is full: ideally it admits that, and what comes back since the first call. When its
// limit changes, what the key has used stays used. So a bucket that was nearly empty, as all
// of these are, admits what comes back since then, and by how much its burst is larger now.
func count(phases []*phase, answers []answer) report {
	r := report{calls: len(answers), held: make([]time.Duration, len(phases)-1)}
	first := map[string]time.Time{}
	rows := map[string]*row{}
	for _, a := range answers {
		if a.err != nil {
			r.failed = errors.Join(r.failed, a.err)
			continue
		}
		r.slowest = max(r.slowest, a.done.Sub(a.sent))
		if at, ok := first[a.key]; !ok || a.sent.Before(at) {
			first[a.key] = a.sent
		}
		plan, _, _ := strings.Cut(a.key, "-")
		rows[plan+" "+a.limit] = rowOf(rows[plan+" "+a.limit], a)
		for i, p := range phases[1:] {
			if a.limit == strconv.Itoa(phases[i].perSecond[plan]) {
				r.held[i] = max(r.held[i], a.done.Sub(p.saved))
			}
		}
	}
	for _, plan := range plans {
		for i, p := range phases {
			perSecond := p.perSecond[plan]
			counted := rowOf(rows[plan+" "+strconv.Itoa(perSecond)], answer{})
			counted.plan, counted.phase, counted.perSecond = plan, i+1, perSecond
			for key, at := range first {
				switch {
				case !strings.HasPrefix(key, plan):
				case i == 0:
					counted.ideal += float64(perSecond) * (1 + p.ended.Sub(at).Seconds())
				default:
					counted.ideal += float64(perSecond)*p.ended.Sub(p.begun).Seconds() + float64(max(perSecond-phases[i-1].perSecond[plan], 0))
				}
			}
			r.rows = append(r.rows, *counted)
		}
	}
	return r
}

// rowOf counts an answer, if it is one.
func rowOf(r *row, a answer) *row {
	if r == nil {
		r = new(row)
	}
	if a.key != "" {
		r.calls++
	}
	if a.admitted {
		r.admitted++
	}
	return r
}

// print shows all of it.
func (r report) print(out io.Writer) {
	fmt.Fprintln(out)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "plan\tphase\teach key\tcalls\tadmitted\tideal\tdifference\t")
	for _, row := range r.rows {
		fmt.Fprintf(table, "%s\t%d\t%d/s\t%d\t%d\t%.1f\t%+.1f\t\n", row.plan, row.phase, row.perSecond, row.calls, row.admitted, row.ideal, row.difference())
	}
	_ = table.Flush()
	fmt.Fprintln(out)
	for i, held := range r.held {
		fmt.Fprintf(out, "edit %d: no answer by the old limits later than %v after it was saved\n", i+1, held.Round(time.Millisecond))
	}
	fmt.Fprintf(out, "%d calls, the slowest of them took %v\n", r.calls, r.slowest.Round(10*time.Microsecond))
}

func (r row) difference() float64 { return float64(r.admitted) - r.ideal }

// verdict returns what is not as it must be.
func (r report) verdict() error {
	faults := []error{r.failed}
	for _, row := range r.rows {
		if math.Abs(row.difference()) > float64(row.perSecond) {
			faults = append(faults, fmt.Errorf("plan %s admitted %d in phase %d: more than one burst, of %d, from the ideal %.1f", row.plan, row.admitted, row.phase, row.perSecond, row.ideal))
		}
	}
	for i, held := range r.held {
		if held > time.Second {
			faults = append(faults, fmt.Errorf("edit %d took %v to hold, more than a second", i+1, held))
		}
	}
	return errors.Join(faults...)
}
