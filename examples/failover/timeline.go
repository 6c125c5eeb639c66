package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/keyrate/keyrate/store"
)

// A row is what the callers saw in one step of time: of the calls that were due then.
type row struct {
	from, to time.Duration
	phase    string
	// who decided; failed is who got neither 200 nor 429
	store, knowledge, share, failed int
	p50, p99, most                  time.Duration
	// admitted so far, and how many may have been
	admitted, bound int
}

// rowOf makes the row of the calls that were due in a step. Before are all calls up to
// its end.
func rowOf(before []call, from, to time.Duration, phase string, losses []loss) row {
	r := row{from: from, to: to, phase: phase}
	var latencies []time.Duration
	for i := range before {
		c := &before[i]
		if c.due < from {
			continue
		}
		latencies = append(latencies, c.latency())
		switch {
		case !c.decided():
			r.failed++
		case c.source == store.FromStore:
			r.store++
		case c.source == store.FromKnowledge:
			r.knowledge++
		default:
			r.share++
		}
	}
	if len(latencies) > 0 {
		slices.Sort(latencies)
		r.p50, r.p99 = latencies[len(latencies)/2], latencies[len(latencies)*99/100]
		r.most = latencies[len(latencies)-1]
	}
	r.admitted, r.bound = leave{losses: losses}.soFar(before)
	return r
}

const heading = `
seconds      Redis         decisions   store  knowledge  share  failed       p50       p99       max  admitted  of at most
`

func (r row) print(w io.Writer) {
	fmt.Fprintf(w, "%4.1f -%5.1f  %-12s %10d %7d %10d %6d %7d %9s %9s %9s %9d %11d\n", r.from.Seconds(), r.to.Seconds(), r.phase,
		r.store+r.knowledge+r.share, r.store, r.knowledge, r.share, r.failed, inMs(r.p50), inMs(r.p99), inMs(r.most), r.admitted, r.bound)
}

func inMs(d time.Duration) string { return strconv.FormatFloat(milliseconds(d), 'f', 1, 64) + " ms" }

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// columns name the fields of writeCSV. Of what is admitted, a line tells the sum up to
// its end.
var columns = []string{"from_s", "to_s", "redis", "store", "knowledge", "share", "failed", "p50_ms", "p99_ms", "max_ms", "admitted", "bound"}

// writeCSV writes the rows for a program that draws them.
func writeCSV(w io.Writer, rows []row) error {
	out := csv.NewWriter(w)
	lines := [][]string{columns}
	for _, r := range rows {
		line := []string{decimal(r.from.Seconds()), decimal(r.to.Seconds()), r.phase}
		for _, n := range []int{r.store, r.knowledge, r.share, r.failed} {
			line = append(line, strconv.Itoa(n))
		}
		for _, d := range []time.Duration{r.p50, r.p99, r.most} {
			line = append(line, decimal(milliseconds(d)))
		}
		lines = append(lines, append(line, strconv.Itoa(r.admitted), strconv.Itoa(r.bound)))
	}
	return out.WriteAll(lines)
}

func decimal(v float64) string { return strconv.FormatFloat(v, 'f', 3, 64) }
