package memstore_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
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

// BenchmarkHome compares 10,000 keys of one home, who share a limit beside their own, with as
// many that have two limits of their own, and one, for 16 goroutines.
func BenchmarkHome(b *testing.B) {
	const keys = 10_000
	names := make([]string, keys)
	for i := range names {
		names[i] = fmt.Sprintf("api-key-%016d", i)
	}
	own := ratelimit.PerSecond(1_000_000_000)
	second := ratelimit.PerHour(2_000_000_000).WithBurst(2_000_000_000).Named("hourly")
	for _, bench := range []struct {
		name, home string
		limits     []ratelimit.Limit
	}{
		{"one limit", "", []ratelimit.Limit{own}},
		{"two limits", "", []ratelimit.Limit{own, second}},
		{"one and a shared one", "org", []ratelimit.Limit{own, second.SharedByHome()}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			policy, err := ratelimit.NewPolicy(bench.limits...)
			if err != nil {
				b.Fatal(err)
			}
			limiter, err := ratelimit.New(memstore.New(memstore.Config{}), policy.In(bench.home), ratelimit.Config{})
			if err != nil {
				b.Fatal(err)
			}
			b.SetParallelism(max(16/runtime.GOMAXPROCS(0), 1))
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				random := rand.New(rand.NewPCG(rand.Uint64(), 1))
				for pb.Next() {
					if r, err := limiter.Allow(b.Context(), names[random.IntN(keys)]); err != nil || !r.Allowed {
						b.Error(r, err)
						return
					}
				}
			})
		})
	}
}
