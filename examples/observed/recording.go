package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

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

// A recording is what a Prometheus would have stored of the API, had it scraped it every interval.
type recording struct {
	engine *promql.Engine
	series map[string]*series
	now    time.Time // of the last scrape
}

type series struct {
	labels  labels.Labels
	samples []chunks.Sample
	stale   bool
}

var language = parser.NewParser(parser.Options{})

func newRecording() *recording {
	return &recording{series: make(map[string]*series), now: time.Unix(0, 0), engine: promql.NewEngine(promql.EngineOpts{
		MaxSamples: 10e6, Timeout: time.Minute, LookbackDelta: 5 * time.Minute, EnableAtModifier: true, Parser: language,
		NoStepSubqueryIntervalFn: func(int64) int64 { return interval.Milliseconds() },
	})}
}

// add stores a scrape, an interval after the one before.
func (r *recording) add(found map[string]number) {
	r.now = r.now.Add(interval)
	for name, f := range found {
		s := r.series[name]
		if s == nil {
			s = &series{labels: labels.NewBuilder(f.labels).Set("job", "api").Set("instance", "node").Labels()}
			r.series[name] = s
		}
		s.samples, s.stale = append(s.samples, sample{r.now.UnixMilli(), f.value}), false
	}
	for name, s := range r.series {
		if _, ok := found[name]; !ok && !s.stale {
			s.samples, s.stale = append(s.samples, sample{r.now.UnixMilli(), math.Float64frombits(value.StaleNaN)}), true
		}
	}
}

// A number is one of a scrape.
type number struct {
	labels labels.Labels
	value  float64
}

// parseScrape returns the numbers of a scrape by their names with labels.
func parseScrape(text []byte) (map[string]number, error) {
	p, err := textparse.New(text, "text/plain", nil, textparse.ParserOptions{})
	if err != nil {
		return nil, err
	}
	found := make(map[string]number)
	for {
		switch entry, err := p.Next(); {
		case errors.Is(err, io.EOF):
			return found, nil
		case err != nil:
			return nil, err
		case entry == textparse.EntrySeries:
			var l labels.Labels
			p.Labels(&l)
			l = l.WithoutEmpty() // as Prometheus stores them
			_, _, v := p.Series()
			found[l.String()] = number{l, v}
		}
	}
}

// evaluate returns what an expression gives from one scrape to another.
func (r *recording) evaluate(ctx context.Context, expr string, from, to time.Time) (promql.Matrix, error) {
	query, err := r.engine.NewRangeQuery(ctx, r, nil, expr, from, to, interval)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", expr, err)
	}
	defer query.Close()
	result := query.Exec(ctx)
	m, err := result.Matrix()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", expr, err)
	}
	var copied promql.Matrix // the query takes its points back
	for _, s := range m {
		copied = append(copied, promql.Series{Metric: s.Metric, Floats: slices.Clone(s.Floats)})
	}
	return copied, nil
}

// Querier implements [storage.Queryable].
func (r *recording) Querier(from, to int64) (storage.Querier, error) {
	return &storage.MockQuerier{SelectMockFunction: func(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
		set := &seriesSet{}
		for _, s := range r.series {
			if slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(s.labels.Get(m.Name)) }) {
				continue
			}
			in := slices.DeleteFunc(slices.Clone(s.samples), func(c chunks.Sample) bool { return c.T() < from || c.T() > to })
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
