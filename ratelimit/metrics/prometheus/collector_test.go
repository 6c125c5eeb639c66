package prometheus_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/metrics"
	keyrateprometheus "github.com/keyrate/keyrate/ratelimit/metrics/prometheus"
	"github.com/keyrate/keyrate/store/memstore"
)

func newLimiter(t testing.TB, limits ratelimit.Limits) *ratelimit.Limiter {
	t.Helper()
	l, err := ratelimit.New(memstore.New(memstore.Config{}), limits, ratelimit.Config{Metrics: true})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// gathered returns the values of a registry by name and labels; of a histogram, its sum, and
// how many measurements are in each bucket or a smaller one.
func gathered(t *testing.T, c prometheus.Collector) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(c); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			id := f.GetName() + "{" + strings.Join(labels, ",") + "}"
			switch f.GetType() {
			case dto.MetricType_COUNTER:
				values[id] = m.GetCounter().GetValue()
			case dto.MetricType_GAUGE:
				values[id] = m.GetGauge().GetValue()
			default:
				values[id] = m.GetHistogram().GetSampleSum()
				for _, b := range m.GetHistogram().GetBucket() {
					values[fmt.Sprint(id, "<=", b.GetUpperBound())] = float64(b.GetCumulativeCount())
				}
			}
		}
	}
	return values
}

// TestCollector: a registry shows each number that the sources show, under the name and labels
// of Prometheus.
func TestCollector(t *testing.T) {
	l := newLimiter(t, ratelimit.PerSecond(5))
	for range 7000 {
		if _, err := l.AllowN(t.Context(), "key", 2); err != nil {
			t.Fatal(err)
		}
	}
	l.Ended(metrics.NoKey)
	got, want := gathered(t, keyrateprometheus.NewCollector(l, l)), make(map[string]float64)
	r := metrics.Read(l)
	for _, i := range metrics.Instruments() {
		for _, p := range r.Points(i) {
			labels := make(map[string]string)
			for n, name := range i.Labels {
				labels[strings.ReplaceAll(name, ".", "_")] = p.Labels[n]
			}
			id := keyrateprometheus.Name(i) + "{"
			for n, name := range slices.Sorted(maps.Keys(labels)) {
				if n > 0 {
					id += ","
				}
				id += name + "=" + labels[name]
			}
			id += "}"
			want[id] = p.Value
			sum := uint64(0)
			for n, bound := range i.Bounds {
				sum += p.Buckets[n]
				want[fmt.Sprint(id, "<=", bound)] = float64(sum)
			}
		}
	}
	if !maps.Equal(got, want) || len(got) < 20 {
		t.Errorf("%v\nwant %v", got, want)
	}
	if got["keyrate_checks_total{outcome=no_key}"] != 1 || got["keyrate_checks_total{outcome=denied}"] == 0 {
		t.Errorf("%v", got)
	}
}

// TestNames are those of the contract.
func TestNames(t *testing.T) {
	want := strings.Fields(`keyrate_checks_total keyrate_evaluations_total keyrate_cost_tokens_total
		keyrate_utilization_ratio keyrate_check_duration_seconds keyrate_limit_tokens keyrate_limit_period_seconds
		keyrate_holds keyrate_holds_oldest_seconds keyrate_store_errors_total keyrate_store_available keyrate_buckets keyrate_buckets_overflow
		keyrate_table_version keyrate_table_reload_failures_total keyrate_table_reload_successful`)
	for n, i := range metrics.Instruments() {
		if got := keyrateprometheus.Name(i); got != want[n] {
			t.Errorf("%s is %s; want %s", i.Name, got, want[n])
		}
	}
}

// TestLint: the names and texts are as Prometheus wants them.
func TestLint(t *testing.T) {
	l := newLimiter(t, ratelimit.PerSecond(5))
	for range 1000 {
		_, _ = l.Allow(t.Context(), "key")
	}
	problems, err := testutil.CollectAndLint(keyrateprometheus.NewCollector(l))
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

// TestTwoLimiters: two limiters in one registry are one collector, or two with labels.
func TestTwoLimiters(t *testing.T) {
	a, b := newLimiter(t, ratelimit.PerSecond(5)), newLimiter(t, ratelimit.PerSecond(7).Named("other"))
	for range 3 {
		_, _ = a.Allow(t.Context(), "key")
		_, _ = b.Allow(t.Context(), "key")
	}
	if got := gathered(t, keyrateprometheus.NewCollector(a, b)); got["keyrate_checks_total{outcome=allowed}"] != 6 {
		t.Errorf("%v", got)
	}
	registry := prometheus.NewPedanticRegistry()
	for name, l := range map[string]*ratelimit.Limiter{"a": a, "b": b} {
		if err := prometheus.WrapRegistererWith(prometheus.Labels{"api": name}, registry).Register(keyrateprometheus.NewCollector(l)); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := testutil.GatherAndCount(registry, "keyrate_checks_total"); n != 2*metrics.Outcomes || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}
