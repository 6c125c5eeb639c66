package transport_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware/transport"
)

// denying returns a response with a status that may be a denial.
func denying(status int, lines ...string) answer {
	return answer{status: status, header: headers(lines...), body: "denied\n"}
}

// linear denies by status 400 and what remains, as Linear does.
func linear(r *http.Response) (time.Duration, bool) {
	return 0, r.StatusCode == http.StatusBadRequest && r.Header.Get("X-RateLimit-Requests-Remaining") == "0"
}

// TestDenied checks which responses are denials, and for how long.
func TestDenied(t *testing.T) {
	const s = time.Second
	// A bubble begins at 946684800.
	reset30 := "X-RateLimit-Reset: " + strconv.Itoa(946684800+30)
	own := func(wait time.Duration, status int) transport.Config {
		return transport.Config{Denied: func(r *http.Response) (time.Duration, bool) { return wait, r.StatusCode == status }}
	}
	for _, c := range []struct {
		name   string
		config transport.Config
		first  []answer // then it is served
		status int
		times  []time.Duration // when it was sent
	}{
		{"403 with a wait", transport.Config{}, []answer{denying(403, "Retry-After: 3")}, 200, []time.Duration{0, 3 * s}},
		{"418 with a wait", transport.Config{}, []answer{denying(418, "Retry-After: 3")}, 200, []time.Duration{0, 3 * s}},
		{"430 with a wait", transport.Config{}, []answer{denying(430, "Retry-After: 3")}, 200, []time.Duration{0, 3 * s}},
		{"503 with a wait", transport.Config{}, []answer{denying(503, "Retry-After: 3")}, 200, []time.Duration{0, 3 * s}},
		{"529 with a wait", transport.Config{}, []answer{denying(529, "Retry-After: 3")}, 200, []time.Duration{0, 3 * s}},
		{"403 without", transport.Config{}, []answer{denying(403)}, 403, []time.Duration{0}},
		{"403 without, with limits", transport.Config{}, []answer{denying(403, "X-RateLimit-Limit: 60", "X-RateLimit-Remaining: 59", reset30)}, 403, []time.Duration{0}},
		{"418 without", transport.Config{}, []answer{denying(418)}, 418, []time.Duration{0}},
		{"430 without", transport.Config{}, []answer{denying(430)}, 430, []time.Duration{0}},
		{"529 without", transport.Config{}, []answer{denying(529)}, 529, []time.Duration{0}},
		{"other statuses with a wait", transport.Config{}, []answer{denying(500, "Retry-After: 3")}, 500, []time.Duration{0}},
		{"a success with a wait", transport.Config{}, []answer{denying(202, "Retry-After: 3")}, 202, []time.Duration{0}},

		{"429 that wants no other attempt", transport.Config{}, []answer{denying(429, "Retry-After: 3", "x-should-retry: false")}, 429, []time.Duration{0}},
		{"429 that wants one", transport.Config{}, []answer{denying(429, "Retry-After: 3", "x-should-retry: true")}, 200, []time.Duration{0, 3 * s}},
		{"503 that wants no other attempt", transport.Config{}, []answer{denying(503, "Retry-After: 3", "x-should-retry: False")}, 503, []time.Duration{0}},
		{"the second wants none", transport.Config{}, []answer{denying(429, "Retry-After: 3"), denying(429, "Retry-After: 3", "x-should-retry: false")}, 429, []time.Duration{0, 3 * s}},

		{"as asked, with a limit without a quota", transport.Config{}, []answer{
			denying(429, "X-MinLimit-Remaining: 0", "X-DayLimit-Remaining: 4000", "X-Rate-Limit-Problem: minute", "Retry-After: 21"),
		}, 200, []time.Duration{0, 21 * s}},
		{"as asked, twice", transport.Config{}, []answer{
			denying(429, "X-MinLimit-Remaining: 0", "Retry-After: 5"), denying(429, "X-MinLimit-Remaining: 0", "Retry-After: 12"),
		}, 200, []time.Duration{0, 5 * s, 17 * s}},
		{"as asked, with nothing but that none remain", transport.Config{}, []answer{denying(429, "X-RateLimit-Remaining: 0", "Retry-After-Ms: 300")}, 200, []time.Duration{0, 300 * time.Millisecond}},
		{"as asked, with a window without a limit", transport.Config{}, []answer{
			denying(429, "X-RateLimit-Window: 3600", "X-RateLimit-Remaining: 0", "Retry-After: 7"),
		}, 200, []time.Duration{0, 7 * s}},
		{"another limit is used up, which is not reported", transport.Config{}, []answer{
			denying(429, "X-RateLimit-Limit: 1800", "X-RateLimit-Remaining: 799", reset30),
			denying(429, "X-RateLimit-Limit: 1800", "X-RateLimit-Remaining: 799", reset30),
		}, 200, []time.Duration{0, s, 30 * s}},
		{"and its window is too long to wait for", transport.Config{MaxRetries: 3}, []answer{
			denying(429, "X-RateLimit-Limit: 5000", "X-RateLimit-Remaining: 799", "X-RateLimit-Reset: 3000"),
			denying(429, "X-RateLimit-Limit: 5000", "X-RateLimit-Remaining: 799", "X-RateLimit-Reset: 3000"),
			denying(429, "X-RateLimit-Limit: 5000", "X-RateLimit-Remaining: 799", "X-RateLimit-Reset: 3000"),
		}, 200, []time.Duration{0, s, 3 * s, 7 * s}},
		{"a window in the words of a bucket", transport.Config{}, []answer{
			denying(429, "anthropic-ratelimit-requests-limit: 50", "anthropic-ratelimit-requests-remaining: 0", "anthropic-ratelimit-requests-reset: 2000-01-01T00:00:30Z"),
			denying(429, "anthropic-ratelimit-requests-limit: 50", "anthropic-ratelimit-requests-remaining: 0", "anthropic-ratelimit-requests-reset: 2000-01-01T00:00:30Z"),
		}, 200, []time.Duration{0, 2 * 600 * time.Millisecond, 30 * s}}, // one token is spared
		{"a window in OpenAI's words", transport.Config{}, []answer{
			denying(429, "X-RateLimit-Limit-Requests: 10", "X-RateLimit-Remaining-Requests: 0", "X-RateLimit-Reset-Requests: 40s"),
			denying(429, "X-RateLimit-Limit-Requests: 10", "X-RateLimit-Remaining-Requests: 0", "X-RateLimit-Reset-Requests: 36s"),
		}, 200, []time.Duration{0, 4 * s, 40 * s}},
		{"tokens, in the words of a bucket", transport.Config{}, []answer{
			denying(429, "X-RateLimit-Limit-Tokens: 10", "X-RateLimit-Remaining-Tokens: 0", "X-RateLimit-Reset-Tokens: 40s"),
			denying(429, "X-RateLimit-Limit-Tokens: 10", "X-RateLimit-Remaining-Tokens: 0", "X-RateLimit-Reset-Tokens: 36s"),
		}, 200, []time.Duration{0, 4 * s, 40 * s}},
		{"a bucket, never less than a second", transport.Config{}, []answer{
			denying(429, "X-RateLimit-Limit-Requests: 100", "X-RateLimit-Remaining-Requests: 0", "X-RateLimit-Reset-Requests: 10s"),
		}, 200, []time.Duration{0, s}},

		{"Denied says so", own(3*s, 400), []answer{denying(400)}, 200, []time.Duration{0, 3 * s}},
		{"Denied says so of a success", own(3*s, 202), []answer{denying(202)}, 200, []time.Duration{0, 3 * s}},
		{"Denied says so, and the response how long", own(0, 400), []answer{denying(400, "Retry-After: 7")}, 200, []time.Duration{0, 7 * s}},
		{"Denied says so, without a wait", own(0, 400), []answer{denying(400), denying(400)}, 200, []time.Duration{0, s, 3 * s}},
		{"Denied knows better", own(5*s, 429), []answer{denying(429, "Retry-After: 50")}, 200, []time.Duration{0, 5 * s}},
		{"Denied says nothing", own(3*s, 400), []answer{denying(429, "Retry-After: 2")}, 200, []time.Duration{0, 2 * s}},
		{"Denied asks for too long", own(2*time.Minute, 400), []answer{denying(400)}, 400, []time.Duration{0}},
		{"Denied asks for less than nothing", own(-3*s, 400), []answer{denying(400)}, 200, []time.Duration{0, s}},
		{"Denied panics", transport.Config{Denied: func(*http.Response) (time.Duration, bool) { panic("a hook") }}, []answer{denying(429, "Retry-After: 2"), denying(400)}, 400, []time.Duration{0, 2 * s}},
		{"Linear", transport.Config{Denied: linear}, []answer{denying(400, "X-RateLimit-Requests-Remaining: 0", "Retry-After: 4")}, 200, []time.Duration{0, 4 * s}},
		{"Linear, until its reset", transport.Config{Denied: linear}, []answer{
			denying(400, "X-RateLimit-Requests-Limit: 1200", "X-RateLimit-Requests-Remaining: 0", "X-RateLimit-Requests-Reset: 946684820000"),
		}, 200, []time.Duration{0, 20 * s}},
		{"Linear, a request that is wrong", transport.Config{Denied: linear}, []answer{denying(400, "X-RateLimit-Requests-Remaining: 5")}, 400, []time.Duration{0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{answers: append(slices.Clone(c.first), ok)}
				if status, _ := do(t, mustNew(t, s, c.config), request(t, "https://api.example.com/")); status != c.status {
					t.Errorf("status %d, want %d", status, c.status)
				}
				if !slices.EqualFunc(s.times, c.times, near) {
					t.Errorf("sent at %v, want %v", s.times, c.times)
				}
			})
		})
	}
}

// TestDeniedIsSentAgain checks that a request is sent again after Config.Denied reports
// a denial, also if it is not idempotent; after an overload it is not.
func TestDeniedIsSentAgain(t *testing.T) {
	for status, want := range map[int]int{400: 2, 418: 2, 430: 2, 503: 1, 529: 1} {
		synctest.Test(t, func(t *testing.T) {
			s := &script{answers: []answer{denying(status, "Retry-After: 1"), ok}}
			r := request(t, "https://api.example.com/")
			r.Method = http.MethodPost
			do(t, mustNew(t, s, transport.Config{Denied: func(r *http.Response) (time.Duration, bool) { return 0, r.StatusCode == http.StatusBadRequest }}), r)
			if len(s.times) != want {
				t.Errorf("%d: sent %d times, want %d", status, len(s.times), want)
			}
		})
	}
}

// TestLastAttempt checks that x-should-retry: false ends one request, and that the wait
// holds for the others.
func TestLastAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []answer{denying(429, "Retry-After: 10", "x-should-retry: false"), ok}}
		tr := mustNew(t, s, transport.Config{})
		if status, body := do(t, tr, request(t, "https://api.example.com/")); status != 429 || !strings.HasPrefix(body, "denied") {
			t.Errorf("%d %q", status, body)
		}
		if status, _ := do(t, tr, request(t, "https://api.example.com/")); status != 200 || !near(s.times[1], 10*time.Second) {
			t.Errorf("%d, sent at %v", status, s.times)
		}
	})
}

// TestLimitOfZeroSaysNoWait checks that a denial with a limit of 0 backs off as if no
// limit were reported.
func TestLimitOfZeroSaysNoWait(t *testing.T) {
	for _, lines := range [][]string{
		{"X-Rate-Limit-Limit: 0", "X-Rate-Limit-Remaining: 0", "X-Rate-Limit-Reset: 30"},
		{"RateLimit: limit=0, remaining=0, reset=30"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &script{answers: []answer{denial(lines...), denial(lines...), ok}}
			if status, _ := do(t, mustNew(t, s, transport.Config{}), request(t, "https://api.example.com/")); status != 200 {
				t.Errorf("%q: status %d", lines, status)
			}
			if len(s.times) != 3 || !near(s.times[1], time.Second) || !near(s.times[2], 3*time.Second) {
				t.Errorf("%q: sent at %v, want the waits to begin with a second", lines, s.times)
			}
		})
	}
}

// A stalled is a body that blocks until it is closed.
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

// TestSlowDenial checks that a denial whose body does not arrive delays its caller no
// longer than there is time.
func TestSlowDenial(t *testing.T) {
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

// TestDenialIsKept checks that the caller of a denied request gets the denial with its
// body if the request cannot wait again.
func TestDenialIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		long := strings.Repeat("denied\n", 20_000)
		first := denial("Retry-After: 2")
		first.body = long
		s := &script{answers: []answer{first, denial("Retry-After: 60"), ok}}
		tr := mustNew(t, s, transport.Config{MaxWait: 3 * time.Second})
		var wg sync.WaitGroup
		wg.Go(func() {
			if status, body := do(t, tr, request(t, "https://api.example.com/")); status != 429 || body != "denied\n" {
				t.Errorf("status %d with %d bytes", status, len(body))
			}
		})
		wg.Wait()
		s.answers = []answer{first, ok}
		time.Sleep(time.Minute)
		if status, _ := do(t, tr, request(t, "https://api.example.com/")); status != 200 {
			t.Errorf("status %d", status)
		}
	})
}
