package transport_test

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/transport"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// TestNoPaceByConcurrentRequests: what a response says of concurrent requests is no rate, so
// requests one after the other are sent without a wait, even if it says that none remains.
func TestNoPaceByConcurrentRequests(t *testing.T) {
	for name, header := range map[string]http.Header{
		"alone":         headers(`RateLimit-Policy: "concurrent";q=1;qu="concurrent-requests"`, `RateLimit: "concurrent";r=0`, "X-Rate-Limit-Limit: 1", "X-Rate-Limit-Remaining: 0"),
		"beside a rate": headers(`RateLimit-Policy: "concurrent";q=1;qu="concurrent-requests", "default";q=1000;w=1`, `RateLimit: "concurrent";r=0, "default";r=999;t=1`),
		"the policy":    headers(`RateLimit-Policy: "concurrent";q=1;qu="concurrent-requests"`),
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &script{answers: []answer{{status: http.StatusOK, header: header}}}
			tr := mustNew(t, s, transport.Config{})
			for range 30 {
				do(t, tr, request(t, "https://api.example.com/"))
			}
			if last := s.times[len(s.times)-1]; last > 100*time.Millisecond {
				t.Errorf("%s: 30 requests took %v", name, last)
			}
		})
	}
}

// TestConcurrentDenial: a request that is denied because of calls in progress is sent again
// after Retry-After.
func TestConcurrentDenial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.AtOnce(2), ratelimit.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer limiter.Close()
		var denied atomic.Int64
		h := middleware.Must(middleware.RateLimit(limiter, middleware.Config{
			Observe: func(_ *http.Request, e middleware.Event) {
				if !e.Served {
					denied.Add(1)
				}
			},
		}))(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(700 * time.Millisecond) }))
		tr := mustNew(t, network{h, 5 * time.Millisecond, 10 * time.Millisecond}, transport.Config{})
		do(t, tr, request(t, "https://api.example.com/")) // the first goes alone
		var wg sync.WaitGroup
		start := time.Now()
		for range 4 {
			wg.Go(func() {
				if status, _ := do(t, tr, request(t, "https://api.example.com/")); status != http.StatusOK {
					t.Errorf("status %d", status)
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); took > 5*time.Second || denied.Load() == 0 {
			t.Errorf("4 requests took %v, and %d were denied", took, denied.Load())
		}
	})
}
