package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/transport"
	"github.com/keyrate/keyrate/ratelimit"
)

// These tests are named after faults that were found in use and under attack.

// TestObservePanics: a hook that panics costs no call, and no other event.
func TestObservePanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := 0
		s := &script{answers: []answer{refusal("Retry-After: 1"), ok, refusal("Retry-After: 90"), refusal("Retry-After: 90")}}
		tr := mustNew(t, s, transport.Config{Observe: func(context.Context, transport.Event) {
			told++
			panic("a hook")
		}})
		for _, want := range []int{200, 429} {
			if status, _ := do(t, tr, request(t, "https://api.example.com/")); status != want {
				t.Errorf("status %d, want %d", status, want)
			}
		}
		if _, late := errors.AsType[*transport.WaitError](errorOf(t, tr, request(t, "https://api.example.com/"))); !late {
			t.Error("want a WaitError")
		}
		if told != 7 {
			t.Errorf("%d events, want 7", told)
		}
	})
}

// TestKeyPanics: the credentials count, as if there were no Key.
func TestKeyPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []answer{{status: 200, header: headers(`RateLimit-Policy: "default";q=1;w=10`, `RateLimit: "default";r=0;t=10`)}}}
		tr := mustNew(t, s, transport.Config{Key: func(*http.Request) string { panic("a key") }})
		for _, key := range []string{"a", "a", "b"} {
			r := request(t, "https://api.example.com/")
			r.Header.Set("X-Api-Key", key)
			do(t, tr, r)
		}
		if len(s.times) != 3 || !near(s.times[1], 10*time.Second) || s.times[2] != s.times[1] {
			t.Errorf("sent at %v", s.times)
		}
	})
}

// TestBaseBreaksItsContract: whatever base returns, the caller gets a response with a
// body, or an error; what is dropped is closed, and the next request is sent.
func TestBaseBreaksItsContract(t *testing.T) {
	reset := errors.New("the connection was reset")
	for _, c := range []struct {
		name   string
		status int // 0: no response
		noBody bool
		err    error
		want   int // the status, or 0 for an error
		sent   int
	}{
		{"nothing at all", 0, false, nil, 0, 1},
		{"both", 200, false, reset, 0, 1},
		{"a refusal and an error", 429, false, reset, 0, 1},
		{"an error, and a response without a body", 200, true, reset, 0, 1},
		{"no body", 200, true, nil, 200, 1},
		{"refusals without a body", 429, true, nil, 429, 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sent := 0
				body := &trackedBody{Reader: strings.NewReader("hello\n")}
				tr := mustNew(t, roundTripper(func(r *http.Request) (*http.Response, error) {
					_ = r.Body.Close()
					sent++
					if c.status == 0 {
						return nil, c.err
					}
					response := &http.Response{StatusCode: c.status, Body: body, Request: r}
					if c.noBody {
						response.Body = nil
					}
					return response, c.err
				}), transport.Config{})
				for range 2 {
					sent = 0
					began := time.Now()
					response, err := tr.RoundTrip(request(t, "https://api.example.com/"))
					switch {
					case (response == nil) == (err == nil):
						t.Fatalf("response %v, error %v", response, err)
					case c.want == 0 && (response != nil || c.err != nil && !errors.Is(err, c.err)):
						t.Errorf("response %v, error %v", response, err)
					case c.want != 0 && (err != nil || response.StatusCode != c.want):
						t.Errorf("response %v, error %v", response, err)
					case response != nil:
						if _, err := io.ReadAll(response.Body); err != nil {
							t.Error(err)
						}
						_ = response.Body.Close()
					}
					if c.want == 0 && c.status != 0 && !c.noBody && body.closed.Load() == 0 {
						t.Error("a response was dropped and its body is open")
					}
					if sent != c.sent || c.status != 429 && time.Since(began) > 0 {
						t.Errorf("sent %d times in %v, want %d", sent, time.Since(began), c.sent)
					}
					time.Sleep(time.Minute)
				}
			})
		})
	}
}

// TestBasePanics: the panic is the caller's, the bodies are closed, and the next
// request need not wait.
func TestBasePanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := &trackedBody{Reader: io.LimitReader(endless{}, 1<<20)}
		attempts := 0
		tr := mustNew(t, roundTripper(func(r *http.Request) (*http.Response, error) {
			defer func() { _ = r.Body.Close() }()
			if attempts++; attempts == 1 {
				return &http.Response{StatusCode: http.StatusTooManyRequests, Body: refused, Header: headers("Retry-After: 1"), Request: r}, nil
			}
			panic("a base")
		}), transport.Config{})
		body := &trackedBody{Reader: strings.NewReader("hello")}
		r := request(t, "https://api.example.com/")
		r.Body = body
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was hidden")
				}
			}()
			t.Error("want a panic, and not", errorOf(t, tr, r))
		}()
		if body.closed.Load() == 0 || refused.closed.Load() == 0 {
			t.Error("a body is open")
		}
		if attempts != 2 {
			t.Errorf("%d attempts", attempts)
		}
	})
}

// An endless reader is that.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// A stalled body does not end until it is closed.
type stalled struct {
	closed chan struct{}
	n      atomic.Int32
}

func (s *stalled) Read([]byte) (int, error) {
	<-s.closed
	return 0, errors.New("read on a closed body")
}

func (s *stalled) Close() error {
	if s.n.Add(1) == 1 {
		close(s.closed)
	}
	return nil
}

// TestRefusalIsSlow: a refusal whose body does not come keeps nobody for longer than
// there is time.
func TestRefusalIsSlow(t *testing.T) {
	for _, c := range []struct {
		name    string
		maxWait time.Duration
		cancel  time.Duration // the context, then
		limit   time.Duration // the context's deadline
		within  time.Duration
	}{
		{"the cap", 100 * time.Millisecond, 0, 0, 100 * time.Millisecond},
		{"the context's deadline", 0, 0, 100 * time.Millisecond, 100 * time.Millisecond},
		{"the context's end", 0, 100 * time.Millisecond, 0, 100 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if c.limit > 0 {
					ctx, cancel = context.WithTimeout(ctx, c.limit)
					defer cancel()
				}
				if c.cancel > 0 {
					time.AfterFunc(c.cancel, cancel)
				}
				body := &stalled{closed: make(chan struct{})}
				tr := mustNew(t, roundTripper(func(r *http.Request) (*http.Response, error) {
					return &http.Response{StatusCode: http.StatusTooManyRequests, Body: body, Header: headers("Retry-After-Ms: 10"), Request: r}, nil
				}), transport.Config{MaxWait: c.maxWait})
				began := time.Now()
				response, err := tr.RoundTrip(request(t, "https://api.example.com/").WithContext(ctx))
				if took := time.Since(began); took > c.within {
					t.Errorf("took %v, want %v at most", took, c.within)
				}
				if err == nil {
					_ = response.Body.Close()
				}
				if body.n.Load() == 0 {
					t.Error("the body is open")
				}
			})
		})
	}
}

// TestSmallBurst: a server rounds its windows to whole seconds, so that for a bucket
// which is full again sooner it reports less than it admits, but for a parameter of its
// own. Nearly all of the limit is used, with hardly a refusal.
func TestSmallBurst(t *testing.T) {
	for _, c := range []struct {
		limit ratelimit.Limit
		used  float64 // of the limit, at least
	}{
		{ratelimit.PerSecond(5).WithBurst(1), 0.95},
		{ratelimit.PerSecond(3).WithBurst(1), 0.95},
		{ratelimit.PerSecond(20).WithBurst(1), 0.9},
		{ratelimit.PerSecond(100).WithBurst(1), 0.72}, // the way takes a fifth of a token's time
		{ratelimit.PerSecond(5).WithBurst(2), 0.95},
		{ratelimit.PerSecond(20).WithBurst(2), 0.92},
		{ratelimit.PerSecond(5).WithBurst(3), 0.95},
		{ratelimit.PerSecond(20).WithBurst(3), 0.95},
		{ratelimit.PerSecond(20).WithBurst(5), 0.95},
		{ratelimit.PerSecond(100).WithBurst(10), 0.95},
		{ratelimit.PerSecond(5).WithBurst(6), 0.95},
		{ratelimit.PerSecond(5).WithBurst(11), 0.95},
	} {
		for _, workers := range []int{1, 20} {
			t.Run(fmt.Sprint(c.limit, " ", workers), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := network{keyrateServer(t, c.limit, middleware.Config{}), time.Millisecond, 3 * time.Millisecond}
					got := work(t, n, workers, time.Minute)
					t.Logf("%d finished, %d refused, %d errors", got.total(), got.refused, got.errors)
					if got.errors > 0 || float64(got.refused) > 0.01*float64(got.sent) {
						t.Errorf("%d of %d were refused, %d errors", got.refused, got.sent, got.errors)
					}
					if used := float64(got.total()) / float64(60*c.limit.Rate); used < c.used {
						t.Errorf("%.2f of the limit were used, want %.2f at least", used, c.used)
					}
				})
			})
		}
	}
}

// TestSmallBurstFarAway is TestSmallBurst over longer ways, of which the time is lost by
// which they differ.
func TestSmallBurstFarAway(t *testing.T) {
	for _, c := range []struct {
		limit       ratelimit.Limit
		least, most time.Duration
		used        float64
	}{
		{ratelimit.PerSecond(5).WithBurst(1), 5 * time.Millisecond, 15 * time.Millisecond, 0.9},
		{ratelimit.PerSecond(5).WithBurst(2), 5 * time.Millisecond, 15 * time.Millisecond, 0.95},
		{ratelimit.PerSecond(20).WithBurst(1), 5 * time.Millisecond, 15 * time.Millisecond, 0.7},
		{ratelimit.PerSecond(5).WithBurst(1), 80 * time.Millisecond, 120 * time.Millisecond, 0.7},
		{ratelimit.PerSecond(5).WithBurst(1), 100 * time.Millisecond, 101 * time.Millisecond, 0.8},
		{ratelimit.PerSecond(5).WithBurst(2), 80 * time.Millisecond, 120 * time.Millisecond, 0.9},
	} {
		t.Run(fmt.Sprint(c.limit, " ", c.most), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := work(t, network{keyrateServer(t, c.limit, middleware.Config{}), c.least, c.most}, 20, 2*time.Minute)
				used := float64(got.total()) / float64(120*c.limit.Rate)
				t.Logf("%d finished (%.0f %%), %d refused, %d errors", got.total(), 100*used, got.refused, got.errors)
				if got.errors > 0 || float64(got.refused) > 0.01*float64(got.sent) || used < c.used {
					t.Errorf("want no errors, at most a hundredth refused, and %g of the limit", c.used)
				}
			})
		})
	}
}

// TestNoFasterThanTold: windows that are as they are told are kept to, also small ones,
// where what remains looks like a bucket for a while.
func TestNoFasterThanTold(t *testing.T) {
	tell := func(h http.Header, quota, remaining int, ends time.Time, refused bool) {
		h.Set("RateLimit-Policy", fmt.Sprintf(`"default";q=%d;w=1`, quota))
		h.Set("RateLimit", fmt.Sprintf(`"default";r=%d;t=1`, remaining))
		if refused {
			h.Set("Retry-After", "1")
		}
	}
	for quota := 1; quota <= 4; quota++ {
		synctest.Test(t, func(t *testing.T) {
			n := network{&windowServer{quota: quota, window: time.Second, status: 429, tell: tell}, time.Millisecond, 3 * time.Millisecond}
			got := work(t, n, 20, time.Minute)
			t.Logf("%d a second: %d finished, %d refused, %d errors", quota, got.total(), got.refused, got.errors)
			if got.errors > 0 || float64(got.refused) > 0.02*float64(got.sent) || got.total() < 40*quota {
				t.Errorf("%d a second: %d finished, %d of %d refused, %d errors", quota, got.total(), got.refused, got.sent, got.errors)
			}
		})
	}
}

// TestRemainingIsWrong: of a server that always tells the same, callers who go faster
// are hardly refused.
func TestRemainingIsWrong(t *testing.T) {
	for quota := 2; quota <= 3; quota++ {
		synctest.Test(t, func(t *testing.T) {
			server := telling(t, ratelimit.PerSecond(quota), func(h http.Header, r ratelimit.Result) {
				h.Set("RateLimit-Policy", fmt.Sprintf(`"default";q=%d;w=1`, quota))
				h.Set("RateLimit", fmt.Sprintf(`"default";r=%d;t=1`, quota-1))
				tellRetryAfter(h, r)
			})
			got := work(t, network{server, time.Millisecond, 3 * time.Millisecond}, 20, 5*time.Minute)
			t.Logf("%d a second: %d finished, %d of %d refused, %d errors", quota, got.total(), got.refused, got.sent, got.errors)
			if got.errors > 0 || float64(got.refused) > 0.02*float64(got.sent) {
				t.Error("want no errors, and at most a fiftieth refused")
			}
		})
	}
}

// TestTwoProcessesFindTheRate: two processes share a limit of which they are not told
// the rate, and neither slows down more and more since the other takes what comes
// back.
func TestTwoProcessesFindTheRate(t *testing.T) {
	for name, server := range map[string]func() http.Handler{
		"what remains": func() http.Handler { return telling(t, ratelimit.PerSecond(5), tellRemaining) },
		"OpenAI":       func() http.Handler { return telling(t, ratelimit.PerSecond(5), tellOpenAI) },
		"GitHub": func() http.Handler {
			return &windowServer{quota: 300, window: time.Minute, status: http.StatusForbidden, tell: tellGitHub}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := workIn(t, 2, network{server(), 5 * time.Millisecond, 15 * time.Millisecond}, 20, 5*time.Minute)
				t.Logf("%d finished, %d sent, %d refused, %d errors", got.total(), got.sent, got.refused, got.errors)
				if got.errors > 0 || got.total() < 1425 || got.refused > got.sent/50 {
					t.Error("want no errors, at least 1425 finished, and at most a fiftieth refused")
				}
			})
		})
	}
}

// TestJitterCostsNoDeadline: what is added to a wait, so that processes do not fall
// into step, does not make it too long for a request that has the time it was told.
func TestJitterCostsNoDeadline(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			s := &script{answers: []answer{refusal("Retry-After: 10"), ok}}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second+20*time.Millisecond)
			defer cancel()
			if status, _ := do(t, mustNew(t, s, transport.Config{}), request(t, "https://api.example.com/").WithContext(ctx)); status != http.StatusOK {
				t.Errorf("status %d", status)
			}
		})
	}
}
