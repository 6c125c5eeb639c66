package transport_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/transport"
	"github.com/keyrate/keyrate/ratelimit"
)

// TestJitterCostsNoDeadline checks that jitter does not make a wait too long for a
// request that has just enough time for it.
func TestJitterCostsNoDeadline(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			s := &script{answers: []answer{denial("Retry-After: 10"), ok}}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second+20*time.Millisecond)
			defer cancel()
			if status, _ := do(t, mustNew(t, s, transport.Config{}), request(t, "https://api.example.com/").WithContext(ctx)); status != http.StatusOK {
				t.Errorf("status %d", status)
			}
		})
	}
}

// TestGuessCostsNoCall checks that no request fails because of a rate that is a guess,
// if the limit resets in time.
func TestGuessCostsNoCall(t *testing.T) {
	for _, reset := range []int{45, 50, 59} {
		synctest.Test(t, func(t *testing.T) {
			with := func(remaining, reset int, takes time.Duration) answer {
				return answer{status: http.StatusOK, takes: takes, header: headers(
					"X-RateLimit-Limit: 300", "X-RateLimit-Remaining: "+strconv.Itoa(remaining), "X-RateLimit-Reset: "+strconv.Itoa(reset))}
			}
			s := new(script)
			for i := range 8 { // it seems to be a bucket, with 3 tokens in 5 seconds
				s.answers = append(s.answers, with(2+2*i, reset-5*i, time.Millisecond))
			}
			s.answers = append(s.answers, with(290, reset-40, time.Second))
			tr := mustNew(t, s, transport.Config{})
			for range 8 {
				do(t, tr, request(t, "https://api.example.com/"))
				time.Sleep(5*time.Second - time.Millisecond)
			}
			var wg sync.WaitGroup
			for range 100 {
				wg.Go(func() {
					if err := errorOf(t, tr, request(t, "https://api.example.com/")); err != nil {
						t.Errorf("reset in %d s: %v", reset, err)
					}
				})
			}
			wg.Wait()
		})
	}
}

// TestManyGiveUp checks that requests whose contexts end leave no place in the queue,
// no timer and no goroutine behind, and that the others use all of the limit.
func TestManyGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := network{keyrateServer(t, ratelimit.PerSecond(5), middleware.Config{}), 5 * time.Millisecond, 15 * time.Millisecond}
		tr := mustNew(t, roundTripper(func(r *http.Request) (*http.Response, error) {
			response, err := n.RoundTrip(r)
			if r.Context().Err() != nil { // as a base does
				return nil, r.Context().Err()
			}
			return response, err
		}), transport.Config{})
		var served, gaveUp atomic.Int32
		var wg sync.WaitGroup
		end := time.Now().Add(time.Minute)
		for i := range 50 {
			wg.Go(func() {
				for time.Now().Before(end) {
					ctx, cancel := context.WithCancel(t.Context())
					if i >= 5 { // five are patient
						time.AfterFunc(rand.N(time.Second), cancel)
					}
					began := time.Now()
					response, err := tr.RoundTrip(request(t, "https://api.example.com/").WithContext(ctx))
					switch {
					case err == nil:
						_ = response.Body.Close()
						served.Add(1)
					case i < 5 || !errors.Is(err, context.Canceled):
						t.Error(err)
					case time.Since(began) > 1050*time.Millisecond:
						t.Errorf("gave up after %v", time.Since(began))
					default:
						gaveUp.Add(1)
					}
					cancel()
				}
			})
		}
		wg.Wait()
		synctest.Wait() // a goroutine that is left would keep the bubble from ending
		t.Logf("%d served, %d gave up", served.Load(), gaveUp.Load())
		if served.Load() < 250 || gaveUp.Load() == 0 {
			t.Errorf("%d served, %d gave up; want 250 served at least", served.Load(), gaveUp.Load())
		}
	})
}

// TestPatientIsServed checks that a request is served in turn, however many come after
// it and give up.
func TestPatientIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := network{keyrateServer(t, ratelimit.PerSecond(5), middleware.Config{}), time.Millisecond, time.Millisecond}
		tr := mustNew(t, n, transport.Config{})
		for range 10 {
			do(t, tr, request(t, "https://api.example.com/"))
		}
		var wg sync.WaitGroup
		stop := make(chan struct{})
		for range 20 {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
					response, err := tr.RoundTrip(request(t, "https://api.example.com/").WithContext(ctx))
					cancel()
					if err == nil {
						_ = response.Body.Close()
					}
					time.Sleep(10 * time.Millisecond)
				}
			})
		}
		for range 20 {
			began := time.Now()
			do(t, tr, request(t, "https://api.example.com/"))
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("took %v", took)
			}
		}
		close(stop)
		wg.Wait()
	})
}

// TestFirstGoesAlone checks that requests wait for the response to the first one.
func TestFirstGoesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := ok
		slow.takes = 300 * time.Millisecond
		s := &script{answers: []answer{slow}}
		tr := mustNew(t, s, transport.Config{})
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() { do(t, tr, request(t, "https://api.example.com/")) })
		}
		wg.Wait()
		want := []time.Duration{0, slow.takes, slow.takes, slow.takes, slow.takes}
		if !slices.Equal(s.times, want) {
			t.Errorf("sent at %v, want %v", s.times, want)
		}
	})
}

// TestFirstIsSlow checks that a slow response delays the next request for one second at
// most.
func TestFirstIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := ok
		slow.takes = 2500 * time.Millisecond
		s := &script{answers: []answer{slow}}
		tr := mustNew(t, s, transport.Config{})
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() { do(t, tr, request(t, "https://api.example.com/")) })
		}
		wg.Wait()
		want := []time.Duration{0, time.Second, 2 * time.Second, slow.takes, slow.takes}
		if !slices.Equal(s.times, want) {
			t.Errorf("sent at %v, want %v", s.times, want)
		}
	})
}

// TestFirstFails checks that an attempt without a response delays no other request.
func TestFirstFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []answer{{}, {}, ok}}
		tr := mustNew(t, s, transport.Config{})
		failed := 0
		for range 3 {
			if errorOf(t, tr, request(t, "https://api.example.com/")) != nil {
				failed++
			}
		}
		if failed != 2 || !slices.Equal(s.times, []time.Duration{0, 0, 0}) {
			t.Errorf("%d failed, sent at %v", failed, s.times)
		}
	})
}

// TestOrder checks that requests are sent in the order of their arrival, and that a
// denied one goes first.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []answer{ok, denial("Retry-After: 1"), ok}, never: true}
		var order []string
		var mu sync.Mutex
		tr := mustNew(t, roundTripper(func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			order = append(order, r.URL.Path)
			mu.Unlock()
			return s.RoundTrip(r)
		}), transport.Config{})
		do(t, tr, request(t, "https://api.example.com/first"))
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() { do(t, tr, request(t, fmt.Sprintf("https://api.example.com/%d", i))) })
			synctest.Wait()
		}
		wg.Wait()
		if want := []string{"/first", "/0", "/0", "/1", "/2", "/3"}; !slices.Equal(order, want) {
			t.Errorf("sent %q, want %q", order, want)
		}
	})
}

// TestCancelled checks that a request whose context ends is not sent, and that the next
// one takes its place.
func TestCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []answer{{status: 200, header: headers(`RateLimit-Policy: "default";q=1;w=10`, `RateLimit: "default";r=0;t=10`)}}}
		tr := mustNew(t, s, transport.Config{})
		do(t, tr, request(t, "https://api.example.com/"))
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			began := time.Now()
			if err := errorOf(t, tr, request(t, "https://api.example.com/").WithContext(ctx)); !errors.Is(err, context.Canceled) || time.Since(began) != time.Second {
				t.Errorf("%v after %v", err, time.Since(began))
			}
		})
		synctest.Wait()
		wg.Go(func() { do(t, tr, request(t, "https://api.example.com/")) })
		time.Sleep(time.Second)
		cancel()
		wg.Wait()
		if len(s.times) != 2 || !near(s.times[1], 10*time.Second) {
			t.Errorf("sent at %v, want one more after 10s", s.times)
		}
	})
}

// TestDeadline checks that a request that cannot be sent before its deadline fails at
// once.
func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []answer{{status: 200, header: headers(`RateLimit-Policy: "default";q=1;w=10`, `RateLimit: "default";r=0;t=10`)}, denial("Retry-After: 10")}}
		tr := mustNew(t, s, transport.Config{})
		do(t, tr, request(t, "https://api.example.com/"))
		ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		began := time.Now()
		err := errorOf(t, tr, request(t, "https://api.example.com/").WithContext(ctx))
		w, found := errors.AsType[*transport.WaitError](err)
		timeout, isNet := errors.AsType[net.Error](err)
		if !found || !near(w.Wait, 10*time.Second) || w.Left != 9*time.Second || !errors.Is(err, context.DeadlineExceeded) || !isNet || !timeout.Timeout() || time.Since(began) > 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		// A request that was sent and denied gets the denial, at once.
		time.Sleep(11 * time.Second)
		ctx, cancel = context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		began = time.Now()
		if status, body := do(t, tr, request(t, "https://api.example.com/").WithContext(ctx)); status != 429 || body != "denied\n" || time.Since(began) > 0 {
			t.Errorf("status %d with %q after %v", status, body, time.Since(began))
		}
	})
}

// TestQueueTooLong checks that a request fails at once if the queue before it takes
// longer than MaxWait.
func TestQueueTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := mustNew(t, network{handler: keyrateServer(t, ratelimit.PerSecond(5), middleware.Config{})}, transport.Config{MaxWait: 4 * time.Second})
		do(t, tr, request(t, "https://api.example.com/"))
		var wg sync.WaitGroup
		var sent, failed atomic.Int32
		for range 100 {
			wg.Go(func() {
				began := time.Now()
				err := errorOf(t, tr, request(t, "https://api.example.com/"))
				w, late := errors.AsType[*transport.WaitError](err)
				switch {
				case err == nil:
					sent.Add(1)
				case !late || w.Deadline || time.Since(began) > 4*time.Second || !strings.Contains(err.Error(), "Config.MaxWait leaves"):
					t.Errorf("%v after %v", err, time.Since(began))
				default:
					failed.Add(1)
				}
			})
		}
		wg.Wait()
		if sent.Load() < 20 || sent.Load()+failed.Load() != 100 {
			t.Errorf("%d sent, %d failed", sent.Load(), failed.Load())
		}
	})
}
