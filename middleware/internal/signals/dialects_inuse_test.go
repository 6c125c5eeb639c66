package signals_test

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/middleware/internal/signals"
	"github.com/keyrate/keyrate/middleware/transport"
)

// A fluentServer limits by windows or by a bucket, and reports it as a vendor does.
type fluentServer struct {
	signals.Speaker
	signals.State

	mu     sync.Mutex
	start  time.Time // of the window
	used   int
	tokens float64 // of the bucket
	at     time.Time
	denied int
	served int
	next   time.Time // when it admits a request again
}

func (s *fluentServer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	admits := s.window
	if s.Bucket || s.Speaker.Refill || s.Leaks && s.Speaker.Window == 0 {
		admits = s.bucket
	}
	ok := admits(now)
	s.Report(w.Header(), s.State)
	if ok {
		s.served++
		return
	}
	s.denied++
	w.WriteHeader(http.StatusTooManyRequests)
}

func (s *fluentServer) window(now time.Time) bool {
	if start := now.Truncate(s.State.Window); start.After(s.start) {
		s.start, s.used = start, 0
	}
	s.Reset = s.start.Add(s.State.Window).Sub(now)
	ok := s.used < s.Quota
	if ok {
		s.used++
	}
	s.Remaining = s.Quota - s.used
	if s.next = now; s.Remaining == 0 {
		s.next = now.Add(s.Reset)
	}
	return ok
}

func (s *fluentServer) bucket(now time.Time) bool {
	each := float64(s.State.Window) / float64(s.State.Refill)
	if s.at.IsZero() {
		s.tokens = float64(s.Quota)
	} else {
		s.tokens = min(s.tokens+float64(now.Sub(s.at))/each, float64(s.Quota))
	}
	s.at = now
	ok := s.tokens >= 1
	if ok {
		s.tokens--
	}
	s.Remaining = int(s.tokens)
	s.Reset = time.Duration((float64(s.Quota) - s.tokens) * each)
	s.next = now.Add(time.Duration(max(1-s.tokens, 0) * each))
	return ok
}

// admits reports whether the server admits another request within the given time after
// began. A few of the last tokens may belong to requests under way.
func (s *fluentServer) admits(began time.Time, long time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Remaining > 0 {
		return s.Remaining > fluentWorkers
	}
	return s.next.Sub(began) < long-fluentRounding
}

const (
	fluentWorkers = 20
	// fluentRounding is what resets in whole seconds, and the jitter after a denial,
	// may add to a wait.
	fluentRounding = 3 * time.Second
)

// TestEachDialectInUse checks, for each row that reports a limit, that at most 1 % of
// the calls of 20 workers are denied, and that none fails although the API would have
// answered in time.
func TestEachDialectInUse(t *testing.T) { useEachDialect(t, 90*time.Second) }

func TestEachDialectForTenMinutes(t *testing.T) {
	testkit.Long(t, "needs ten seconds of CPU")
	useEachDialect(t, 10*time.Minute)
}

func useEachDialect(t *testing.T, long time.Duration) {
	for _, speaker := range signals.Speakers() {
		if !speaker.Reports {
			continue
		}
		t.Run(speaker.Who, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newFluentServer(speaker)
				time.Sleep(333 * time.Millisecond) // not at the beginning of a window
				early := useFluently(t, s, long)
				denied := float64(s.denied) / float64(s.served+s.denied)
				t.Logf("%d served, %d denied (%.2f %%), %d given up too early", s.served, s.denied, 100*denied, early)
				// While a limit is used up for longer than MaxWait, one request probes now and then.
				asked := int(long / (transport.DefaultMaxWait / 2))
				if early > 0 || denied > 0.01 && s.denied > asked {
					t.Error("want 1 % denied at most, and none given up too early")
				}
			})
		})
	}
}

func newFluentServer(speaker signals.Speaker) *fluentServer {
	s := &fluentServer{Speaker: speaker, State: signals.State{Quota: 50, Window: 10 * time.Second, Refill: 50}}
	switch {
	case speaker.Leaks && speaker.Window == 0:
		s.Quota, s.State.Refill, s.State.Window = 40, 2, time.Second
	case speaker.Refill:
		s.Quota, s.State.Refill, s.State.Window = 20, 5, time.Second
	case speaker.Window > 0:
		s.State.Window = speaker.Window
		s.Quota = min(max(int(5*speaker.Window.Seconds()), 5), 300)
	}
	return s
}

// useFluently runs workers for a time, and returns how many calls failed too early.
func useFluently(t *testing.T, s *fluentServer, long time.Duration) (early int) {
	tr, err := transport.New(network{s}, transport.Config{})
	if err != nil {
		t.Fatal(err)
	}
	end := time.Now().Add(long)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range fluentWorkers {
		wg.Go(func() {
			for time.Now().Before(end) {
				began := time.Now()
				response, err := tr.RoundTrip(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.example.com/", http.NoBody))
				if err == nil {
					_ = response.Body.Close()
					continue
				}
				late, ok := errors.AsType[*transport.WaitError](err)
				if !ok {
					t.Error(err)
					return
				}
				if time.Now().Before(end) && s.admits(began, transport.DefaultMaxWait) {
					mu.Lock()
					if early++; early == 1 {
						t.Logf("given up, to wait for %v", late.Wait)
					}
					mu.Unlock()
				}
				time.Sleep(10 * time.Second)
			}
		})
	}
	wg.Wait()
	return early
}

// A network runs a handler without a connection. Each way takes 5 to 15 ms.
type network struct{ http.Handler }

func (n network) RoundTrip(r *http.Request) (*http.Response, error) {
	travel := func() { time.Sleep(5*time.Millisecond + rand.N(10*time.Millisecond)) }
	travel()
	w := httptest.NewRecorder()
	n.ServeHTTP(w, r)
	travel()
	return w.Result(), nil
}
