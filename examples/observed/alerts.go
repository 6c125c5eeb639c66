package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
)

// An alert is a rule of alerts.yaml and its state.
type alert struct {
	rulefmt.Rule
	since  map[string]time.Time // since when its expression gives something, by labels
	firing bool
	phases map[string]state // what it came to in each phase
}

// A state is that of an alert.
type state string

const (
	quiet   state = "-"
	pending state = "pending" // its time has not passed
	fired   state = "FIRED"
)

func readAlerts(folder string) ([]*alert, error) {
	text, err := os.ReadFile(filepath.Join(folder, "alerts.yaml"))
	if err != nil {
		return nil, err
	}
	groups, faults := rulefmt.Parse(text, false, model.UTF8Validation, language, slog.New(slog.DiscardHandler))
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	var all []*alert
	for _, g := range groups.Groups {
		for _, rule := range g.Rules {
			all = append(all, &alert{Rule: rule, since: make(map[string]time.Time), phases: make(map[string]state)})
		}
	}
	return all, nil
}

// evaluate evaluates the rule as of the last scrape, which is in a phase. It returns the labels with which the
// alert begins to fire.
func (a *alert) evaluate(ctx context.Context, r *recording, phase string) (began []labels.Labels, err error) {
	result, err := r.evaluate(ctx, a.Expr, r.now, r.now)
	if err != nil {
		return nil, err
	}
	before := a.since
	a.since, a.firing = make(map[string]time.Time), false
	for _, s := range result {
		since, ok := before[s.Metric.String()]
		if !ok {
			since = r.now
		}
		a.since[s.Metric.String()] = since
		wait := time.Duration(a.For)
		a.firing = a.firing || r.now.Sub(since) >= wait
		if lasted := r.now.Sub(since); lasted >= wait && lasted < wait+interval {
			began = append(began, s.Metric)
		}
	}
	switch {
	case a.firing:
		a.phases[phase] = fired
	case len(a.since) > 0 && a.phases[phase] != fired:
		a.phases[phase] = pending
	}
	return began, nil
}

// in returns what the alert came to in a phase.
func (a *alert) in(phase string) state {
	if s, ok := a.phases[phase]; ok {
		return s
	}
	return quiet
}

// showAlerts prints what each alert came to in each phase.
func showAlerts(alerts []*alert, phases []*phase, out io.Writer) {
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	heading(table, "alert", phases)
	for _, a := range alerts {
		fmt.Fprintf(table, "  %s", a.Alert)
		for _, p := range phases {
			fmt.Fprintf(table, "\t%s", a.in(p.name))
		}
		fmt.Fprintln(table)
	}
	_ = table.Flush()
}

// heading prints the names of the phases after a title.
func heading(out io.Writer, title string, phases []*phase) {
	fmt.Fprint(out, title)
	for _, p := range phases {
		fmt.Fprintf(out, "\t%s", p.name)
	}
	fmt.Fprintln(out)
}
