package middleware_test

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

// A hijackable is a sink whose connection can be taken over.
type hijackable struct{ sink }

func (h *hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, nil }

// load sends 100,000 requests of 4 keys to h from 16 goroutines, 1,000,000 with KEYRATE_LONG=1.
// Their handlers, which must be chaos, end in several ways. It returns when all have ended, the
// goroutines that have taken over a connection included.
func load(h http.Handler, running *sync.WaitGroup) {
	requests := 100_000
	if os.Getenv("KEYRATE_LONG") == "1" {
		requests *= 10
	}
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
	most    int64 // how many run at a time for a key
	now     [4]atomic.Int64
	over    atomic.Int64 // how often there were more
	served  atomic.Int64
	running sync.WaitGroup // goroutines that outlive their handlers
}

func (c *chaos) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n, _ := r.Context().Value(turnKey{}).(int)
	now := &c.now[n%4]
	if now.Add(1) > c.most {
		c.over.Add(1)
	}
	c.served.Add(1)
	var kept bool
	defer func() {
		if !kept {
			now.Add(-1)
		}
	}()
	switch n / 4 % 5 {
	case 0:
		panic("boom")
	case 1:
		panic(http.ErrAbortHandler)
	case 2:
		if _, _, err := http.NewResponseController(w).Hijack(); err != nil {
			panic(err)
		}
		release := middleware.Keep(r.Context())
		kept = true
		c.running.Go(func() {
			now.Add(-1)
			release()
		})
	case 3:
		w.WriteHeader(http.StatusInternalServerError)
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
	if c.over.Load() > 0 || c.served.Load() < 10_000 {
		t.Errorf("%d requests were served, %d of them beside too many", c.served.Load(), c.over.Load())
	}
}
