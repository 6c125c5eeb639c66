// Package clients_test lets clients that others wrote call an API that keyrate limits:
// go-retryablehttp and resty of Go, axios with axios-retry, got and ky of npm, and urllib3
// of Python. The first test file of each says which settings it has.
//
// The record of the server says how many calls were served. These clients know
// Retry-After, in whole seconds, and not Retry-After-Ms: at 5 calls a second each denial
// makes them wait a second, in which the bucket fills up. One caller so gets all of the
// limit.
package clients_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// calls is how many a client must finish, ten times what is admitted at once.
const calls = 50

// An api is a server on loopback that is limited for each X-API-Key, and its record.
type api struct {
	url     string
	limit   ratelimit.Limit
	mu      sync.Mutex
	answers map[string][]answer // by key
}

// An answer is one that the server gave. The decision was made between begin and end.
type answer struct {
	begin, end time.Time
	status     int
}

// startAPI starts an API. Unless it is nil, falsify changes the headers of denials.
func startAPI(t *testing.T, limit ratelimit.Limit, falsify func(http.Header)) *api {
	t.Helper()
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), limit, ratelimit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	limited := middleware.Must(middleware.RateLimit(limiter, middleware.Config{
		Key:        middleware.Header("X-API-Key"),
		RequireKey: true,
	}))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("hello\n"))
	}))
	a := &api{limit: limit, answers: map[string][]answer{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen := &seen{ResponseWriter: w, status: http.StatusOK, falsify: falsify}
		begin := time.Now()
		limited.ServeHTTP(seen, r)
		a.note(r.Header.Get("X-API-Key"), answer{begin, time.Now(), seen.status})
	}))
	t.Cleanup(server.Close)
	a.url = server.URL
	return a
}

// A seen response remembers its status.
type seen struct {
	http.ResponseWriter
	status  int
	falsify func(http.Header)
}

func (s *seen) WriteHeader(status int) {
	s.status = status
	if s.falsify != nil && status == http.StatusTooManyRequests {
		s.falsify(s.Header())
	}
	s.ResponseWriter.WriteHeader(status)
}

func (a *api) note(key string, one answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answers[key] = append(a.answers[key], one)
}

// of returns what a key was answered, in the order in which the calls came.
func (a *api) of(key string) []answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.SortedFunc(slices.Values(a.answers[key]), func(x, y answer) int { return x.begin.Compare(y.begin) })
}

// held counts the answers to a key, which may only be 200 and 429, and
// checks that in no window of time more was admitted than burst + rate * t. That is
// the only time which is asserted, and it is the server's own.
func (a *api) held(t *testing.T, key string) (admitted, denied int) {
	t.Helper()
	answers := a.of(key)
	var served []answer
	for _, one := range answers {
		switch one.status {
		case http.StatusOK:
			served = append(served, one)
		case http.StatusTooManyRequests:
			denied++
		default:
			t.Errorf("%s was answered %d", key, one.status)
		}
	}
	burst := max(a.limit.Burst, a.limit.Rate) // no burst here is less than the rate
	for i, first := range served {
		var end time.Time
		for n, last := range served[i:] {
			if last.end.After(end) {
				end = last.end
			}
			t0 := end.Sub(first.begin)
			if most := burst + int(t0*time.Duration(a.limit.Rate)/a.limit.Period); n+1 > most {
				t.Errorf("%s: %d calls were admitted in %v, and the limit allows %d", key, n+1, t0, most)
			}
		}
	}
	if len(answers) > 0 {
		took := answers[len(answers)-1].end.Sub(answers[0].begin)
		t.Logf("%s: %d admitted and %d denied in %v", key, len(served), denied, took.Round(time.Millisecond))
	}
	return len(served), denied
}

// obeyed checks a caller that makes one call after the other: all of them were served,
// and a call after the wait that Retry-After asked for was admitted.
func (a *api) obeyed(t *testing.T, key string) {
	t.Helper()
	admitted, denied := a.held(t, key)
	if admitted != calls || denied == 0 {
		t.Errorf("%s: %d admitted and %d denied; want %d, and at least one denial", key, admitted, denied, calls)
	}
	answers := a.of(key)
	for i := range answers[1:] {
		if answers[i].status == http.StatusTooManyRequests && answers[i+1].status == http.StatusTooManyRequests {
			t.Errorf("%s: answer %d is a denial, after the wait that answer %d asked for", key, i+2, i+1)
		}
	}
}

// A lie falsifies denials, to show that the tests can fail.
type lie struct {
	name    string
	limit   ratelimit.Limit
	falsify func(http.Header)
}

// lies returns those that no client can finish with.
func lies() []lie {
	return []lie{
		{"asked to come back at once", ratelimit.PerSecond(5), func(h http.Header) {
			h.Set(middleware.HeaderRetryAfter, "0")
			h.Del(middleware.HeaderRetryAfterMs)
		}},
		{"denied whenever it comes back", ratelimit.PerHour(5), func(h http.Header) {
			h.Set(middleware.HeaderRetryAfter, "1")
			h.Del(middleware.HeaderRetryAfterMs)
		}},
	}
}
