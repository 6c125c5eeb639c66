package memstore_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

func BenchmarkAllow(b *testing.B) {
	for _, keys := range []int{1, 10_000, 1_000_000} {
		names := make([]string, keys)
		for i := range names {
			names[i] = fmt.Sprintf("api-key-%016d", i)
		}
		order := make([]uint32, 1<<18)
		for i := range order {
			order[i] = rand.Uint32N(uint32(keys))
		}
		one := ratelimit.PerSecond(1_000_000_000)
		two := ratelimit.PerHour(2_000_000_000).WithBurst(2_000_000_000).Named("hourly")
		for _, bench := range []struct {
			name   string
			limits []ratelimit.Limit
		}{
			{"allowed", []ratelimit.Limit{one}},
			{"denied", []ratelimit.Limit{ratelimit.PerDay(1)}},
			{"two", []ratelimit.Limit{one, two}},
		} {
			policy, err := ratelimit.NewPolicy(bench.limits...)
			if err != nil {
				b.Fatal(err)
			}
			limiter, err := ratelimit.New(memstore.New(memstore.Config{MaxKeys: 2 * max(keys, 1000)}), policy, ratelimit.Config{})
			if err != nil {
				b.Fatal(err)
			}
			for _, name := range names {
				_, _ = limiter.Allow(b.Context(), name)
			}
			b.Run(fmt.Sprintf("keys=%d/%s", keys, bench.name), func(b *testing.B) {
				b.ReportAllocs()
				ctx := b.Context()
				i := 0
				for b.Loop() {
					_, _ = limiter.Allow(ctx, names[order[i&(len(order)-1)]])
					i++
				}
			})
		}
	}
}
