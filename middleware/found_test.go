package middleware_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
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

// TestUserFunctionsThatEndTheGoroutine: runtime.Goexit in a function of the user is
// no way past the limit, and keeps nobody else from being limited.
func TestUserFunctionsThatEndTheGoroutine(t *testing.T) {
	for name, config := range map[string]middleware.Config{
		"Key":    {Key: keyFunc(func(*http.Request) string { runtime.Goexit(); return "" })},
		"Cost":   {Cost: func(*http.Request) int { runtime.Goexit(); return 0 }},
		"Skip":   {Skip: func(*http.Request) bool { runtime.Goexit(); return false }},
		"Denied": {Denied: func(http.ResponseWriter, *http.Request, ratelimit.Result) { runtime.Goexit() }},
	} {
		served := 0
		limiter := newLimiter(t, ratelimit.PerHour(1), ratelimit.Config{})
		h := middleware.Must(middleware.RateLimit(limiter, quiet(config)))(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served++ }))
		for range 3 {
			var wg sync.WaitGroup
			wg.Go(func() { call{}.to(h) })
			wg.Wait()
		}
		if served > 1 {
			t.Errorf("%s: %d calls served at 1/h", name, served)
		}
		if n := (call{}).exhaust(t, middleware.Must(middleware.RateLimit(limiter, middleware.Config{}))(hello)); n != 1-served {
			t.Errorf("%s: %d calls served after %d, want 1 in all", name, n, served)
		}
	}
}

// chainError is an error that wraps another one, if it is not nil itself.
type chainError struct{ inner error }

func (*chainError) Error() string   { return "the look-up failed" }
func (e *chainError) Unwrap() error { return e.inner }

// TestFaultWithABrokenChain: an error that panics when it is asked what it wraps
// does not bring the request down. It is a fault like any other.
func TestFaultWithABrokenChain(t *testing.T) {
	limits := ratelimit.LimitsFunc(func(context.Context, string) (*ratelimit.Policy, error) { return nil, (*chainError)(nil) })
	for closed, status := range map[bool]int{false: http.StatusOK, true: http.StatusServiceUnavailable} {
		var r recorder
		h := middleware.Must(middleware.RateLimit(newLimiter(t, limits, ratelimit.Config{}), r.watch(middleware.Config{FailClosed: closed})))(hello)
		wantStatus(t, h, call{}, status)
		if got := r.faults(); !slices.Equal(got, []string{ratelimit.ClassPanic}) || r.logged() != 1 {
			t.Errorf("faults %q, log %q; want one: %q", got, r.log(), ratelimit.ClassPanic)
		}
	}
}

// TestStoreThatSaysHowToFail: a store that is set to fail open, or closed, is heeded
// whatever the middleware is set to.
func TestStoreThatSaysHowToFail(t *testing.T) {
	for mode, status := range map[ratelimit.FailMode]int{
		ratelimit.FailOpen:   http.StatusOK,
		ratelimit.FailClosed: http.StatusServiceUnavailable,
	} {
		err := &ratelimit.StoreError{Class: "away", Fail: mode}
		for _, closed := range []bool{false, true} {
			limiter := limiterOn(t, brokenStore{err: err}, ratelimit.PerHour(1), ratelimit.Config{})
			wantStatus(t, middleware.Must(middleware.RateLimit(limiter, quiet(middleware.Config{FailClosed: closed})))(hello), call{}, status)
		}
	}
}

// TestEmptyPreflight: headers that are there and say nothing make no preflight, or
// a handler that does not look at the method would run for free.
func TestEmptyPreflight(t *testing.T) {
	for _, header := range []http.Header{
		{"Origin": {""}, "Access-Control-Request-Method": {""}},
		{"Origin": {"https://example.com"}, "Access-Control-Request-Method": {""}},
		{"Origin": {""}, "Access-Control-Request-Method": {"GET"}},
	} {
		h := middleware.Must(middleware.RateLimit(newLimiter(t, ratelimit.PerHour(1), ratelimit.Config{}), middleware.Config{}))(hello)
		if n := (call{method: http.MethodOptions, header: header}).exhaust(t, h); n != 1 {
			t.Errorf("%v: %d calls served, want 1", header, n)
		}
	}
}

// TestForwardedForms: who is trusted does not depend on how an address is written,
// and what is none ends the walk.
func TestForwardedForms(t *testing.T) {
	local := prefixes("10.0.0.0/8")
	for _, c := range []struct {
		name      string
		trusted   []netip.Prefix
		peer      string
		forwarded string
		want      string
	}{
		{"trusted hop as IPv4 in IPv6", local, "10.0.0.1:1", "203.0.113.7,::ffff:10.9.9.9", " ip 203.0.113.7"},
		{"hop as IPv4 in IPv6", local, "10.0.0.1:1", "::ffff:203.0.113.7", " ip 203.0.113.7"},
		{"a prefix that is more than IPv4 in IPv6", prefixes("::ffff:0:0/90"), "192.0.2.1:1", "203.0.113.7", " ip 192.0.2.1"},
		{"trusted peer with a zone", prefixes("fe80::/10"), "[fe80::1%eth0]:1", "203.0.113.7", " ip 203.0.113.7"},
		{"brackets without a port", local, "10.0.0.1:1", "[2001:db8::9]", " ip 2001:db8::/64"},
		{"one bracket", local, "10.0.0.1:1", "[2001:db8::9", " ip 10.0.0.1"},
		{"octal", local, "10.0.0.1:1", "203.0.113.7, 012.0.0.1", " ip 10.0.0.1"},
		{"peer by name", local, "localhost:80", "203.0.113.7", " ip unknown"},
	} {
		r := call{peer: c.peer, header: http.Header{"X-Forwarded-For": {c.forwarded}}}
		if got := addressOf(t, middleware.ClientIP(c.trusted...), r); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestForwardedSize: a long X-Forwarded-For is read where it is. Errors about it
// would quote it, at four times its size.
func TestForwardedSize(t *testing.T) {
	key := middleware.ClientIP(prefixes("10.0.0.0/8")...)
	for name, forwarded := range map[string]string{
		"trusted hops": strings.Repeat("10.0.0.1,", 1<<20/9),
		"nonsense":     strings.Repeat("x", 1<<20),
		"commas":       strings.Repeat(",", 1<<20),
		"spaces":       "10.0.0.2," + strings.Repeat(" ", 1<<20),
		"colons":       "[" + strings.Repeat(":", 1<<20) + "]:x",
		"bad port":     "203.0.113.7:" + strings.Repeat("\xff", 1<<20),
	} {
		r := call{peer: "10.0.0.1:1", header: http.Header{"X-Forwarded-For": {forwarded}}}.request()
		h := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), middleware.Config{Key: key}))(bare)
		w := &sink{header: http.Header{}}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		h.ServeHTTP(w, r)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 1<<18 {
			t.Errorf("1 MiB of %s: %d bytes allocated", name, took)
		}
	}
}

// TestKeyOnTheWire: however a key's header is written, a real server hands it on as
// one key, or refuses it.
func TestKeyOnTheWire(t *testing.T) {
	served := make(chan bool, 100)
	s := httptest.NewServer(middleware.Must(middleware.RateLimit(newLimiter(t, ratelimit.PerHour(1), ratelimit.Config{}), middleware.Config{
		Key: middleware.Header("X-API-Key"), RequireKey: true,
	}))(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served <- true })))
	defer s.Close()
	get(t, s, http.MethodGet, "alice", http.StatusOK)
	<-served
	for _, line := range []string{
		"x-api-key: alice", "X-API-KEY:alice", "X-Api-Key:\talice\t", "X-API-Key:\r\n alice", "X-API-Key : alice", " X-API-Key: alice", "X-API-Key\t: alice",
		"X-API-Key: alice\r\nx-api-key: ", "X-API-Key: alice\r\nX-api-KEY: bob", "X-API-Key:", "X-API-Key: \t ", "X_API_Key: alice",
		"X-API-Key: alice\x00", "X-API-Key: alice\r X: y", "X-API-Key: alice\v", "X-API-Key: alice\f",
	} {
		conn := dial(t, s)
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\n%s\r\nConnection: close\r\n\r\n", line)
		if status, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.HasPrefix(status, "HTTP/1.1 4") || len(served) > 0 {
			t.Fatalf("%q: %q (error %v), %d served; want a refusal", line, status, err, len(served))
		}
	}
}

// TestExtremeResets: the instant of the reset does not overflow, whatever the limit
// and however it is told.
func TestExtremeResets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parse := map[middleware.ResetForm]func(string) (time.Time, error){
			middleware.ResetAsDelta: func(s string) (time.Time, error) {
				n, err := strconv.ParseInt(s, 10, 64)
				return time.Now().Add(time.Duration(n) * time.Second), err
			},
			middleware.ResetAsEpoch: func(s string) (time.Time, error) {
				n, err := strconv.ParseInt(s, 10, 64)
				return time.Unix(n, 0), err
			},
			middleware.ResetAsTime: func(s string) (time.Time, error) { return time.Parse(time.RFC3339, s) },
		}
		for _, l := range extremes {
			for form, at := range parse {
				limiter := newLimiter(t, l, ratelimit.Config{})
				h := middleware.Must(middleware.RateLimit(limiter, middleware.Config{ResetHeader: form}))(hello)
				if _, err := limiter.AllowN(t.Context(), middleware.AddressKey(call{}.addr()), policy(t, l).Limits()[0].Burst); err != nil {
					t.Fatal(err)
				}
				value := call{}.to(h).Header().Get(middleware.HeaderReset)
				reset, err := at(value)
				if in := time.Until(reset); err != nil || in <= 0 || in > ratelimit.MaxRefill+time.Second {
					t.Errorf("%v, form %v: %s is %q, in %v (error %v)", l, form, middleware.HeaderReset, value, in, err)
				}
			}
		}
	})
}

// TestPoliciesWithoutEnd: a program that makes a policy for every call keeps the
// text of few of them.
func TestPoliciesWithoutEnd(t *testing.T) {
	limits := ratelimit.LimitsFunc(func(context.Context, string) (*ratelimit.Policy, error) {
		return ratelimit.NewPolicy(ratelimit.PerHour(5), ratelimit.PerMinute(5).Named("minute"))
	})
	h := middleware.Must(middleware.RateLimit(newLimiter(t, limits, ratelimit.Config{}), middleware.Config{}))(hello)
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	w, r := &sink{header: http.Header{}}, call{}.request()
	before := heap()
	for range 6000 {
		w.reset()
		h.ServeHTTP(w, r)
	}
	if grew := heap() - before; grew > 4<<20 {
		t.Errorf("6000 policies left %d bytes", grew)
	}
	runtime.KeepAlive(h)
}
