package bound_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware/internal/bound"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// TestBound: a key gets its burst and then its rate, made-up keys get no more than all slots do.
func TestBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter, err := ratelimit.New(bound.New(), ratelimit.PerSecond(5).WithBurst(10), ratelimit.Config{})
		if err != nil {
			t.Fatal(err)
		}
		allowed := func(key string) (n int) {
			for {
				r, err := limiter.Allow(t.Context(), key)
				if err != nil {
					t.Fatal(err)
				}
				if !r.Allowed {
					return n
				}
				n++
			}
		}
		if n := allowed("a"); n != 10 {
			t.Errorf("%d calls were allowed at once, want 10", n)
		}
		time.Sleep(time.Second)
		if n := allowed("a"); n != 5 {
			t.Errorf("%d calls were allowed after a second, want 5", n)
		}
		if r, err := limiter.AllowN(t.Context(), "a", 11); err != nil || r.Allowed {
			t.Errorf("11 of 10: %v, %v", r.Allowed, err)
		}
		if err := limiter.Reset(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		if n := allowed("a"); n != 10 {
			t.Errorf("%d calls were allowed after a reset, want 10", n)
		}
		made := 0
		for i := range 20_000 {
			made += allowed(fmt.Sprint("made-up ", i))
		}
		if made < 10*3000 || made > 10*4096 {
			t.Errorf("made-up keys got %d calls, want nearly 40,960", made)
		}
	})
}

// TestRequests: a request that the store cannot decide is an error.
func TestRequests(t *testing.T) {
	for _, r := range []store.Request{{}, {Limits: make([]store.Limit, 2)}, {Limits: make([]store.Limit, 1), Hold: new(store.Hold)}} {
		if _, err := bound.New().Take(t.Context(), r); err == nil {
			t.Errorf("%+v was decided", r)
		}
	}
}
