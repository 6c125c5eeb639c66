package admin

import (
	"math"
	"slices"
	"time"

	"github.com/keyrate/keyrate/middleware/internal/health"
	"github.com/keyrate/keyrate/ratelimit/metrics"
)

// mostShown is how many keys of each report, and changes of the table, a frame has.
const mostShown = 10

// A frame is what the console shows of one second. It has no key.
type frame struct {
	At      int64          `json:"at"` // in milliseconds since 1970
	Node    string         `json:"node"`
	Since   time.Time      `json:"since"`   // when the handler was made
	Counted bool           `json:"counted"` // with ratelimit.Config.Metrics
	Shadow  bool           `json:"shadow"`  // no limit is enforced
	Rates   *rates         `json:"rates,omitempty"`
	Held    []heldTokens   `json:"held,omitempty"`
	Health  *health.Report `json:"health,omitempty"`
	Denied  *denialReport  `json:"denied,omitempty"`
	WhatIf  shadowReport   `json:"what_if"`
	Table   *tableNews     `json:"table,omitempty"`
}

// rates are per second, since the frame before.
type rates struct {
	Checks  map[string]float64 `json:"checks"`  // by outcome
	Sources map[string]float64 `json:"sources"` // evaluations by what they were based on
	Limits  []limitRates       `json:"limits"`
}

type limitRates struct {
	Limit     string  `json:"limit"`
	Admitted  float64 `json:"admitted"`
	Denied    float64 `json:"denied"`
	WouldDeny float64 `json:"would_deny"`
}

type heldTokens struct {
	Limit  string `json:"limit"`
	Tokens int64  `json:"tokens"`
}

type tableNews struct {
	Version int64         `json:"version"`
	Fleet   bool          `json:"fleet"` // operators can roll it back
	Changes []tableChange `json:"changes"`
}

type tableChange struct {
	Version int64     `json:"version"`
	At      time.Time `json:"at"`
	Who     string    `json:"who,omitempty"`
	What    []string  `json:"what"`
}

// state returns a frame without what is counted by the second.
func (h *handler) state(now time.Time) *frame {
	f := &frame{At: now.UnixMilli(), Shadow: h.limiter.Shadow(), WhatIf: shadowReportOf(h.limiter.ShadowReport())}
	f.WhatIf.Keys = f.WhatIf.Keys[:min(len(f.WhatIf.Keys), mostShown)]
	if found := h.limiter.DenialReport(); !found.Since.IsZero() {
		f.Counted = true
		report := denialReportOf(found)
		report.Keys = report.Keys[:min(len(report.Keys), mostShown)]
		f.Denied = &report
	}
	if h.config.Table != nil {
		f.Table = &tableNews{Changes: []tableChange{}}
		_, f.Table.Fleet = h.config.Fleet.(Steering)
		for _, change := range h.changes() {
			f.Table.Version = max(f.Table.Version, change.Version)
			if len(f.Table.Changes) < mostShown {
				f.Table.Changes = append(f.Table.Changes, tableChange{change.Version, change.At.UTC(), change.Who, append([]string{}, change.What...)})
			}
		}
	}
	return f
}

// count sets what has been counted between two readings.
func (f *frame) count(before, after *metrics.Reading, since time.Duration) {
	f.Rates = &rates{Checks: map[string]float64{}, Sources: map[string]float64{}, Limits: []limitRates{}}
	for _, p := range growth(before, after, metrics.Checks, since) {
		f.Rates.Checks[p.Labels[0]] = p.Value
	}
	for _, p := range growth(before, after, metrics.Evaluations, since) {
		limit, result, source := p.Labels[0], p.Labels[1], p.Labels[2]
		f.Rates.Sources[source] = tenths(f.Rates.Sources[source] + p.Value)
		if n := len(f.Rates.Limits); n == 0 || f.Rates.Limits[n-1].Limit != limit { // those of a limit follow each other
			f.Rates.Limits = append(f.Rates.Limits, limitRates{Limit: limit})
		}
		of := &f.Rates.Limits[len(f.Rates.Limits)-1]
		switch result {
		case "admitted":
			of.Admitted = tenths(of.Admitted + p.Value)
		case "denied":
			of.Denied = tenths(of.Denied + p.Value)
		default:
			of.WouldDeny = tenths(of.WouldDeny + p.Value)
		}
	}
	for _, p := range after.Points(metrics.Holds) {
		if i := len(f.Held) - 1; i >= 0 && f.Held[i].Limit == p.Labels[0] {
			f.Held[i].Tokens += int64(p.Value)
		} else if p.Value > 0 {
			f.Held = append(f.Held, heldTokens{p.Labels[0], int64(p.Value)})
		}
	}
}

// growth returns the points of a counter, each with how much it has grown a second. Points are
// in the order of their labels.
func growth(before, after *metrics.Reading, i *metrics.Instrument, since time.Duration) []metrics.Point {
	old := before.Points(i)
	points := after.Points(i)
	for n := range points {
		p := &points[n]
		for len(old) > 0 && slices.Compare(old[0].Labels, p.Labels) < 0 {
			old = old[1:]
		}
		if len(old) > 0 && slices.Equal(old[0].Labels, p.Labels) {
			p.Value -= old[0].Value
		}
		p.Value = tenths(p.Value / since.Seconds())
	}
	return points
}

// tenths rounds to a tenth.
func tenths(x float64) float64 { return math.Round(x*10) / 10 }
