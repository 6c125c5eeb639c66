package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/keyrate/keyrate/ratelimit/metrics"
	keyrateprometheus "github.com/keyrate/keyrate/ratelimit/metrics/prometheus"
)

// readOpenTelemetry returns what a reader collects, under the names that Prometheus has for it. Of a
// histogram these are the sum and the count.
func readOpenTelemetry(ctx context.Context, reader sdkmetric.Reader) (map[string]float64, error) {
	var all metricdata.ResourceMetrics
	if err := reader.Collect(ctx, &all); err != nil {
		return nil, err
	}
	names := make(map[string]string)
	for _, i := range metrics.Instruments() {
		names[i.Name] = keyrateprometheus.Name(i)
	}
	found := make(map[string]float64)
	add := func(name string, set attribute.Set, value float64) {
		builder := labels.NewBuilder(labels.FromStrings(model.MetricNameLabel, name))
		for _, a := range set.ToSlice() {
			builder.Set(strings.ReplaceAll(string(a.Key), ".", "_"), a.Value.String())
		}
		found[builder.Labels().String()] = value
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			name := names[m.Name]
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					add(name, p.Attributes, float64(p.Value))
				}
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					add(name, p.Attributes, float64(p.Value))
				}
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					add(name, p.Attributes, p.Value)
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					add(name+"_sum", p.Attributes, p.Sum)
					add(name+"_count", p.Attributes, float64(p.Count))
				}
			default:
				return nil, fmt.Errorf("OpenTelemetry read %s as a %T", m.Name, m.Data)
			}
		}
	}
	return found, nil
}

// differences returns the numbers that a scrape and OpenTelemetry do not have in common. Only the buckets
// of histograms are not compared.
func differences(scraped map[string]number, read map[string]float64) (all []string) {
	for name, s := range scraped {
		if strings.HasSuffix(s.labels.Get(model.MetricNameLabel), "_bucket") {
			continue
		}
		if v, ok := read[name]; !ok || math.Abs(v-s.value) > 1e-9*math.Abs(s.value) {
			all = append(all, fmt.Sprintf("%s is %v in Prometheus and %v in OpenTelemetry (read: %v)", name, s.value, v, ok))
		}
	}
	for name, v := range read {
		if _, ok := scraped[name]; !ok {
			all = append(all, fmt.Sprintf("%s is %v in OpenTelemetry and not in Prometheus", name, v))
		}
	}
	return all
}

// showOpenTelemetry prints the counters of calls and tokens, and the state of the store.
func showOpenTelemetry(read map[string]float64, out io.Writer) {
	for _, name := range slices.Sorted(maps.Keys(read)) {
		for _, shown := range []string{`"keyrate_checks_total"`, `"keyrate_cost_tokens_total"`, `"keyrate_store_available"`} {
			if strings.Contains(name, shown) && read[name] != 0 {
				fmt.Fprintf(out, "  %-60s %v\n", name, read[name])
			}
		}
	}
}
