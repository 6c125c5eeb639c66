package redisstore

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// TestSettleWaits: settlements wait for a silent server until the deadline of their context,
// or as long as a decision if it has none.
func TestSettleWaits(t *testing.T) {
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	s := newStore(t, patient(t, silent.Addr().String()), Config{})
	p := policy(t, ratelimit.PerHour(5))
	for _, test := range []struct {
		timeout time.Duration // 0: no deadline
		want    time.Duration
	}{
		{0, store.DefaultTimeout}, {200 * time.Millisecond, 200 * time.Millisecond}, {10 * time.Millisecond, 10 * time.Millisecond},
	} {
		for n := 1; n <= 2; n++ { // alone, and with another
			all := make([]store.Settlement, n)
			for i := range all {
				all[i] = store.Settlement{Key: "k", Limits: p, Actual: 1}
			}
			start := time.Now()
			ctx, cancel := t.Context(), func() {}
			if test.timeout > 0 {
				ctx, cancel = context.WithTimeout(ctx, test.timeout)
			}
			s.Settle(ctx, all)
			took := time.Since(start)
			cancel()
			for i := range all {
				if class := store.ErrorClass(all[i].Err); class != store.ClassTimeout {
					t.Errorf("settlement %d of %d failed with %v; want a timeout", i+1, n, all[i].Err)
				}
			}
			if took < test.want || took > test.want+patience/2 {
				t.Errorf("%d settlements with a timeout of %v took %v; want %v", n, test.timeout, took, test.want)
			}
		}
	}
}
