package otel_test

import (
	"testing"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/keyrate/keyrate/ratelimit"
	keyrateotel "github.com/keyrate/keyrate/ratelimit/metrics/otel"
	"github.com/keyrate/keyrate/store/memstore"
)

// BenchmarkRegister measures what the metrics add to a decision in memory, with an SDK.
func BenchmarkRegister(b *testing.B) {
	for name, metrics := range map[string]bool{"without": false, "with": true} {
		b.Run(name, func(b *testing.B) {
			l, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerHour(1).WithBurst(80_000), ratelimit.Config{Metrics: metrics})
			if err != nil {
				b.Fatal(err)
			}
			if metrics {
				provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
				if _, err := keyrateotel.Register(keyrateotel.Config{Provider: provider}, l); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := l.Allow(b.Context(), "key"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
