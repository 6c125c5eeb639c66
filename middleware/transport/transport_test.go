package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
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

// A script answers with one response after the other, and the last one for ever.
type script struct {
	mu      sync.Mutex
	answers []answer
	times   []time.Duration // when the requests came, since the first
	bodies  []string
	first   time.Time
	never   bool // does not read bodies
}

type answer struct {
	status int
	header http.Header
	body   string
	takes  time.Duration
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	if s.first.IsZero() {
		s.first = time.Now()
	}
	s.times = append(s.times, time.Since(s.first))
	a := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	s.mu.Unlock()
	if r.Body != nil {
		if !s.never {
			text, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			s.mu.Lock()
			s.bodies = append(s.bodies, string(text))
			s.mu.Unlock()
		}
		_ = r.Body.Close()
	}
	time.Sleep(a.takes)
	if a.status == 0 {
		return nil, errors.New("the connection was reset")
	}
	h := a.header
	if h == nil {
		h = http.Header{}
	}
	return &http.Response{StatusCode: a.status, Header: h, Body: io.NopCloser(strings.NewReader(a.body)), Request: r}, nil
}

func refusal(lines ...string) answer {
	return answer{status: 429, header: headers(lines...), body: "refused\n"}
}

var ok = answer{status: 200, body: "hello\n"}

// do sends a request and returns the status and the body.
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

// errorOf sends a request and returns the error, with which there is no response.
func errorOf(t *testing.T, tr http.RoundTripper, r *http.Request) error {
	t.Helper()
	response, err := tr.RoundTrip(r)
	if response != nil {
		_ = response.Body.Close()
		if err != nil {
			t.Errorf("a response and the error %v", err)
		}
	}
	return err
}

// near allows for the jitter, which only adds, a tenth at most.
func near(got, want time.Duration) bool { return got >= want && got <= want+want/10+time.Millisecond }

// TestWaits shows how long a refused request waits, and what becomes of it.
func TestWaits(t *testing.T) {
	for _, c := range []struct {
		name    string
		config  transport.Config
		answers []answer
		status  int
		times   []time.Duration // when it was sent
	}{
		{"as told in seconds", transport.Config{}, []answer{refusal("Retry-After: 7"), ok}, 200, []time.Duration{0, 7 * time.Second}},
		{"as told in milliseconds", transport.Config{}, []answer{refusal("Retry-After: 1", "Retry-After-Ms: 300"), ok}, 200, []time.Duration{0, 300 * time.Millisecond}},
		{"until the reset of what is used up", transport.Config{}, []answer{refusal("X-RateLimit-Limit: 50", "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 20"), ok}, 200, []time.Duration{0, 20 * time.Second}},
		{"until the first token of a full bucket", transport.Config{}, []answer{refusal("X-RateLimit-Limit-Requests: 60", "X-RateLimit-Remaining-Requests: 0", "X-RateLimit-Reset-Requests: 5m"), ok}, 200, []time.Duration{0, 5 * time.Second}},
		{"longer and longer if nothing is told", transport.Config{}, []answer{refusal(), refusal(), refusal(), ok}, 200, []time.Duration{0, time.Second, 3 * time.Second, 7 * time.Second}},
		{"503 with a wait", transport.Config{}, []answer{{status: 503, header: headers("Retry-After: 2")}, ok}, 200, []time.Duration{0, 2 * time.Second}},
		{"503 without one", transport.Config{}, []answer{{status: 503}, ok}, 503, []time.Duration{0}},
		{"GitHub's secondary limit", transport.Config{}, []answer{{status: 403, header: headers("Retry-After: 30")}, ok}, 200, []time.Duration{0, 30 * time.Second}},
		{"GitHub's primary limit", transport.Config{}, []answer{{status: 403, header: headers("X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 30")}, ok}, 200, []time.Duration{0, 30 * time.Second}},
		{"forbidden for another reason", transport.Config{}, []answer{{status: 403, header: headers(`RateLimit: "default";r=0;t=1`)}, ok}, 403, []time.Duration{0}},
		{"no longer than the cap", transport.Config{}, []answer{refusal("Retry-After: 61"), ok}, 429, []time.Duration{0}},
		{"no longer than another cap", transport.Config{MaxWait: 2 * time.Second}, []answer{refusal("Retry-After: 3"), ok}, 429, []time.Duration{0}},
		{"no longer than the cap in all", transport.Config{MaxWait: 5 * time.Second}, []answer{refusal("Retry-After: 3"), refusal("Retry-After: 3"), ok}, 429, []time.Duration{0, 3 * time.Second}},
		{"as long as a larger cap", transport.Config{MaxWait: 2 * time.Hour}, []answer{refusal("Retry-After: 3600"), ok}, 200, []time.Duration{0, time.Hour}},
		{"not for months", transport.Config{}, []answer{refusal("Retry-After: 9999999"), ok}, 429, []time.Duration{0}},
		{"not for a time that makes no sense", transport.Config{}, []answer{refusal("Retry-After: 99999999999999999999"), ok}, 200, []time.Duration{0, time.Second}},
		{"not too often", transport.Config{MaxRetries: 2}, []answer{refusal("Retry-After: 1")}, 429, []time.Duration{0, time.Second, 2 * time.Second}},
		{"never again", transport.Config{MaxRetries: -1}, []answer{refusal("Retry-After: 1"), ok}, 429, []time.Duration{0}},
		{"by stored responses, of which nothing holds", transport.Config{}, []answer{refusal("Retry-After: 30", "Age: 1"), ok}, 200, []time.Duration{0, time.Second}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{answers: c.answers}
				want := ""
				switch c.status {
				case 200:
					want = "hello\n"
				case 429:
					want = "refused\n"
				}
				status, body := do(t, mustNew(t, s, c.config), request(t, "https://api.example.com/"))
				if status != c.status || body != want {
					t.Errorf("status %d with the body %q, want %d with %q", status, body, c.status, want)
				}
				if !slices.EqualFunc(s.times, c.times, near) {
					t.Errorf("sent at %v, want %v", s.times, c.times)
				}
			})
		})
	}
}

// TestNotRefusedTwice makes one caller call without a pause: it is never refused,
// for it sees its limit, unlike one who is told nothing, who is refused and waits.
func TestNotRefusedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := work(t, network{handler: keyrateServer(t, ratelimit.PerMinute(10), middleware.Config{}), least: time.Millisecond, most: time.Millisecond}, 1, 10*time.Minute)
		if c.refused > 0 || c.finished[0] < 95 {
			t.Errorf("%d refused, %d finished", c.refused, c.finished[0])
		}
	})
}

// A trackedBody knows what became of it.
type trackedBody struct {
	io.Reader
	read   atomic.Bool
	closed atomic.Int32
}

func (b *trackedBody) Read(p []byte) (int, error) {
	b.read.Store(true)
	return b.Reader.Read(p)
}

func (b *trackedBody) Close() error {
	b.closed.Add(1)
	return nil
}

// TestBodies shows which requests with a body are sent again, and that every body
// is closed.
func TestBodies(t *testing.T) {
	for _, c := range []struct {
		name    string
		method  string
		getBody bool
		never   bool // the base does not read it
		status  int  // of the refusal
		header  http.Header
		sent    int
	}{
		{"with GetBody", http.MethodPost, true, false, 429, nil, 2},
		{"without, read", http.MethodPost, false, false, 429, nil, 1},
		{"without, not read", http.MethodPost, false, true, 429, nil, 2},
		{"503 to POST", http.MethodPost, true, false, 503, nil, 1},
		{"503 to PUT", http.MethodPut, true, false, 503, nil, 2},
		{"503 to POST with an idempotency key", http.MethodPost, true, false, 503, headers("Idempotency-Key: 1"), 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{never: c.never, answers: []answer{{status: c.status, header: headers("Retry-After: 1")}, ok}}
				var bodies []*trackedBody
				body := func() *trackedBody {
					b := &trackedBody{Reader: strings.NewReader("a body")}
					bodies = append(bodies, b)
					return b
				}
				r := request(t, "https://api.example.com/")
				r.Method, r.Body = c.method, body()
				if c.getBody {
					r.GetBody = func() (io.ReadCloser, error) { return body(), nil }
				}
				maps.Copy(r.Header, c.header)
				before := r.Clone(r.Context())
				status, _ := do(t, mustNew(t, s, transport.Config{}), r)
				if len(s.times) != c.sent || (status == http.StatusOK) != (c.sent == 2) {
					t.Errorf("sent %d times, want %d; status %d", len(s.times), c.sent, status)
				}
				for i, b := range bodies {
					if b.closed.Load() == 0 {
						t.Errorf("body %d was not closed", i)
					}
				}
				for _, text := range s.bodies {
					if text != "a body" {
						t.Errorf("the server got %q", text)
					}
				}
				if r.Body != before.Body || !reflect.DeepEqual(r.Header, before.Header) || r.URL.String() != before.URL.String() || r.Method != before.Method {
					t.Error("the request was changed")
				}
			})
		})
	}
}

// TestBodyOfUnsent shows that the body of a request is closed though it is not sent.
func TestBodyOfUnsent(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := &trackedBody{Reader: strings.NewReader("a body")}
	r := request(t, "https://api.example.com/").WithContext(ctx)
	r.Body = b
	if err := errorOf(t, mustNew(t, &script{answers: []answer{ok}}, transport.Config{}), r); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if b.closed.Load() == 0 || b.read.Load() {
		t.Error("the body was read, or not closed")
	}
}

// TestGetBodyFails returns the error of GetBody.
func TestGetBodyFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := errors.New("the file is gone")
		r := request(t, "https://api.example.com/")
		r.Body = &trackedBody{Reader: strings.NewReader("a body")}
		r.GetBody = func() (io.ReadCloser, error) { return nil, gone }
		s := &script{answers: []answer{refusal("Retry-After: 1"), ok}}
		if err := errorOf(t, mustNew(t, s, transport.Config{}), r); !errors.Is(err, gone) {
			t.Error(err)
		}
	})
}

// TestFirstGoesAlone: the others wait for what the first one learns.
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

// TestFirstIsSlow: it does not keep the others for longer than a second each.
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

// TestFirstFails: an error tells nothing, and costs nobody time.
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

// TestShared shows whose requests share a pace: those to one host with one key.
func TestShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limited := false
		base := network{handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if !limited {
				limited = true
				w.Header().Set("RateLimit-Policy", `"default";q=1;w=10`)
				w.Header().Set("RateLimit", `"default";r=0;t=10`)
			}
		})}
		for _, c := range []struct {
			name   string
			change func(*http.Request)
			config transport.Config
			shared bool
		}{
			{"the same", func(*http.Request) {}, transport.Config{}, true},
			{"another path", func(r *http.Request) { r.URL.Path = "/other" }, transport.Config{}, true},
			{"another spelling of the host", func(r *http.Request) { r.URL.Host = "API.example.com" }, transport.Config{}, true},
			{"another host", func(r *http.Request) { r.URL.Host = "www.example.com" }, transport.Config{}, false},
			{"another port", func(r *http.Request) { r.URL.Host = "api.example.com:8443" }, transport.Config{}, false},
			{"another key", func(r *http.Request) { r.Header.Set("X-Api-Key", "another") }, transport.Config{}, false},
			{"a token", func(r *http.Request) { r.Header.Set("Authorization", "Bearer token") }, transport.Config{}, false},
			{"a user in the URL", func(r *http.Request) { r.URL.Host = "api.example.com"; r.SetBasicAuth("user", "password") }, transport.Config{}, false},
			{"another key that does not count", func(r *http.Request) { r.Header.Set("X-Api-Key", "another") }, transport.Config{Key: func(*http.Request) string { return "" }}, true},
			{"another path that counts", func(r *http.Request) { r.URL.Path = "/other" }, transport.Config{Key: func(r *http.Request) string { return r.URL.Path }}, false},
		} {
			limited = false
			tr := mustNew(t, base, c.config)
			do(t, tr, request(t, "https://api.example.com/"))
			began := time.Now()
			r := request(t, "https://api.example.com/")
			c.change(r)
			do(t, tr, r)
			if waited := time.Since(began); (waited > 0) != c.shared {
				t.Errorf("%s: waited %v", c.name, waited)
			}
		}
	})
}

// TestOrder: those that wait are sent in the order in which they came, and one that
// was refused goes first.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []answer{ok, refusal("Retry-After: 1"), ok}, never: true}
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

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestCancelled: a request whose context ends while it waits leaves its place to the
// next one, and is not sent.
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

// TestDeadline: a request that cannot be sent before its deadline fails at once.
func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []answer{{status: 200, header: headers(`RateLimit-Policy: "default";q=1;w=10`, `RateLimit: "default";r=0;t=10`)}, refusal("Retry-After: 10")}}
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
		// One that was sent and refused gets the refusal, at once.
		time.Sleep(11 * time.Second)
		ctx, cancel = context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		began = time.Now()
		if status, body := do(t, tr, request(t, "https://api.example.com/").WithContext(ctx)); status != 429 || body != "refused\n" || time.Since(began) > 0 {
			t.Errorf("status %d with %q after %v", status, body, time.Since(began))
		}
	})
}

// TestQueueTooLong: a request behind so many others that it would wait for longer
// than the cap fails at once, and says so.
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

// TestRefusalIsKept: if the queue turns out to be too long for a request that was
// refused, its caller gets the refusal, with its body.
func TestRefusalIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		long := strings.Repeat("refused\n", 20_000)
		first := refusal("Retry-After: 2")
		first.body = long
		s := &script{answers: []answer{first, refusal("Retry-After: 60"), ok}}
		tr := mustNew(t, s, transport.Config{MaxWait: 3 * time.Second})
		var wg sync.WaitGroup
		wg.Go(func() {
			if status, body := do(t, tr, request(t, "https://api.example.com/")); status != 429 || body != "refused\n" {
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

// TestToldTooLong: while a wait is told that nobody has the time for, requests fail
// at once, and one in each MaxWait asks whether it still holds.
func TestToldTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []answer{refusal("Retry-After: 3600"), refusal("Retry-After: 3600"), ok}}
		tr := mustNew(t, s, transport.Config{})
		for round := range 3 {
			began := time.Now()
			status, _ := do(t, tr, request(t, "https://api.example.com/"))
			if want := map[bool]int{true: 429, false: 200}[round < 2]; status != want || time.Since(began) > 0 {
				t.Errorf("round %d: status %d after %v", round, status, time.Since(began))
			}
			for round < 2 && time.Since(began) < time.Minute {
				err := errorOf(t, tr, request(t, "https://api.example.com/"))
				if w, late := errors.AsType[*transport.WaitError](err); !late || w.Wait < 50*time.Minute {
					t.Fatalf("round %d: %v", round, err)
				}
				time.Sleep(10 * time.Second)
			}
		}
		if want := []time.Duration{0, time.Minute, 2 * time.Minute}; !slices.Equal(s.times, want) {
			t.Errorf("sent at %v, want %v", s.times, want)
		}
	})
}

// TestAskerIsRefused: the newest word on a wait holds, if it is a shorter one, too.
func TestAskerIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []answer{refusal("Retry-After: 3600"), refusal("Retry-After: 10"), ok}}
		tr := mustNew(t, s, transport.Config{})
		do(t, tr, request(t, "https://api.example.com/"))
		time.Sleep(time.Minute)
		if status, _ := do(t, tr, request(t, "https://api.example.com/")); status != 200 || !near(s.times[2]-s.times[1], 10*time.Second) {
			t.Errorf("status %d, sent at %v", status, s.times)
		}
	})
}

// TestLimitsAreGone: limits that are not told any more hold nobody back for ever.
func TestLimitsAreGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limited := ok
		limited.header = headers(`RateLimit-Policy: "default";q=1;w=3600`, `RateLimit: "default";r=0;t=3600`)
		s := &script{answers: []answer{limited, ok}}
		tr := mustNew(t, s, transport.Config{})
		for range 5 {
			do(t, tr, request(t, "https://api.example.com/"))
		}
		if last := s.times[len(s.times)-1]; !near(s.times[1], 30*time.Second) || last != s.times[1] {
			t.Errorf("sent at %v, want one after half of MaxWait, and then all", s.times)
		}
	})
}

// TestObserve shows the events of a request that is refused once.
func TestObserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		config := transport.Config{MaxRetries: 1, Observe: observer(func(e transport.Event) {
			got = append(got, fmt.Sprintln(e.Action, e.Host, e.Attempt, e.Status, e.Wait.Round(time.Second), e.Err))
		})}
		s := &script{answers: []answer{refusal("Retry-After: 2"), ok, refusal("Retry-After: 2"), refusal("Retry-After: 2")}}
		tr := mustNew(t, s, config)
		do(t, tr, request(t, "https://user:secret@api.example.com/?secret"))
		do(t, tr, request(t, "https://user:secret@api.example.com/?secret"))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_ = errorOf(t, tr, request(t, "https://user:secret@api.example.com/?secret").WithContext(ctx))
		want := []string{
			"sent api.example.com 1 0 0s <nil>\n",
			"denied api.example.com 1 429 2s <nil>\n",
			"sent api.example.com 2 0 2s <nil>\n",
			"answered api.example.com 2 200 0s <nil>\n",
			"sent api.example.com 1 0 0s <nil>\n", // one denial tells no rate
			"denied api.example.com 1 429 2s <nil>\n",
			"sent api.example.com 2 0 2s <nil>\n",
			"returned api.example.com 2 429 2s <nil>\n",
			"not sent api.example.com 0 0 0s context canceled\n",
		}
		if !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	})
}

func TestNewFaults(t *testing.T) {
	tr, err := transport.New(nil, transport.Config{MaxWait: -1, MaxPaces: -1})
	if tr != nil || err == nil || strings.Count(err.Error(), "\n") != 1 || !strings.Contains(err.Error(), "MaxWait") || !strings.Contains(err.Error(), "MaxPaces") {
		t.Errorf("%v, %v", tr, err)
	}
}

// closer counts how often its idle connections are closed.
type closer struct {
	roundTripper
	n int
}

func (c *closer) CloseIdleConnections() { c.n++ }

func TestCloseIdleConnections(t *testing.T) {
	c := &closer{}
	client := &http.Client{Transport: mustNew(t, c, transport.Config{})}
	client.CloseIdleConnections()
	if c.n != 1 {
		t.Errorf("called %d times", c.n)
	}
	mustNew(t, roundTripper(func(*http.Request) (*http.Response, error) { return nil, http.ErrHandlerTimeout }), transport.Config{}).CloseIdleConnections() // which cannot
}

// TestRealClient calls a real server, with the default base: one connection serves
// it all, refusals included.
func TestRealClient(t *testing.T) {
	var calls, connections atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		if calls.Add(1)%2 == 1 {
			w.Header().Set("Retry-After-Ms", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = io.WriteString(w, strings.Repeat("no ", 1000))
			return
		}
		_, _ = io.WriteString(w, strconv.Quote(string(text)))
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	client := &http.Client{Transport: mustNew(t, nil, transport.Config{})}
	defer client.CloseIdleConnections()
	for range 3 {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusOK || string(text) != `"hello"` {
			t.Errorf("%d %q %v", response.StatusCode, text, err)
		}
		_ = response.Body.Close()
	}
	if calls.Load() != 6 || connections.Load() != 1 {
		t.Errorf("%d calls over %d connections, want 6 over 1", calls.Load(), connections.Load())
	}
}

// FuzzMaxWait: whatever a server sends, no call takes longer than the cap, and none
// is sent for ever.
func FuzzMaxWait(f *testing.F) {
	names := []string{
		"Date", "Retry-After", "Retry-After-Ms", "Ratelimit", "Ratelimit-Policy", "Ratelimit-Limit", "Ratelimit-Remaining", "Ratelimit-Reset",
		"X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset", "X-Ratelimit-Limit-Requests", "X-Ratelimit-Remaining-Requests",
		"X-Ratelimit-Reset-Requests", "X-Shopify-Shop-Api-Call-Limit",
	}
	for _, values := range []string{ // a line is the number of a name, and a value
		"3 \"default\";r=0;t=1, \"b\";r=3;t=5\n4 \"default\";q=5;w=1, \"b\";q=9;w=3600\n1 1\n2 200",
		"3 limit=100, remaining=50, reset=50\n4 100;w=60",
		"5 10, 10;w=1\n6 0\n7 1",
		"8 5000\n9 0\n10 946688400\n0 Sat, 01 Jan 2000 00:00:00 GMT",
		"11 60\n12 0\n13 6m0s",
		"14 40/40\n1 2.0",
		"1 Sat, 01 Jan 2000 00:00:07 GMT",
		"1 99999999999999999999\n9 -1\n8 NaN",
	} {
		f.Add(values)
	}
	f.Fuzz(func(t *testing.T, text string) {
		synctest.Test(t, func(t *testing.T) {
			h := http.Header{}
			for line := range strings.SplitSeq(text, "\n") {
				number, value, _ := strings.Cut(line, " ")
				if i, err := strconv.Atoi(number); err == nil && i >= 0 {
					h.Add(names[i%len(names)], value)
				}
			}
			s := &script{answers: []answer{{status: 200, header: h}, {status: 429, header: h}, {status: 503, header: h}, {status: 403, header: h}, {status: 429, header: h}}}
			config := transport.Config{MaxWait: 7 * time.Second, MaxRetries: 3}
			tr := mustNew(t, s, config)
			for range 3 {
				var wg sync.WaitGroup
				for range 4 {
					wg.Go(func() {
						began := time.Now()
						response, err := tr.RoundTrip(request(t, "https://api.example.com/"))
						if took := time.Since(began); took > config.MaxWait {
							t.Errorf("took %v with %v", took, h)
						}
						if _, late := errors.AsType[*transport.WaitError](err); err != nil && !late {
							t.Error(err)
						}
						if err == nil {
							_ = response.Body.Close()
						}
					})
				}
				wg.Wait()
			}
			if len(s.times) > 3*4*4 {
				t.Errorf("sent %d requests for 12 calls", len(s.times))
			}
		})
	})
}
