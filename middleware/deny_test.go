package middleware_test

import (
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// TestDeniedCannotTurnInto200: a Denied that gets ready to answer and then does not,
// or answers with what is no status, is as good as none. The server would make a
// 200 of it.
func TestDeniedCannotTurnInto200(t *testing.T) {
	prepare := func(w http.ResponseWriter) {
		c, soon := http.NewResponseController(w), time.Now().Add(time.Minute)
		if err := errors.Join(c.SetReadDeadline(soon), c.SetWriteDeadline(soon), c.EnableFullDuplex()); err != nil {
			t.Error(err)
		}
	}
	for name, denied := range map[string]func(http.ResponseWriter){
		"prepares and returns": prepare,
		"prepares and panics":  func(w http.ResponseWriter) { prepare(w); panic("no") },
		"a status too large":   func(w http.ResponseWriter) { w.WriteHeader(4290) },
		"a status of 0":        func(w http.ResponseWriter) { w.WriteHeader(0) },
		"clears the headers":   func(w http.ResponseWriter) { clear(w.Header()) },
		"announces another body": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "1")
			w.Header().Set("Transfer-Encoding", "gzip")
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := middleware.Must(middleware.RateLimit(exhausted(t), quiet(middleware.Config{
				Key: byKey.Key, Denied: func(w http.ResponseWriter, _ *http.Request, _ ratelimit.Result) { denied(w) },
			})))(hello)
			protocols(t, h, func(t *testing.T, s *httptest.Server) {
				header, _, body := get(t, s, http.MethodGet, "k", http.StatusTooManyRequests)
				if header.Get(middleware.HeaderRetryAfter) == "" || !strings.HasPrefix(body, "{") || !strings.HasSuffix(body, "}\n") {
					t.Errorf("headers %v, body %q; want the default answer", header, body)
				}
			})
		})
	}
}

// exhausted returns a limiter that has nothing left for the key k.
func exhausted(t *testing.T) *ratelimit.Limiter {
	t.Helper()
	limiter := newLimiter(t, ratelimit.PerHour(1), ratelimit.Config{})
	if r, err := limiter.Allow(t.Context(), "k"); err != nil || !r.Allowed {
		t.Fatalf("%+v, %v", r, err)
	}
	return limiter
}

// TestDeniedAborts: an answer that Denied gives up in the middle does not look like
// a whole one to the caller.
func TestDeniedAborts(t *testing.T) {
	h := middleware.Must(middleware.RateLimit(exhausted(t), quiet(middleware.Config{
		Key: byKey.Key,
		Denied: func(w http.ResponseWriter, _ *http.Request, _ ratelimit.Result) {
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = io.WriteString(w, "half")
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			panic(http.ErrAbortHandler)
		},
	})))(hello)
	protocols(t, h, func(t *testing.T, s *httptest.Server) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-API-Key", "k")
		response, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if response.StatusCode != http.StatusTooManyRequests || err == nil || string(body) != "half" {
			t.Errorf("status %d, body %q, error %v; want it cut short", response.StatusCode, body, err)
		}
	})
}

// TestDeniedFallsBack: where Denied does not answer, the problem is sent as if
// there were no Denied.
func TestDeniedFallsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := newLimiter(t, five, ratelimit.Config{})
		standard := middleware.Must(middleware.RateLimit(limiter, middleware.Config{DisableQueue: true}))(hello)
		call{}.exhaust(t, standard)
		want := dump(call{}.to(standard))
		for name, denied := range map[string]func(http.ResponseWriter, *http.Request, ratelimit.Result){
			"silent": func(http.ResponseWriter, *http.Request, ratelimit.Result) {},
			"panics": func(http.ResponseWriter, *http.Request, ratelimit.Result) { panic(1) },
			"panics after headers": func(w http.ResponseWriter, _ *http.Request, _ ratelimit.Result) {
				w.Header().Set("Content-Type", "text/html")
				w.Header().Set("Content-Length", "7")
				w.Header().Set("Content-Encoding", "gzip")
				w.Header().Del(middleware.HeaderRetryAfter)
				panic(1)
			},
			"informational only": func(w http.ResponseWriter, _ *http.Request, _ ratelimit.Result) { w.WriteHeader(http.StatusEarlyHints) },
		} {
			h := middleware.Must(middleware.RateLimit(limiter, quiet(middleware.Config{Denied: denied})))(hello)
			if got := dump(call{}.to(h)); got != want && name != "informational only" {
				t.Errorf("%s:\n%s\nwant:\n%s", name, got, want)
			} else if !strings.HasSuffix(got, `"retry_after_ms":200}`+"\n") {
				t.Errorf("%s: the problem is not sent:\n%s", name, got)
			}
		}
	})
}

// TestDeniedAnswers: all ways to write count as an answer.
func TestDeniedAnswers(t *testing.T) {
	for name, denied := range map[string]func(http.ResponseWriter, *http.Request, ratelimit.Result){
		"WriteHeader": func(w http.ResponseWriter, _ *http.Request, _ ratelimit.Result) { w.WriteHeader(http.StatusTeapot) },
		"Write":       func(w http.ResponseWriter, _ *http.Request, _ ratelimit.Result) { _, _ = w.Write([]byte("mine")) },
		"Write and panic": func(w http.ResponseWriter, _ *http.Request, _ ratelimit.Result) {
			_, _ = w.Write([]byte("mine"))
			panic(1)
		},
		"ResponseController": func(w http.ResponseWriter, _ *http.Request, _ ratelimit.Result) {
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
		},
	} {
		h := middleware.Must(middleware.RateLimit(newLimiter(t, ratelimit.PerHour(1), ratelimit.Config{}), quiet(middleware.Config{Denied: denied})))(hello)
		call{}.to(h)
		w := call{}.to(h)
		if body := w.Body.String(); body != "" && body != "mine" {
			t.Errorf("%s: the problem was added: %q", name, body)
		}
		if w.Header().Get(middleware.HeaderRetryAfter) == "" {
			t.Errorf("%s: no Retry-After", name)
		}
	}
}

// TestDenialIsSmall: a denial is smaller than the request that a browser sends,
// and writes nothing into the log.
func TestDenialIsSmall(t *testing.T) {
	var r recorder
	h := middleware.Must(middleware.RateLimit(newLimiter(t, ratelimit.PerHour(1), ratelimit.Config{}), r.watch(middleware.Config{Key: middleware.Header("X-API-Key"), RequireKey: true})))(hello)
	for _, c := range []call{{key: "k"}, {}, {header: http.Header{"X-API-Key": {"a", "b"}}}} {
		for range 1000 {
			if n := len(dump(c.to(h))); n > 800 {
				t.Fatalf("a response of %d bytes", n)
			}
		}
	}
	if r.logged() > 0 || len(r.faults()) > 0 {
		t.Errorf("3000 denied calls made %d lines and %d faults", r.logged(), len(r.faults()))
	}
}

// TestBodySize: at most 512 bytes for one limit of the default name, whatever its
// numbers, and with the longest name 114 more, since the name is there twice.
func TestBodySize(t *testing.T) {
	largest := map[string]int{}
	for _, l := range extremes {
		for _, name := range []string{"default", strings.Repeat("x", store.MaxName)} {
			p := policy(t, l.Named(name))
			for _, cost := range []int{1, min(l.Burst, math.MaxInt/2) + 1} {
				limiter := newLimiter(t, p, ratelimit.Config{})
				h := middleware.Must(middleware.RateLimit(limiter, middleware.Config{Jitter: middleware.MaxJitter, Cost: func(*http.Request) int { return cost }}))(hello)
				if _, err := limiter.AllowN(t.Context(), middleware.AddressKey(call{}.addr()), l.Burst); err != nil {
					t.Fatal(err)
				}
				if w := (call{}).to(h); w.Code == http.StatusTooManyRequests {
					largest[name] = max(largest[name], w.Body.Len())
				}
			}
		}
	}
	short, long := largest["default"], largest[strings.Repeat("x", store.MaxName)]
	t.Logf("largest bodies: %d bytes with the default name, %d with one of %d bytes", short, long, store.MaxName)
	if short == 0 || short > 512 || long > 512+2*(store.MaxName-len("default")) {
		t.Errorf("bodies of %d and %d bytes", short, long)
	}
}

// TestJitter: it only ever lengthens the wait, by at most what was said, and the
// headers and the body report the same one.
func TestJitter(t *testing.T) {
	p := policy(t, ratelimit.PerHour(1))
	seen := map[string]bool{}
	h := middleware.Must(middleware.RateLimit(newLimiter(t, p, ratelimit.Config{}), middleware.Config{Jitter: 10 * time.Second, DisableQueue: true}))(hello)
	call{}.to(h)
	for range 200 {
		w := wantStatus(t, h, call{}, http.StatusTooManyRequests)
		checkResponse(t, w, p, 1)
		n, _ := strconv.Atoi(w.Header().Get(middleware.HeaderRetryAfterMs))
		if n < 3_590_000 || n > 3_610_000 {
			t.Errorf("wait of %d ms, want 3600 s and up to 10 s more", n)
		}
		seen[w.Header().Get(middleware.HeaderRetryAfterMs)] = true
	}
	if len(seen) < 50 {
		t.Errorf("only %d different waits", len(seen))
	}

	closed := middleware.Must(middleware.RateLimit(limiterOn(t, brokenStore{err: errDown}, p, ratelimit.Config{}), quiet(middleware.Config{Jitter: 10 * time.Second, FailClosed: true})))(hello)
	clear(seen)
	for range 200 {
		w := wantStatus(t, closed, call{}, http.StatusServiceUnavailable)
		n, err := strconv.Atoi(w.Header().Get(middleware.HeaderRetryAfter))
		if err != nil || n < 1 || n > 11 {
			t.Errorf("Retry-After %q, want 1 to 11", w.Header().Get(middleware.HeaderRetryAfter))
		}
		seen[w.Header().Get(middleware.HeaderRetryAfter)] = true
	}
	if len(seen) < 5 {
		t.Errorf("only %d different waits", len(seen))
	}
}

// TestWaitForPeople: the detail of a 429 names a wait in milliseconds below a second, and
// else in units that people read; never shorter than Retry-After-Ms.
func TestWaitForPeople(t *testing.T) {
	for period, want := range map[time.Duration]string{
		time.Microsecond: "1 ms", 200 * time.Millisecond: "200 ms", 999 * time.Millisecond: "999 ms", time.Second: "1s", 1001 * time.Millisecond: "2s", 20 * time.Second: "20s",
		time.Minute: "1m", 90 * time.Second: "1m30s", 30 * time.Minute: "30m", time.Hour: "1h", 24 * time.Hour: "1d", 24*time.Hour - time.Millisecond: "1d", 86_399 * time.Second: "23h59m59s", 25*time.Hour + 500*time.Millisecond: "1d1h1s", 30 * 24 * time.Hour: "30d",
	} {
		synctest.Test(t, func(t *testing.T) {
			h := middleware.Must(middleware.RateLimit(newLimiter(t, ratelimit.Limit{Rate: 1, Period: period, Burst: 1}, ratelimit.Config{}), middleware.Config{}))(hello)
			(call{}).to(h)
			body := (call{}).to(h).Body.String()
			if !strings.Contains(body, " exceeded; retry after "+want+`.","`) || !strings.HasSuffix(body, "}\n") || strings.Count(body, "\n") != 1 {
				t.Errorf("%v: want %q: %s", period, want, body)
			}
		})
	}
}
