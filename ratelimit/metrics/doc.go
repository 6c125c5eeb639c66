// Package metrics defines what keyrate counts and measures: the instruments, their names,
// units and labels, and how they are read. It depends on nothing. A [ratelimit.Limiter] with
// Config.Metrics set is a [Source]; nested modules export it:
//
//	limiter, err := ratelimit.New(store, limits, ratelimit.Config{Metrics: true})
//
//	prometheus.MustRegister(keyrateprometheus.NewCollector(limiter))  // metrics/prometheus
//	_, err = keyrateotel.Register(keyrateotel.Config{}, limiter)      // metrics/otel
//
// No key, address or hash is ever a label. The label sets are bounded by the names of limits:
// see [MaxLimits].
//
// Counters and gauges are exact. Histograms are sampled: one in 64 of the decisions that were
// made in memory, and every decision that left the process.
package metrics
