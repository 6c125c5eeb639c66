package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// A panel is one of grafana.json, as far as the demo needs it.
type panel struct {
	Type, Title string
	FieldConfig struct{ Defaults struct{ Unit string } }
	Targets     []target
	rows        []row
}

type target struct{ Expr, LegendFormat string }

// A row is a series of a panel: its last number in each phase, NaN if it has none.
type row struct {
	name string
	last []float64
}

func readPanels(folder string) ([]*panel, error) {
	text, err := os.ReadFile(filepath.Join(folder, "grafana.json"))
	if err != nil {
		return nil, err
	}
	var dashboard struct{ Panels []*panel }
	if err := json.Unmarshal(text, &dashboard); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(dashboard.Panels, func(p *panel) bool { return p.Type == "row" }), nil
}

// variables are what Grafana would put into the expressions: its rate interval is four scrapes.
var variables = strings.NewReplacer("$__rate_interval", (4 * interval).String(), "$job", ".+", "$instance", ".+")

// draw evaluates the panel for each phase. Its rates become those per second of a demo that scrapes
// so often.
func (p *panel) draw(ctx context.Context, r *recording, phases []*phase, every time.Duration) error {
	rows := make(map[string]row)
	for _, t := range p.Targets {
		for i, phase := range phases {
			result, err := r.evaluate(ctx, variables.Replace(t.Expr), phase.begin, phase.end)
			if err != nil {
				return fmt.Errorf("panel %s: %w", p.Title, err)
			}
			for _, s := range result {
				name := t.legend(s.Metric)
				if _, ok := rows[name]; !ok {
					rows[name] = row{name, slices.Repeat([]float64{math.NaN()}, len(phases))}
				}
				for _, point := range s.Floats {
					if !math.IsNaN(point.F) {
						rows[name].last[i] = point.F
						if t.isRate() {
							rows[name].last[i] *= interval.Seconds() / every.Seconds()
						}
					}
				}
			}
		}
	}
	p.rows = slices.SortedFunc(maps.Values(rows), func(a, b row) int { return cmp.Compare(a.name, b.name) })
	p.rows = slices.DeleteFunc(p.rows, func(r row) bool { return !slices.ContainsFunc(r.last, func(f float64) bool { return !math.IsNaN(f) }) })
	return nil
}

// legend returns the name of a series: that of the panel, and the labels that are not in it.
func (t target) legend(l labels.Labels) string {
	name := t.LegendFormat
	var more []string
	l.Range(func(l labels.Label) {
		if in := "{{" + l.Name + "}}"; strings.Contains(name, in) {
			name = strings.ReplaceAll(name, in, l.Value)
		} else {
			more = append(more, l.Value)
		}
	})
	return strings.TrimSpace(strings.Join(more, " ") + " " + name)
}

// isRate reports whether the target is a number per second, and not a quotient or a quantile of such.
func (t target) isRate() bool {
	return strings.HasPrefix(t.Expr, "sum ") && strings.Contains(t.Expr, "(rate(") && !strings.Contains(t.Expr, " / ")
}

// show prints the panel, without the rows that stay at 0.
func (p *panel) show(phases []*phase, out io.Writer) {
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	heading(table, p.Title, phases)
	zero := 0
	for _, r := range p.rows {
		if !slices.ContainsFunc(r.last, func(f float64) bool { return f != 0 && !math.IsNaN(f) }) {
			zero++
			continue
		}
		fmt.Fprintf(table, "  %s", r.name)
		for _, f := range r.last {
			fmt.Fprintf(table, "\t%s", p.format(f))
		}
		fmt.Fprintln(table)
	}
	if zero > 0 {
		fmt.Fprintf(table, "  %d others, at 0%s\n", zero, strings.Repeat("\t0", len(phases)))
	}
	if len(p.rows) == 0 {
		fmt.Fprintf(table, "  no data%s\n", strings.Repeat("\t-", len(phases)))
	}
	_ = table.Flush()
	fmt.Fprintln(out)
}

func (p *panel) format(f float64) string {
	switch {
	case math.IsNaN(f):
		return "-"
	case p.FieldConfig.Defaults.Unit == "percentunit":
		return fmt.Sprintf("%.0f %%", 100*f)
	case p.FieldConfig.Defaults.Unit == "s":
		return time.Duration(f * float64(time.Second)).Round(10 * time.Microsecond).String()
	case p.FieldConfig.Defaults.Unit == "reqps":
		return fmt.Sprintf("%.1f/s", f)
	}
	return fmt.Sprintf("%.4g", f)
}
