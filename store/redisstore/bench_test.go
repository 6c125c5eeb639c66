package redisstore

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// BenchmarkTake measures decisions on a real Redis, by 1, 64 and 256 callers on 10,000
// keys. For comparison, plain EVALSHA runs an empty script for each decision, on a client
// with as many connections as callers.
func BenchmarkTake(b *testing.B) {
	server := startRedis(b)
	client, err := NewClient("redis://" + server.address)
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	s := newStore(b, client, Config{Secret: []byte("0123456789abcdef0123456789abcdef")})
	p := policy(b, ratelimit.PerHour(1_000_000))
	two := policy(b, ratelimit.PerHour(1_000_000), ratelimit.PerDay(1_000_000).Named("daily"))
	never := policy(b, ratelimit.PerHour(1).Named("never"))
	keys := make([]string, 10_000)
	for i := range keys {
		keys[i] = "key " + strconv.Itoa(i)
	}
	plain := redis.NewClient(&redis.Options{Addr: server.address, PoolSize: 256})
	defer plain.Close()
	sha, err := plain.ScriptLoad(b.Context(), "return 1").Result()
	if err != nil {
		b.Fatal(err)
	}
	take := func(p []store.Limit, cost int) func(context.Context, int) error {
		return func(ctx context.Context, i int) error {
			_, err := s.Take(ctx, store.Request{Key: keys[i%len(keys)], Limits: p, Cost: cost, Timeout: time.Second})
			return err
		}
	}
	for _, bench := range []struct {
		name string
		call func(context.Context, int) error
	}{
		{"admit", take(p, 1)},
		{"two limits", take(two, 1)},
		{"deny", take(never, 2)},
		{"one key", func(ctx context.Context, _ int) error { return take(p, 1)(ctx, 0) }},
		{"plain EVALSHA", func(ctx context.Context, i int) error {
			return plain.EvalSha(ctx, sha, []string{keys[i%len(keys)]}).Err()
		}},
	} {
		for _, callers := range []int{1, 64, 256} {
			b.Run(fmt.Sprintf("%s/callers=%d", bench.name, callers), func(b *testing.B) {
				b.ReportAllocs()
				measure(b, callers, bench.call)
			})
		}
	}
}

// measure makes b.N calls on a number of goroutines.
func measure(b *testing.B, callers int, call func(context.Context, int) error) {
	ctx := b.Context()
	took := make([][]time.Duration, callers)
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for c := range callers {
		wg.Go(func() {
			for {
				i := int(next.Add(1))
				if i > b.N {
					return
				}
				start := time.Now()
				if err := call(ctx, i*7919); err != nil {
					b.Error(err)
					return
				}
				took[c] = append(took[c], time.Since(start))
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	all := slices.Concat(took...)
	slices.Sort(all)
	if len(all) > 0 {
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "decisions/s")
		b.ReportMetric(float64(all[len(all)/2].Nanoseconds())/1000, "p50-us")
		b.ReportMetric(float64(all[len(all)*99/100].Nanoseconds())/1000, "p99-us")
	}
}

// BenchmarkBatch is what a decision costs before and after the round trip, in a batch of n.
func BenchmarkBatch(b *testing.B) {
	p := policy(b, ratelimit.PerSecond(10))
	n := newNames("keyrate", []byte("secret"))
	for _, size := range []int{1, 64} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			b.ReportAllocs()
			answer := answer{1, 0}
			for range size {
				answer = append(answer, 0)
			}
			for b.Loop() {
				calls := make([]*call, size)
				for i := range calls {
					calls[i] = newCall(b.Context(), new(sync.Pool), store.Request{Key: "key", Limits: p, Cost: 1}, n.owner("", "key"))
				}
				batch := newBatch(calls)
				if _, err := batch.outcomes(answer); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/decision")
		})
	}
}
