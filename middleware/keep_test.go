package middleware_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

// TestKeep: a place is kept until the last release, and released once.
func TestKeep(t *testing.T) {
	var faults recorder
	l := newLimiter(t, ratelimit.AtOnce(2), ratelimit.Config{})
	h := middleware.Must(middleware.RateLimit(l, faults.watch(middleware.Config{})))(working)
	var first, second, late func()
	var request *http.Request
	wantStatus(t, h, call{}.doing(func(r *http.Request) {
		request = r
		first, second = middleware.Keep(r.Context()), middleware.Keep(r.Context())
	}), http.StatusOK)
	wantHeld(t, l, anyAddress, 1)
	first()
	first()
	wantHeld(t, l, anyAddress, 1)
	call{}.during(t, h, 1, func() { wantStatus(t, h, call{}, http.StatusTooManyRequests) })
	second()
	wantHeld(t, l, anyAddress, 0)
	late = middleware.Keep(request.Context())
	wantHeld(t, l, anyAddress, 0)
	call{}.during(t, h, 2, func() {
		late()
		second()
		wantHeld(t, l, anyAddress, 2)
	})
	wantHeld(t, l, anyAddress, 0)
	if got := faults.faults(); len(got) > 0 {
		t.Errorf("faults %q", got)
	}
}

// TestKeepBeforeTheHandlerEnds: a release before the handler returns does not end the hold.
func TestKeepBeforeTheHandlerEnds(t *testing.T) {
	h, l := behindLimits(t, middleware.Config{}, ratelimit.AtOnce(1))
	wantStatus(t, h, call{}.doing(func(r *http.Request) {
		middleware.Keep(r.Context())()
		wantHeld(t, l, anyAddress, 1)
	}), http.StatusOK)
	wantHeld(t, l, anyAddress, 0)
}

// TestKeepNothing: a request that holds nothing can be kept, too.
func TestKeepNothing(t *testing.T) {
	middleware.Keep(t.Context())()
	h, _ := behindLimits(t, middleware.Config{}, five)
	wantStatus(t, h, call{}.doing(func(r *http.Request) { middleware.Keep(r.Context())() }), http.StatusOK)
}

// TestKeepNested: Keep is for all middlewares.
func TestKeepNested(t *testing.T) {
	outer, inner := newLimiter(t, ratelimit.AtOnce(3), ratelimit.Config{}), newLimiter(t, ratelimit.AtOnce(2), ratelimit.Config{})
	h := middleware.Must(middleware.RateLimit(outer, middleware.Config{}))(middleware.Must(middleware.RateLimit(inner, middleware.Config{}))(working))
	var release func()
	wantStatus(t, h, call{}.doing(func(r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		release = middleware.Keep(ctx)
	}), http.StatusOK)
	wantHeld(t, outer, anyAddress, 1)
	wantHeld(t, inner, anyAddress, 1)
	release()
	wantHeld(t, outer, anyAddress, 0)
	wantHeld(t, inner, anyAddress, 0)
}

// TestKeepForHours: a place is renewed as long as it is kept.
func TestKeepForHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, l := behindLimits(t, middleware.Config{}, ratelimit.AtOnce(1))
		var release func()
		wantStatus(t, h, call{}.doing(func(r *http.Request) { release = middleware.Keep(r.Context()) }), http.StatusOK)
		for range 4 {
			time.Sleep(time.Hour)
			wantStatus(t, h, call{}, http.StatusTooManyRequests)
		}
		release()
		wantStatus(t, h, call{}, http.StatusOK)
		l.Close()
	})
}

// placesOf waits until a key holds n places, for what a server does after a response.
func placesOf(t *testing.T, l *ratelimit.Limiter, key string, n int) {
	t.Helper()
	for range 1000 {
		r, err := l.Peek(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if r.State(0).Held == n {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("never %d places of %s", n, key)
}

// TestServerHijackKeepsItsPlace: a WebSocket keeps its place until the goroutine that serves
// it has ended.
func TestServerHijackKeepsItsPlace(t *testing.T) {
	limiter := newLimiter(t, ratelimit.AtOnce(1), ratelimit.Config{})
	s := httptest.NewServer(middleware.Must(middleware.RateLimit(limiter, byKey))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		release := middleware.Keep(r.Context())
		go func() {
			defer release()
			defer conn.Close()
			fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
			rw.Flush()
			line, _ := rw.ReadString('\n')
			fmt.Fprint(rw, line)
			rw.Flush()
		}()
	})))
	defer s.Close()
	for range 3 {
		conn := dial(t, s)
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nX-API-Key: k\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
		r := bufio.NewReader(conn)
		if line, err := r.ReadString('\n'); err != nil || line != "HTTP/1.1 101 Switching Protocols\r\n" {
			t.Fatalf("%q, %v", line, err)
		}
		get(t, s, "GET", "k", http.StatusTooManyRequests)
		fmt.Fprintln(conn, "bye")
		if _, err := io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
		placesOf(t, limiter, "k", 0)
	}
}

// TestServerAbortedStream: the place of a stream is free when the client has disconnected and
// its handler has seen that.
func TestServerAbortedStream(t *testing.T) {
	limiter := newLimiter(t, ratelimit.AtOnce(1), ratelimit.Config{})
	protocols(t, middleware.Must(middleware.RateLimit(limiter, byKey))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for r.Context().Err() == nil {
			fmt.Fprint(w, "data: 1\n\n")
			if err := http.NewResponseController(w).Flush(); err != nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	})), func(t *testing.T, s *httptest.Server) {
		for range 3 {
			ctx, cancel := context.WithCancel(t.Context())
			r, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
			r.Header.Set("X-API-Key", "k")
			response, err := s.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(response.Body, make([]byte, 9)); err != nil {
				t.Error(err)
			}
			get(t, s, "GET", "k", http.StatusTooManyRequests)
			cancel()
			response.Body.Close()
			placesOf(t, limiter, "k", 0)
		}
	})
}

// TestServerNextRequestFindsAPlace: a client that has read a response finds the place free.
func TestServerNextRequestFindsAPlace(t *testing.T) {
	protocols(t, limited(t, ratelimit.AtOnce(1), hello), func(t *testing.T, s *httptest.Server) {
		for range 100 {
			get(t, s, "GET", "k", http.StatusOK)
		}
	})
}
