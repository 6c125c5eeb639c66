package middleware_test

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

// A hijackable is a sink whose connection can be taken over.
type hijackable struct{ sink }

func (h *hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, nil }

// load sends 100,000 requests of 4 keys to h from 16 goroutines, 1,000,000 with KEYRATE_LONG=1.
// It returns when all have ended, the
// goroutines that have taken over a connection included.
func load(h http.Handler, running *sync.WaitGroup) {
	requests := testkit.Count(100_000, 1_000_000)
	var next atomic.Int64
	var clients sync.WaitGroup
	for range 16 {
		clients.Go(func() {
			for n := int(next.Add(1)); n <= requests; n = int(next.Add(1)) {
				ctx, cancel := context.WithCancel(context.WithValue(context.Background(), turnKey{}, n))
				if n%7 == 0 {
					cancel() // the client is gone
				}
				r := call{ctx: ctx, key: string(rune('a' + n%4))}.request()
				func() {
					defer func() { _ = recover() }()
					h.ServeHTTP(&hijackable{sink{header: http.Header{}}}, r)
				}()
				cancel()
			}
		})
	}
	clients.Wait()
	running.Wait()
}

type turnKey struct{}

// A chaos is a handler that ends in several ways, by turns.
type chaos struct {
	most    int64           // how many may run at a time for a key
	now     [4]atomic.Int64 // how many do
	over    atomic.Int64    // how often there were more
	served  atomic.Int64
	prices  [4]atomic.Int64 // what the requests of a key cost
	running sync.WaitGroup  // goroutines that outlive their handlers
}

const loadEstimate = 3

// chaosPrice is a SettleBy.
func chaosPrice(status int, _ http.Header) int {
	switch status {
	case http.StatusOK:
		return 1
	case http.StatusInternalServerError:
		return 2
	case http.StatusSwitchingProtocols:
		return 5 // its handler settles
	}
	return 100 // there is no such response
}

func (c *chaos) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n, _ := r.Context().Value(turnKey{}).(int)
	now, price := &c.now[n%4], &c.prices[n%4]
	if now.Add(1) > c.most {
		c.over.Add(1)
	}
	c.served.Add(1)
	kept := false
	defer func() {
		if !kept {
			now.Add(-1)
		}
	}()
	pays := func(n int64) {
		if r.Context().Err() != nil {
			n = max(n, loadEstimate) // the client has gone
		}
		price.Add(n)
	}
	switch n / 4 % 5 {
	case 0:
		pays(2)
		panic("boom")
	case 1:
		pays(1) // the status that was sent
		w.WriteHeader(http.StatusOK)
		panic(http.ErrAbortHandler)
	case 2:
		if _, _, err := http.NewResponseController(w).Hijack(); err != nil {
			panic(err)
		}
		release := middleware.Keep(r.Context())
		kept = true
		price.Add(int64(n % 3))
		c.running.Go(func() {
			now.Add(-1)
			middleware.Settle(r.Context(), n%3)
			release()
		})
	case 3:
		pays(2)
		w.WriteHeader(http.StatusInternalServerError)
	default:
		pays(1)
	}
}

// TestLoadLeavesNoPlaceTaken: however 100,000 requests end, there are never more than the
// limit at a time, and at the end there are none.
func TestLoadLeavesNoPlaceTaken(t *testing.T) {
	c := &chaos{most: 3}
	limiter := newLimiter(t, policy(t, ratelimit.AtOnce(3), plenty), ratelimit.Config{})
	load(middleware.Must(middleware.RateLimit(limiter, byKey))(c), &c.running)
	for _, key := range []string{"a", "b", "c", "d"} {
		wantHeld(t, limiter, key, 0)
	}
	if c.over.Load() > 0 || c.served.Load() < 1000 {
		t.Errorf("%d requests were served, %d of them beside too many", c.served.Load(), c.over.Load())
	}
}

// TestLoadLeavesNothingHeld: however 100,000 requests end, nothing is held at the end, and what
// is charged is the sum of their prices, to the token.
func TestLoadLeavesNothingHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // where no time passes, so that nothing drains
		const burst = 100_000_000
		c := &chaos{most: 1000}
		limiter := newLimiter(t, policy(t, ratelimit.PerDay(burst), ratelimit.AtOnce(1000)), ratelimit.Config{})
		defer limiter.Close()
		priced := byKey
		priced.Reserve, priced.SettleBy = estimate(loadEstimate), chaosPrice
		load(middleware.Must(middleware.RateLimit(limiter, priced))(c), &c.running)
		for i, key := range []string{"a", "b", "c", "d"} {
			r, err := limiter.Peek(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			for at := range r.Len() {
				s := r.State(at)
				want := s.Limit.Burst
				if !s.Limit.Concurrent {
					want -= int(c.prices[i].Load())
				}
				if s.Held != 0 || s.Remaining != want {
					t.Errorf("%s: %d of %v remain, want %d, and %d are held", key, s.Remaining, s.Limit, want, s.Held)
				}
			}
		}
		if c.over.Load() > 0 || c.served.Load() < 100_000 {
			t.Errorf("%d requests were served, %d of them beside too many", c.served.Load(), c.over.Load())
		}
	})
}
