package ratelimit_test

import (
	"testing"

	"github.com/keyrate/keyrate/ratelimit"
)

// holdCalls are calls whose costs are compared: Hold and Settle should take little more than
// twice the time of Allow.
func holdCalls(tb testing.TB) map[string]func() {
	ctx := tb.Context()
	const most = 1_000_000_000
	rate, places := ratelimit.PerSecond(most), ratelimit.AtOnce(most)
	one := newLimiter(tb, rate, ratelimit.Config{})
	atOnce := newLimiter(tb, places, ratelimit.Config{})
	both := newLimiter(tb, policyOf(tb, rate, places), ratelimit.Config{})
	hold := func(l *ratelimit.Limiter) func() {
		return func() {
			h, err := l.Hold(ctx, "customer-17", 10)
			if err == nil {
				err = h.Settle(ctx, 3)
			}
			if err != nil {
				tb.Error(err)
			}
		}
	}
	enter := func(l *ratelimit.Limiter) func() {
		return func() {
			r, h, err := l.Enter(ctx, "customer-17", 1)
			if h.Release(ctx); err != nil || !r.Allowed {
				tb.Error(r, err)
			}
		}
	}
	return map[string]func(){
		"Allow": func() {
			if r, err := one.Allow(ctx, "customer-17"); err != nil || !r.Allowed {
				tb.Error(r, err)
			}
		},
		"Hold":         hold(one),
		"HoldBoth":     hold(both),
		"EnterRate":    enter(one),
		"EnterPlaces":  enter(atOnce),
		"EnterBoth":    enter(both),
		"HoldCanceled": func() { h, _ := one.Hold(ctx, "customer-17", 10); h.Cancel(ctx) },
	}
}

// TestHoldAllocs: a call allocates the Hold and nothing else, and none if nothing is held.
func TestHoldAllocs(t *testing.T) {
	for name, call := range holdCalls(t) {
		want := 1.0
		if name == "Allow" || name == "EnterRate" {
			want = 0
		}
		call()
		if got := testing.AllocsPerRun(1000, call); got != want {
			t.Errorf("%s: %v allocations, want %v", name, got, want)
		}
	}
}

func BenchmarkHold(b *testing.B) {
	calls := holdCalls(b)
	for _, name := range []string{"Allow", "Hold", "HoldCanceled", "HoldBoth", "EnterRate", "EnterPlaces", "EnterBoth"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				calls[name]()
			}
		})
	}
}
