package prometheus

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyrate/keyrate/ratelimit/metrics"
)

// A Collector is a [prometheus.Collector] of all instruments in package metrics. Make one with
// [NewCollector]. It keeps nothing: each scrape reads its sources.
type Collector struct {
	sources []metrics.Source
	descs   map[*metrics.Instrument]*prometheus.Desc
}

// NewCollector returns a Collector of sources: limiters with ratelimit.Config.Metrics, and others
// that they do not know of, such as a file of limits. What several limiters have in common is
// collected once. Of limits with one name and plan in several limiters, the gauges show the last
// one. Register it yourself; to register another one for limiters of another kind,
// wrap the registry with [prometheus.WrapRegistererWith].
func NewCollector(sources ...metrics.Source) *Collector {
	c := &Collector{sources: sources, descs: make(map[*metrics.Instrument]*prometheus.Desc)}
	for _, i := range metrics.Instruments() {
		labels := make([]string, len(i.Labels))
		for n, l := range i.Labels {
			labels[n] = strings.ReplaceAll(l, ".", "_")
		}
		c.descs[i] = prometheus.NewDesc(Name(i), i.Help, labels, nil)
	}
	return c
}

// Name returns the name of an instrument in Prometheus.
func Name(i *metrics.Instrument) string {
	name := strings.ReplaceAll(i.Name, ".", "_")
	switch {
	case i.Unit == "s":
		name += "_seconds"
	case i.Unit == "1" && i.Kind == metrics.Histogram:
		name += "_ratio"
	case i.Unit == "{token}" && i.Kind == metrics.Counter:
		name += "_tokens"
	}
	if i.Kind == metrics.Counter {
		name += "_total"
	}
	return name
}

// Describe implements [prometheus.Collector].
func (c *Collector) Describe(descs chan<- *prometheus.Desc) {
	for _, i := range metrics.Instruments() {
		descs <- c.descs[i]
	}
}

// Collect implements [prometheus.Collector].
func (c *Collector) Collect(to chan<- prometheus.Metric) {
	r := metrics.Read(c.sources...)
	for _, i := range metrics.Instruments() {
		for _, p := range r.Points(i) {
			to <- metric(c.descs[i], i, &p)
		}
	}
}

func metric(desc *prometheus.Desc, i *metrics.Instrument, p *metrics.Point) prometheus.Metric {
	switch i.Kind {
	case metrics.Histogram:
		buckets, total := make(map[float64]uint64, len(i.Bounds)), uint64(0)
		for n, bound := range i.Bounds {
			total += p.Buckets[n]
			buckets[bound] = total
		}
		total += p.Buckets[len(i.Bounds)]
		return prometheus.MustNewConstHistogram(desc, total, p.Value, buckets, p.Labels...)
	case metrics.Counter:
		return prometheus.MustNewConstMetric(desc, prometheus.CounterValue, p.Value, p.Labels...)
	default:
		return prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, p.Value, p.Labels...)
	}
}
