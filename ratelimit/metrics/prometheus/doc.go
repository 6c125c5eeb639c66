// Package prometheus shows the metrics of keyrate to Prometheus.
//
//	limiter, err := ratelimit.New(store, limits, ratelimit.Config{Metrics: true})
//	registry.MustRegister(keyrateprometheus.NewCollector(limiter))
//
// The names are those of package metrics, as Prometheus writes them: keyrate.checks is
// keyrate_checks_total, and a unit follows the name, as in keyrate_check_duration_seconds.
package prometheus
