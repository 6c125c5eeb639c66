package pace_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/transport"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// A network runs a handler without a connection, on the clock of the test.
// Each way takes from least to most.
type network struct {
	handler     http.Handler
	least, most time.Duration
}

func (n network) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer func() { _ = r.Body.Close() }()
	}
	n.travel()
	w := httptest.NewRecorder()
	n.handler.ServeHTTP(w, r)
	n.travel()
	response := w.Result()
	response.Request = r
	return response, nil
}

func (n network) travel() {
	if n.most > 0 {
		time.Sleep(n.least + rand.N(n.most-n.least+1))
	}
}

// keyrateServer returns a handler behind keyrate's middleware.
func keyrateServer(t testing.TB, limits ratelimit.Limits, c middleware.Config) http.Handler {
	t.Helper()
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), limits, ratelimit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return middleware.Must(middleware.RateLimit(limiter, c))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("hello\n"))
	}))
}

// bucketServer returns a handler that limits as keyrate does, and reports the limit in
// other headers.
func bucketServer(t testing.TB, limits ratelimit.Limits, report func(http.Header, ratelimit.Result)) http.Handler {
	t.Helper()
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), limits, ratelimit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		result, err := limiter.Allow(r.Context(), "key")
		if err != nil {
			t.Error(err)
		}
		report(w.Header(), result)
		if !result.Allowed {
			w.WriteHeader(http.StatusTooManyRequests)
		}
	})
}

// A windowServer admits quota requests in each window.
type windowServer struct {
	mu     sync.Mutex
	quota  int
	window time.Duration
	start  time.Time
	used   int
	status int // of a denial
	free   int // so many requests at the start are not charged, and answered with 304
	report func(h http.Header, quota, remaining int, ends time.Time, denied bool)
}

func (s *windowServer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if start := now.Truncate(s.window); start.After(s.start) {
		s.start, s.used = start, 0
	}
	if s.free > 0 {
		s.free--
		s.report(w.Header(), s.quota, s.quota-s.used, s.start.Add(s.window), false)
		w.WriteHeader(http.StatusNotModified)
		return
	}
	denied := s.used >= s.quota
	if !denied {
		s.used++
	}
	s.report(w.Header(), s.quota, s.quota-s.used, s.start.Add(s.window), denied)
	if denied {
		w.WriteHeader(s.status)
	}
}

func reportGitHub(h http.Header, quota, remaining int, ends time.Time, _ bool) {
	h.Set("X-RateLimit-Limit", strconv.Itoa(quota))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(remaining))
	h.Set("X-RateLimit-Used", strconv.Itoa(quota-remaining))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(ceil(ends), 10))
	h.Set("X-RateLimit-Resource", "core")
}

func ceil(t time.Time) int64 { return t.Add(time.Second - 1).Unix() }

func reportGitHubOfBucket(h http.Header, r ratelimit.Result) {
	reportGitHub(h, r.Limit().Burst, r.Remaining(), time.Now().Add(r.ResetAfter()), false)
}

func reportOpenAI(h http.Header, r ratelimit.Result) {
	h.Set("X-Ratelimit-Limit-Requests", strconv.Itoa(r.Limit().Burst))
	h.Set("X-Ratelimit-Remaining-Requests", strconv.Itoa(r.Remaining()))
	h.Set("X-Ratelimit-Reset-Requests", r.ResetAfter().Round(time.Millisecond).String())
	h.Set("X-Ratelimit-Limit-Tokens", "150000")
	h.Set("X-Ratelimit-Remaining-Tokens", "149984")
	h.Set("X-Ratelimit-Reset-Tokens", "6ms")
}

func reportAnthropic(h http.Header, r ratelimit.Result) {
	h.Set("Anthropic-Ratelimit-Requests-Limit", strconv.Itoa(r.Limit().Burst))
	h.Set("Anthropic-Ratelimit-Requests-Remaining", strconv.Itoa(r.Remaining()))
	h.Set("Anthropic-Ratelimit-Requests-Reset", time.Unix(ceil(time.Now().Add(r.ResetAfter())), 0).UTC().Format(time.RFC3339))
}

func reportShopify(h http.Header, r ratelimit.Result) {
	h.Set("X-Shopify-Shop-Api-Call-Limit", fmt.Sprintf("%d/%d", r.Limit().Burst-r.Remaining(), r.Limit().Burst))
	if !r.Allowed {
		h.Set("Retry-After", fmt.Sprintf("%.1f", r.RetryAfter().Seconds()+0.05))
	}
}

func reportRetryAfter(h http.Header, r ratelimit.Result) {
	if !r.Allowed {
		h.Set("Retry-After", strconv.FormatInt(int64((r.RetryAfter()+time.Second-1)/time.Second), 10))
	}
}

func reportRemaining(h http.Header, r ratelimit.Result) {
	h.Set("X-Rate-Limit-Limit", strconv.Itoa(r.Limit().Burst))
	h.Set("X-Rate-Limit-Remaining", strconv.Itoa(r.Remaining()))
	reportRetryAfter(h, r)
}

// A tally counts what became of the calls of workers.
type tally struct {
	mu       sync.Mutex
	sent     int // attempts
	denied   int // attempts
	errors   int // calls without a 200
	finished []int
}

func (c *tally) observe(e transport.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch e.Action {
	case transport.Sent:
		c.sent++
	case transport.Denied, transport.Returned:
		c.denied++
	}
}

// work runs workers that call for a time, in a synctest bubble.
func work(t *testing.T, n network, workers int, long time.Duration) *tally {
	t.Helper()
	return workIn(t, 1, n, workers, long)
}

// workIn is work with the workers on several nodes.
func workIn(t *testing.T, nodes int, n network, workers int, long time.Duration) *tally {
	t.Helper()
	var all []*watched
	for range nodes {
		all = append(all, watch(t, n))
	}
	return workOn(t, workers, long, all...)
}

// A watched is a Transport that counts its events into the tally of the current workOn.
type watched struct {
	*transport.Transport
	tally *tally
}

func watch(t *testing.T, base http.RoundTripper) *watched {
	t.Helper()
	w := &watched{tally: new(tally)}
	w.Transport = mustNew(t, base, transport.Config{Observe: observer(func(e transport.Event) { w.tally.observe(e) })})
	return w
}

// workOn is work with Transports that may have been used before.
func workOn(t *testing.T, workers int, long time.Duration, all ...*watched) *tally {
	t.Helper()
	c := &tally{finished: make([]int, workers)}
	for _, w := range all {
		w.tally = c
	}
	end := time.Now().Add(long)
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			tr := all[i%len(all)]
			for time.Now().Before(end) {
				r := request(t, "https://api.example.com/")
				response, err := tr.RoundTrip(r)
				if !time.Now().Before(end) {
					return
				}
				if err != nil {
					t.Error(err)
					time.Sleep(time.Second)
				}
				c.mu.Lock()
				if err != nil || response.StatusCode != http.StatusOK {
					c.errors++
				} else {
					c.finished[i]++
				}
				c.mu.Unlock()
				if err == nil {
					_ = response.Body.Close()
				}
			}
		})
	}
	wg.Wait()
	return c
}

// total returns how many calls finished.
func (c *tally) total() int {
	sum := 0
	for _, n := range c.finished {
		sum += n
	}
	return sum
}

func mustNew(t testing.TB, base http.RoundTripper, c transport.Config) *transport.Transport {
	t.Helper()
	tr, err := transport.New(base, c)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func request(t testing.TB, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-API-Key", "key")
	return r
}

func observer(f func(transport.Event)) func(context.Context, transport.Event) {
	return func(_ context.Context, e transport.Event) { f(e) }
}

// do sends a request, and returns the status and the body of the response.
func do(t *testing.T, tr http.RoundTripper, r *http.Request) (int, string) {
	t.Helper()
	response, err := tr.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}
