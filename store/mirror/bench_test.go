package mirror_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
	"github.com/keyrate/keyrate/store/mirror"
)

// instant is a shared store that admits at once, so that a benchmark measures the mirror.
type instant struct{ debt gcra.Debt }

func (instant) SelfTimed() {}
func (i instant) Take(context.Context, store.Request) (store.Decision, error) {
	return store.Decision{Allowed: true, Now: 1, Debts: [store.MaxLimits]gcra.Debt{i.debt}}, nil
}
func (instant) Reset(context.Context, store.Request) error { return nil }

// calls returns decisions of each kind.
func calls(t testing.TB) map[string]func(ctx context.Context, key string) {
	hour := policy(t, ratelimit.PerHour(1000))
	two := policy(t, ratelimit.PerHour(1_000_000_000), ratelimit.PerDay(1_000_000_000).Named("daily"))
	daily := policy(t, ratelimit.PerDay(1))
	down := newFaulty()
	down.down()
	shared := memstore.New(memstore.Config{})
	asks := newMirror(t, instant{gcra.Debt{Micros: 3_600_000}}, mirror.Config{})
	alone := newMirror(t, down, mirror.Config{Nodes: 3})
	whole := newMirror(t, shared, mirror.Config{})
	do := func(s store.Store, p []store.Limit) func(context.Context, string) {
		return func(ctx context.Context, key string) {
			_, _ = s.Take(ctx, store.Request{Key: key, Limits: p, Cost: 1, Timeout: store.DefaultTimeout})
		}
	}
	return map[string]func(context.Context, string){
		"direct":      do(instant{gcra.Debt{Micros: 3_600_000}}, hour),
		"asks":        do(asks, hour),
		"asks memory": do(whole, two),
		"denies":      do(whole, daily),
		"alone":       do(alone, two),
	}
}

// TestAllocs: no kind of decision allocates.
func TestAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for name, call := range calls(t) {
		for range 10 { // the first may grow a table, and some open the breaker
			call(t.Context(), "key")
		}
		if n := testing.AllocsPerRun(1000, func() { call(t.Context(), "key") }); n != 0 {
			t.Errorf("%s: %v allocations; want none", name, n)
		}
	}
}

// BenchmarkTake: the difference of "asks" and "direct" is what the mirror adds to a decision
// of the shared store.
func BenchmarkTake(b *testing.B) {
	for _, keys := range []int{1, 10_000, 1_000_000} {
		for name, call := range calls(b) {
			b.Run(fmt.Sprintf("keys=%d/%s", keys, name), func(b *testing.B) {
				names := make([]string, keys)
				for i := range names {
					names[i] = fmt.Sprintf("api-key-%016d", i)
				}
				order := make([]uint32, 1<<18)
				for i := range order {
					order[i] = rand.Uint32N(uint32(keys))
				}
				ctx := b.Context()
				for _, key := range names {
					call(ctx, key)
				}
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					call(ctx, names[order[i&(len(order)-1)]])
					i++
				}
			})
		}
	}
}
