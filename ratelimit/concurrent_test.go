package ratelimit_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

// TestConcurrent: one limiter, many goroutines and keys; no key gets more.
func TestConcurrent(t *testing.T) {
	var observed sync.Map
	l := newLimiter(t, ratelimit.PerDay(100), ratelimit.Config{Observe: func(_ context.Context, e ratelimit.Event) {
		if e.Result.Allowed {
			observed.Store(e.Result.Remaining(), true)
		}
	}})
	var wg sync.WaitGroup
	counts := make([]int, 8)
	for i := range counts {
		wg.Go(func() {
			for range 50 {
				r, err := l.Allow(t.Context(), "one key")
				if err != nil {
					t.Error(err)
				}
				if r.Allowed {
					counts[i]++
				}
				if i == 0 {
					_, _ = l.Peek(t.Context(), "one key")
					l.Check(t.Context())
				}
			}
		})
	}
	wg.Wait()
	total := 0
	for _, n := range counts {
		total += n
	}
	if total != 100 {
		t.Errorf("%d calls were admitted, want 100", total)
	}
	for left := range 100 {
		if _, ok := observed.Load(left); !ok {
			t.Errorf("no call left %d tokens: two calls had the same token", left)
		}
	}
}

// TestConcurrentOnOneKey: 64 goroutines on one shared key, the limit is far above: no
// errors and no denials, and every call is charged once.
func TestConcurrentOnOneKey(t *testing.T) {
	start := time.Now()
	l := newLimiter(t, ratelimit.PerDay(1_000_000), ratelimit.Config{})
	var denied, failed atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for range 100 {
				switch r, err := l.Allow(t.Context(), "k"); {
				case err != nil:
					failed.Add(1)
				case !r.Allowed:
					denied.Add(1)
				}
			}
		})
	}
	wg.Wait()
	want(t, denied.Load(), 0)
	want(t, failed.Load(), 0)
	got := remaining(t, l) - (1_000_000 - 6400)
	if back := int(time.Since(start)*1_000_000/(24*time.Hour)) + 1; got < 0 || got > back {
		t.Errorf("of 6400 tokens %d are there again, want 0 to %d", got, back)
	}
}
