package rules_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// interval is how often targets are scraped, and rules are evaluated.
const interval = 15 * time.Second

// A recording is what Prometheus has stored of some targets.
type recording struct {
	series     map[string]*series
	start, end time.Time
}

type series struct {
	labels  labels.Labels
	samples []chunks.Sample
	scraped time.Time
	stale   bool
}

// scrape stores what a target shows now, as Prometheus reads it.
func (r *recording) scrape(t *testing.T, instance string, from prometheus.Gatherer) {
	t.Helper()
	now := time.Now()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&text, f); err != nil {
			t.Fatal(err)
		}
	}
	p, err := textparse.New(text.Bytes(), "text/plain", nil, textparse.ParserOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		switch entry, err := p.Next(); {
		case errors.Is(err, io.EOF):
			r.end = now
			r.markStale(instance, now)
			return
		case err != nil:
			t.Fatal(err)
		case entry == textparse.EntrySeries:
			var l labels.Labels
			p.Labels(&l)
			_, _, v := p.Series()
			r.add(labels.NewBuilder(l).Set("job", "api").Set("instance", instance).Labels(), now, v)
		}
	}
}

func (r *recording) add(l labels.Labels, now time.Time, v float64) {
	s := r.series[l.String()]
	if s == nil {
		s = &series{labels: l}
		r.series[l.String()] = s
	}
	s.samples = append(s.samples, sample{now.UnixMilli(), v})
	s.scraped, s.stale = now, false
}

// markStale ends the series that the target no longer shows.
func (r *recording) markStale(instance string, now time.Time) {
	for _, s := range r.series {
		if !s.stale && s.scraped.Before(now) && s.labels.Get("instance") == instance {
			s.samples = append(s.samples, sample{now.UnixMilli(), math.Float64frombits(value.StaleNaN)})
			s.stale = true
		}
	}
}

// A sample implements [chunks.Sample].
type sample struct {
	at    int64
	value float64
}

func (s sample) T() int64                    { return s.at }
func (sample) ST() int64                     { return 0 }
func (s sample) F() float64                  { return s.value }
func (sample) H() *histogram.Histogram       { return nil }
func (sample) FH() *histogram.FloatHistogram { return nil }
func (sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample         { return s }

// Querier implements [storage.Queryable].
func (r *recording) Querier(from, to int64) (storage.Querier, error) {
	return &storage.MockQuerier{SelectMockFunction: func(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
		set := &seriesSet{}
		for _, s := range r.series {
			if slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(s.labels.Get(m.Name)) }) {
				continue
			}
			in := s.samples
			for len(in) > 0 && in[0].T() < from {
				in = in[1:]
			}
			for len(in) > 0 && in[len(in)-1].T() > to {
				in = in[:len(in)-1]
			}
			if len(in) > 0 {
				set.all = append(set.all, storage.NewListSeries(s.labels, in))
			}
		}
		slices.SortFunc(set.all, func(a, b storage.Series) int { return labels.Compare(a.Labels(), b.Labels()) })
		return set
	}}, nil
}

// A seriesSet implements [storage.SeriesSet].
type seriesSet struct {
	all  []storage.Series
	next int
}

func (s *seriesSet) Next() bool         { s.next++; return s.next <= len(s.all) }
func (s *seriesSet) At() storage.Series { return s.all[s.next-1] }
func (*seriesSet) Err() error           { return nil }

// Warnings implements [storage.SeriesSet].
func (*seriesSet) Warnings() annotations.Annotations { return nil }

var language = parser.NewParser(parser.Options{})

// evaluate returns what an expression gives from start to the end of the recording.
func (r *recording) evaluate(t *testing.T, expr string) promql.Matrix {
	t.Helper()
	engine := promql.NewEngine(promql.EngineOpts{
		MaxSamples: 10e6, Timeout: time.Minute, LookbackDelta: 5 * time.Minute, EnableAtModifier: true, Parser: language,
		NoStepSubqueryIntervalFn: func(int64) int64 { return interval.Milliseconds() },
	})
	defer func() { _ = engine.Close() }()
	query, err := engine.NewRangeQuery(context.WithoutCancel(t.Context()), r, nil, expr, r.start, r.end, interval)
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	defer query.Close()
	result := query.Exec(t.Context())
	if result.Err != nil {
		t.Fatalf("%s: %v", expr, result.Err)
	}
	for _, w := range result.Warnings.AsErrors() {
		t.Errorf("%s: %v", expr, w)
	}
	m, err := result.Matrix()
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	var copied promql.Matrix // the query takes its points back
	for _, s := range m {
		copied = append(copied, promql.Series{Metric: s.Metric, Floats: slices.Clone(s.Floats)})
	}
	return copied
}
