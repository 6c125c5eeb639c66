package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/keyrate/keyrate/examples/internal/verdict"
	"github.com/keyrate/keyrate/ratelimit"
)

// A deniedKey is an entry of GET /limits/denied.
type deniedKey struct {
	Key, Limit string
	Denied     int64
}

// denied returns the keys that the API has denied most.
func (s *show) denied(ctx context.Context) ([]deniedKey, error) {
	text, err := s.get(ctx, "limits/denied")
	if err != nil {
		return nil, err
	}
	var report struct{ Keys []deniedKey }
	err = json.Unmarshal(text, &report)
	return report.Keys, err
}

// judge prints what dashboard, alerts, OpenTelemetry and the report of denials showed, what held and what
// did not, which is the error.
func (s *show) judge(ctx context.Context, top []deniedKey) error {
	var lines strings.Builder
	v := &verdict.Verdict{Out: &lines}
	if err := s.judgePanels(ctx, v); err != nil {
		return err
	}
	s.judgeAlerts(v)
	if err := s.judgeOpenTelemetry(ctx, v); err != nil {
		return err
	}
	fmt.Fprint(s.out, "\nThe keys that are denied most, as GET /limits/denied shows them\n")
	for _, k := range top[:min(3, len(top))] {
		fmt.Fprintf(s.out, "  %s  %s  %d\n", k.Key, k.Limit, k.Denied)
	}
	v.Say(len(top) > 0 && top[0].Key == ratelimit.HashKey(flooder), "the first is the hash of the key that flooded")
	err := s.load.unexpected()
	v.Say(err == nil, "each call got 200, 400, 401 or 429")
	err = errors.Join(v.Err(), err)
	fmt.Fprintf(s.out, "\n%s", &lines)
	if err == nil {
		fmt.Fprintf(s.out, "\nThe dashboard and the alerts showed all that happened, in %v.\n", s.clock())
	}
	return err
}

// withoutData are panels that may stay empty, with the reason.
var withoutData = map[string]string{
	"Store errors, by type": "the mirror decides what Redis does not",
	"File of limits read":   "the limits are not in a file",
}

// seen are numbers above 0 that panels end a phase with.
var seen = []struct{ panel, row, phase string }{
	{"Calls by outcome", "denied", "attack"},
	{"Calls by outcome", "no_key", "attack"},
	{"Calls by outcome", "ambiguous_key", "attack"},
	{"Shadow limits: would deny", "trial", "calm"},
	{"Who decides", "store", "calm"},
	{"Who decides", "share", "outage"},
	{"Buckets, and those shared", "node: buckets", "attack"},
	{"Store available, by part", "shared (node)", "return"},
}

// judgePanels shows the panels.
func (s *show) judgePanels(ctx context.Context, v *verdict.Verdict) error {
	fmt.Fprint(s.out, "\nThe dashboard: the last number of each phase, rates per second of the demo\n\n")
	drawn := 0
	for _, p := range s.panels {
		if err := p.draw(ctx, s.recorded, s.phases, s.every); err != nil {
			return err
		}
		p.show(s.phases, s.out)
		if len(p.rows) > 0 {
			drawn++
			continue
		}
		reason, may := withoutData[p.Title]
		v.Say(may, "%q has no data: %s", p.Title, cmp.Or(reason, "it should have"))
	}
	v.Say(drawn > 10, "%d of %d panels have data", drawn, len(s.panels))
	for _, c := range seen {
		v.Say(s.last(c.panel, c.row, c.phase) > 0, "%q shows %s at the end of the phase %s", c.panel, c.row, c.phase)
	}
	return nil
}

// last returns the last number of a row of a panel in a phase, NaN if there is none.
func (s *show) last(title, name, phase string) float64 {
	for _, p := range s.panels {
		for _, r := range p.rows {
			for i, last := range r.last {
				if p.Title == title && r.name == name && s.phases[i].name == phase {
					return last
				}
			}
		}
	}
	return math.NaN()
}

// judgeAlerts shows the alerts.
func (s *show) judgeAlerts(v *verdict.Verdict) {
	showAlerts(s.alerts, s.phases, s.out)
	state := make(map[[2]string]bool)
	for _, a := range s.alerts {
		for phase, is := range a.phases {
			state[[2]string{a.Alert, phase}] = is == fired
			state[[2]string{a.Alert, ""}] = state[[2]string{a.Alert, ""}] || is == fired
		}
	}
	for _, m := range [][2]string{{"KeyrateManyDenied", "attack"}, {"KeyrateNoKey", "attack"}, {"KeyrateStoreDown", "outage"}, {"KeyrateDecidedByShare", "outage"}} {
		v.Say(state[m] && !(m[1] == "attack" && state[[2]string{m[0], "calm"}]), "%s fired in the phase %s", m[0], m[1])
	}
	v.Say(!s.fires("KeyrateStoreDown"), "KeyrateStoreDown ended when Redis was back")
	v.Say(state[[2]string{"KeyrateShadowWouldDeny", ""}], "KeyrateShadowWouldDeny fired: gold-1 calls more often than its shadow limit allows")
	v.Say(!state[[2]string{"KeyrateUndecided", ""}], "KeyrateUndecided did not fire: the node decided by its share")
}

// judgeOpenTelemetry compares what OpenTelemetry and Prometheus read now that there are no calls.
func (s *show) judgeOpenTelemetry(ctx context.Context, v *verdict.Verdict) error {
	var read map[string]float64
	var missing []string
	// The number of buckets in memory goes down by itself.
	for range 5 {
		if err := s.read(ctx); err != nil {
			return err
		}
		var err error
		if read, err = readOpenTelemetry(ctx, s.reader); err != nil {
			return err
		}
		if missing = differences(s.scraped, read); missing == nil {
			break
		}
		time.Sleep(s.every)
	}
	fmt.Fprint(s.out, "\nWhat OpenTelemetry reads in the end\n")
	showOpenTelemetry(read, s.out)
	v.Say(missing == nil && len(read) > 20, "OpenTelemetry reads the same %d numbers as Prometheus", len(read))
	for _, m := range missing {
		v.Say(false, "%s", m)
	}
	return nil
}
