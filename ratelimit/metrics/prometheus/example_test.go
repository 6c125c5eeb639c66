package prometheus_test

import (
	"context"
	"fmt"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"github.com/keyrate/keyrate/ratelimit"
	keyrateprometheus "github.com/keyrate/keyrate/ratelimit/metrics/prometheus"
	"github.com/keyrate/keyrate/store/memstore"
)

func ExampleNewCollector() {
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerMinute(2), ratelimit.Config{Metrics: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	registry := prometheus.NewRegistry() // or prometheus.DefaultRegisterer
	registry.MustRegister(keyrateprometheus.NewCollector(limiter))

	for range 3 {
		if _, err := limiter.Allow(context.Background(), "key"); err != nil {
			fmt.Println(err)
		}
	}
	families, err := registry.Gather() // promhttp.HandlerFor(registry, promhttp.HandlerOpts{}) serves it
	if err != nil {
		fmt.Println(err)
	}
	for _, f := range families {
		if f.GetName() == "keyrate_checks_total" {
			_, _ = expfmt.MetricFamilyToText(os.Stdout, f)
		}
	}
	// Output:
	// # HELP keyrate_checks_total Calls, by what became of them.
	// # TYPE keyrate_checks_total counter
	// keyrate_checks_total{outcome="allowed"} 2
	// keyrate_checks_total{outcome="ambiguous_key"} 0
	// keyrate_checks_total{outcome="blocked"} 0
	// keyrate_checks_total{outcome="denied"} 1
	// keyrate_checks_total{outcome="exempt"} 0
	// keyrate_checks_total{outcome="no_key"} 0
	// keyrate_checks_total{outcome="skipped"} 0
	// keyrate_checks_total{outcome="undecided_allowed"} 0
	// keyrate_checks_total{outcome="undecided_denied"} 0
}
