package otel

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/keyrate/keyrate/ratelimit/metrics"
)

// Scope is the name of the instrumentation scope: the path of this package.
const Scope = "github.com/keyrate/keyrate/ratelimit/metrics/otel"

// Config configures [Register]. The zero value is ready to use.
type Config struct {
	// Provider makes the instruments. nil means the global one at the time of the call.
	Provider metric.MeterProvider
	// Attributes are added to all metrics, to tell limiters apart that are registered one by one.
	Attributes []attribute.KeyValue
}

// Register shows the metrics of sources: limiters with ratelimit.Config.Metrics, and others that
// they do not know of, such as a file of limits. What several of them have in common is shown
// once. Unregister ends it, but for the histograms: these get the measurements of their limiters as long
// as those are used.
func Register(c Config, sources ...metrics.Source) (metric.Registration, error) {
	if c.Provider == nil {
		c.Provider = otel.GetMeterProvider()
	}
	e := &exporter{
		meter: c.Provider.Meter(Scope), sources: sources, common: c.Attributes,
		ints: make(map[*metrics.Instrument]metric.Int64Observable), floats: make(map[*metrics.Instrument]metric.Float64Observable),
		histograms: make(map[*metrics.Instrument]metric.Float64Histogram),
	}
	var all []metric.Observable
	var faults []error
	for _, i := range metrics.Instruments() {
		observable, err := e.make(i)
		if err != nil {
			faults = append(faults, fmt.Errorf("otel: instrument %s: %w", i.Name, err))
		} else if observable != nil {
			all = append(all, observable)
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	registration, err := e.meter.RegisterCallback(e.observe, all...)
	if err != nil {
		return nil, fmt.Errorf("otel: %w", err)
	}
	for _, s := range sources {
		if sampler, ok := s.(metrics.Sampler); ok {
			sampler.OnMeasurement(e.recording)
		}
	}
	return registration, nil
}

// An exporter passes on what sources show.
type exporter struct {
	meter      metric.Meter
	sources    []metrics.Source
	common     []attribute.KeyValue
	ints       map[*metrics.Instrument]metric.Int64Observable
	floats     map[*metrics.Instrument]metric.Float64Observable
	histograms map[*metrics.Instrument]metric.Float64Histogram
}

// make makes an instrument; a histogram is not observable.
func (e *exporter) make(i *metrics.Instrument) (metric.Observable, error) {
	unit, help := metric.WithUnit(i.Unit), metric.WithDescription(i.Help)
	switch {
	case i.Kind == metrics.Histogram:
		h, err := e.meter.Float64Histogram(i.Name, unit, help, metric.WithExplicitBucketBoundaries(i.Bounds...))
		e.histograms[i] = h
		return nil, err
	case i.Kind == metrics.Counter:
		o, err := e.meter.Int64ObservableCounter(i.Name, unit, help)
		e.ints[i] = o
		return o, err
	case i.Unit == "s":
		o, err := e.meter.Float64ObservableGauge(i.Name, unit, help)
		e.floats[i] = o
		return o, err
	default:
		o, err := e.meter.Int64ObservableGauge(i.Name, unit, help)
		e.ints[i] = o
		return o, err
	}
}

// observe reads the sources for one collection.
func (e *exporter) observe(_ context.Context, to metric.Observer) error {
	r := metrics.Read(e.sources...)
	for i, o := range e.ints {
		for _, p := range r.Points(i) {
			to.ObserveInt64(o, int64(p.Value), metric.WithAttributeSet(e.attributes(i, p.Labels)))
		}
	}
	for i, o := range e.floats {
		for _, p := range r.Points(i) {
			to.ObserveFloat64(o, p.Value, metric.WithAttributeSet(e.attributes(i, p.Labels)))
		}
	}
	return nil
}

// recording implements [metrics.Recording]: it makes the attributes of the measurements once.
func (e *exporter) recording(i *metrics.Instrument, labels ...string) func(value float64) {
	h, options := e.histograms[i], []metric.RecordOption{metric.WithAttributeSet(e.attributes(i, labels))}
	return func(value float64) { h.Record(context.Background(), value, options...) }
}

func (e *exporter) attributes(i *metrics.Instrument, labels []string) attribute.Set {
	all := make([]attribute.KeyValue, 0, len(e.common)+len(labels))
	all = append(all, e.common...)
	for n, name := range i.Labels {
		all = append(all, attribute.String(name, labels[n]))
	}
	return attribute.NewSet(all...)
}
