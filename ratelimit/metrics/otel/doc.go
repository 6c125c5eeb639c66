// Package otel shows the metrics of keyrate to OpenTelemetry, and what was decided about a call
// on the span of the call. It needs the API alone: which SDK and exporter get the metrics is the
// program's choice.
//
//	limiter, err := ratelimit.New(store, limits, ratelimit.Config{Metrics: true, Observe: keyrateotel.Span})
//	registration, err := keyrateotel.Register(keyrateotel.Config{}, limiter)
//
// The instruments are those of package metrics. Counters and gauges are observable: they are read
// when the SDK collects, and a decision pays nothing for them. Histograms get each measurement as
// it is made.
package otel
