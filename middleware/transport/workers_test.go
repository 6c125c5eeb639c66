package transport_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/transport"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// A network is the way to a handler in this process, and back: so that time is the
// test's. Each way takes from least to most.
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

// keyrateServer limits as keyrate does.
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

// telling limits as keyrate does, and tells it in other words: those that tell puts.
func telling(t testing.TB, limits ratelimit.Limits, tell func(http.Header, ratelimit.Result)) http.Handler {
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
		tell(w.Header(), result)
		if !result.Allowed {
			w.WriteHeader(http.StatusTooManyRequests)
		}
	})
}

// A windowServer admits so many in each window, beginning at a multiple of it.
type windowServer struct {
	mu     sync.Mutex
	quota  int
	window time.Duration
	start  time.Time
	used   int
	status int // of a refusal
	free   int // so many requests at the beginning are not charged, but answered with 304
	tell   func(h http.Header, quota, remaining int, ends time.Time, refused bool)
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
		s.tell(w.Header(), s.quota, s.quota-s.used, s.start.Add(s.window), false)
		w.WriteHeader(http.StatusNotModified)
		return
	}
	refused := s.used >= s.quota
	if !refused {
		s.used++
	}
	s.tell(w.Header(), s.quota, s.quota-s.used, s.start.Add(s.window), refused)
	if refused {
		w.WriteHeader(s.status)
	}
}

func tellGitHub(h http.Header, quota, remaining int, ends time.Time, _ bool) {
	h.Set("X-RateLimit-Limit", strconv.Itoa(quota))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(remaining))
	h.Set("X-RateLimit-Used", strconv.Itoa(quota-remaining))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(ceil(ends), 10))
	h.Set("X-RateLimit-Resource", "core")
}

func ceil(t time.Time) int64 { return t.Add(time.Second - 1).Unix() }

func tellGitHubOfBucket(h http.Header, r ratelimit.Result) {
	tellGitHub(h, r.Limit.Burst, r.Remaining, time.Now().Add(r.ResetAfter), false)
}

func tellOpenAI(h http.Header, r ratelimit.Result) {
	h.Set("X-Ratelimit-Limit-Requests", strconv.Itoa(r.Limit.Burst))
	h.Set("X-Ratelimit-Remaining-Requests", strconv.Itoa(r.Remaining))
	h.Set("X-Ratelimit-Reset-Requests", r.ResetAfter.Round(time.Millisecond).String())
	h.Set("X-Ratelimit-Limit-Tokens", "150000")
	h.Set("X-Ratelimit-Remaining-Tokens", "149984")
	h.Set("X-Ratelimit-Reset-Tokens", "6ms")
}

func tellAnthropic(h http.Header, r ratelimit.Result) {
	h.Set("Anthropic-Ratelimit-Requests-Limit", strconv.Itoa(r.Limit.Burst))
	h.Set("Anthropic-Ratelimit-Requests-Remaining", strconv.Itoa(r.Remaining))
	h.Set("Anthropic-Ratelimit-Requests-Reset", time.Unix(ceil(time.Now().Add(r.ResetAfter)), 0).UTC().Format(time.RFC3339))
}

func tellShopify(h http.Header, r ratelimit.Result) {
	h.Set("X-Shopify-Shop-Api-Call-Limit", fmt.Sprintf("%d/%d", r.Limit.Burst-r.Remaining, r.Limit.Burst))
	if !r.Allowed {
		h.Set("Retry-After", fmt.Sprintf("%.1f", r.RetryAfter.Seconds()+0.05))
	}
}

func tellRetryAfter(h http.Header, r ratelimit.Result) {
	if !r.Allowed {
		h.Set("Retry-After", strconv.FormatInt(int64((r.RetryAfter+time.Second-1)/time.Second), 10))
	}
}

func tellRemaining(h http.Header, r ratelimit.Result) {
	h.Set("X-Rate-Limit-Limit", strconv.Itoa(r.Limit.Burst))
	h.Set("X-Rate-Limit-Remaining", strconv.Itoa(r.Remaining))
	tellRetryAfter(h, r)
}

// A tally is what became of the calls of workers.
type tally struct {
	mu       sync.Mutex
	sent     int // to the server
	refused  int // by it
	errors   int // calls that got anything but 200
	finished []int
}

func (c *tally) observe(e transport.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch e.Action {
	case transport.Sent:
		c.sent++
	case transport.Denied, transport.Returned:
		c.refused++
	}
}

// work lets workers call for so long, in a bubble.
func work(t *testing.T, n network, workers int, long time.Duration) *tally {
	t.Helper()
	return workIn(t, 1, n, workers, long)
}

// workIn is work with the workers in several processes, as it were.
func workIn(t *testing.T, processes int, n network, workers int, long time.Duration) *tally {
	t.Helper()
	var all []*watched
	for range processes {
		all = append(all, watch(t, n))
	}
	return workOn(t, workers, long, all...)
}

// A watched transport counts what it does, from one call of workOn to the next.
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

// workOn is work with transports that may have been used before.
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

// TestTwoProcesses: two that know nothing of each other share a limit, for which
// each is refused now and then.
func TestTwoProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := network{keyrateServer(t, ratelimit.PerSecond(5), middleware.Config{}), 5 * time.Millisecond, 15 * time.Millisecond}
		got := workIn(t, 2, n, 40, time.Minute)
		t.Logf("%d finished, %d sent, %d refused, %d errors", got.total(), got.sent, got.refused, got.errors)
		if got.errors > 0 || got.total() < 285 || got.refused > got.sent/10 {
			t.Error("want no errors, at least 285 finished, and at most a tenth refused")
		}
	})
}

// TestSlowServer: responses that take longer than tokens to come in do not keep
// anybody from the limit.
func TestSlowServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limited := keyrateServer(t, ratelimit.PerSecond(5), middleware.Config{})
		slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			limited.ServeHTTP(w, r)
			time.Sleep(500*time.Millisecond + rand.N(500*time.Millisecond))
		})
		got := work(t, network{slow, 5 * time.Millisecond, 15 * time.Millisecond}, 20, time.Minute)
		t.Logf("%d finished, %d sent, %d refused, %d errors", got.total(), got.sent, got.refused, got.errors)
		if got.errors > 0 || got.total() < 270 || got.refused > got.sent/50 {
			t.Error("want no errors, at least 270 finished, and at most a fiftieth refused")
		}
	})
}

// TestTwentyWorkers holds the transport to what it promises: at a limit of 5 a
// second, for a minute, hardly a call is refused, hardly any of the limit is left
// unused, and no worker starves.
func TestTwentyWorkers(t *testing.T) {
	five := ratelimit.PerSecond(5)
	spread := ratelimit.PerMinute(300) // the same rate, in a bucket of 300
	key := middleware.Config{Key: middleware.Header("X-API-Key")}
	epoch, period := key, key
	epoch.ResetHeader = middleware.ResetAsEpoch
	period.LimitHeader = middleware.LimitAsPeriod
	window := func(quota int, long time.Duration, status int, tell func(http.Header, int, int, time.Time, bool)) func(testing.TB) http.Handler {
		return func(testing.TB) http.Handler {
			return &windowServer{quota: quota, window: long, status: status, tell: tell}
		}
	}
	bucket := func(l ratelimit.Limits, tell func(http.Header, ratelimit.Result)) func(testing.TB) http.Handler {
		return func(t testing.TB) http.Handler { return telling(t, l, tell) }
	}
	keyrate := func(l ratelimit.Limits, c middleware.Config) func(testing.TB) http.Handler {
		return func(t testing.TB) http.Handler { return keyrateServer(t, l, c) }
	}
	two, err := ratelimit.NewPolicy(five, ratelimit.PerHour(1000).Named("hourly"))
	if err != nil {
		t.Fatal(err)
	}
	tellPolicy := func(h http.Header, quota, remaining int, ends time.Time, refused bool) {
		left := (time.Until(ends) + time.Second - 1) / time.Second
		h.Set("RateLimit-Policy", fmt.Sprintf(`"default";q=%d;w=10`, quota))
		h.Set("RateLimit", fmt.Sprintf(`"default";r=%d;t=%d`, remaining, left))
		if refused {
			h.Set("Retry-After", strconv.Itoa(int(left)))
		}
	}
	for _, c := range []struct {
		name    string
		server  func(testing.TB) http.Handler
		refused float64 // at most, of the calls
		used    float64 // at least, of the limit
		near    bool    // by short ways only
	}{
		{"keyrate", keyrate(five, key), 0.01, 0.95, false},
		{"keyrate, two limits", keyrate(two, key), 0.01, 0.95, false},
		{"keyrate, with a period", keyrate(five, period), 0.01, 0.95, false},
		{"keyrate, with an epoch", keyrate(five, epoch), 0.01, 0.95, false},
		{"keyrate, with a larger bucket", keyrate(five.WithBurst(20), key), 0.01, 0.95, false},
		// It looks like a bucket until the first refusal, with which the first window is over.
		{"a window with a policy", window(50, 10*time.Second, 429, tellPolicy), 0.02, 0.85, false},
		{"GitHub, a minute", window(300, time.Minute, 403, tellGitHub), 0.01, 0.95, false},
		{"GitHub, ten seconds", window(50, 10*time.Second, 429, tellGitHub), 0.01, 0.95, false},
		{"GitHub, a second", window(5, time.Second, 429, tellGitHub), 0.01, 0.95, false},
		// A server may mean the time when its bucket is full, although it says it in the
		// way of a window. That is found out, if not by those who are far away.
		{"GitHub's headers for a bucket", bucket(five, tellGitHubOfBucket), 0.01, 0.95, true},
		{"OpenAI", bucket(spread, tellOpenAI), 0.01, 0.95, false},
		{"OpenAI, a small bucket", bucket(five, tellOpenAI), 0.01, 0.95, false},
		{"Anthropic", bucket(spread, tellAnthropic), 0.01, 0.95, false},
		{"Anthropic, a small bucket", bucket(five, tellAnthropic), 0.01, 0.95, false},
		{"Shopify", bucket(five.WithBurst(100), tellShopify), 0.01, 0.95, false},
		{"Shopify, a smaller bucket", bucket(five.WithBurst(40), tellShopify), 0.01, 0.95, false},
		{"Shopify, a small bucket", bucket(five, tellShopify), 0.01, 0.95, false},
		{"what remains and no time", bucket(five, tellRemaining), 0.01, 0.95, false},
		{"Retry-After", bucket(five, tellRetryAfter), 0.15, 0.80, false},
	} {
		for _, way := range []struct {
			name        string
			least, most time.Duration
		}{
			{"in 2 ms", time.Millisecond, time.Millisecond},
			{"in 20 ms", 5 * time.Millisecond, 15 * time.Millisecond},
			{"in 200 ms", 80 * time.Millisecond, 120 * time.Millisecond},
		} {
			if c.near && way.most > 50*time.Millisecond {
				continue
			}
			t.Run(c.name+" "+way.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					time.Sleep(rand.N(time.Second)) // not at the beginning of a window
					const workers, limit = 20, 300
					got := work(t, network{c.server(t), way.least, way.most}, workers, time.Minute)
					total := got.total()
					t.Logf("%d finished (%.1f%% of the limit), %d sent, %d refused (%.2f%%), %d errors, a worker %d to %d",
						total, 100*float64(total)/limit, got.sent, got.refused, 100*float64(got.refused)/float64(got.sent), got.errors,
						slices.Min(got.finished), slices.Max(got.finished))
					if got.errors > 0 {
						t.Errorf("%d calls were lost", got.errors)
					}
					if float64(got.refused) > c.refused*float64(got.sent) {
						t.Errorf("%d of %d were refused, want at most %g of them", got.refused, got.sent, c.refused)
					}
					if float64(total) < c.used*limit {
						t.Errorf("%d of %d finished, want at least %g of them", total, limit, c.used)
					}
					share := float64(total) / workers
					for i, n := range got.finished {
						if float64(n) < 0.7*share || float64(n) > 1.3*share {
							t.Errorf("worker %d finished %d, its share is %.1f", i, n, share)
						}
					}
				})
			})
		}
	}
}
