package lease

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

// benchLimit is so high that a benchmark is never denied.
var benchLimit = ratelimit.Limit{Rate: 1_000_000_000, Period: time.Second, Burst: 1_000_000_000}

func benchLimiter(b *testing.B) (*ratelimit.Limiter, *Store) {
	b.Helper()
	s, err := New(memstore.New(memstore.Config{}), Config{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	l, err := ratelimit.New(s, benchLimit, ratelimit.Config{})
	if err != nil {
		b.Fatal(err)
	}
	for start := time.Now(); time.Since(start) < 200*time.Millisecond; {
		if _, err := l.Allow(b.Context(), "key"); err != nil {
			b.Fatal(err)
		}
	}
	return l, s
}

// BenchmarkAllow is one caller of a key with a lease.
func BenchmarkAllow(b *testing.B) {
	l, _ := benchLimiter(b)
	b.ReportAllocs()
	leased := 0
	for b.Loop() {
		r, _ := l.Allow(b.Context(), "key")
		if r.Source() == store.FromLease {
			leased++
		}
	}
	b.ReportMetric(float64(leased)/float64(b.N), "leased/op")
}

// BenchmarkMany is 64 callers of one key: it reports how long their calls take.
func BenchmarkMany(b *testing.B) {
	l, _ := benchLimiter(b)
	const callers = 64
	each := b.N/callers + 1
	took := make([][]time.Duration, callers)
	for i := range took {
		took[i] = make([]time.Duration, 0, each)
	}
	b.ResetTimer()
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			ctx := context.Background() //nolint:usetesting // that of a benchmark takes a lock
			for range each {
				start := time.Now()
				_, _ = l.Allow(ctx, "key")
				took[i] = append(took[i], time.Since(start))
			}
		})
	}
	all.Wait()
	sorted := slices.Concat(took...)
	slices.Sort(sorted)
	b.ReportMetric(float64(sorted[len(sorted)/2]), "p50-ns")
	b.ReportMetric(float64(sorted[len(sorted)*99/100]), "p99-ns")
	b.ReportMetric(float64(sorted[len(sorted)*999/1000]), "p99.9-ns")
}

func BenchmarkClock(b *testing.B) {
	var c clock
	c.begin(nil)
	for b.Loop() {
		c.read()
	}
}
