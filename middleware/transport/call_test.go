package transport_test

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware/transport"
)

// noon is the Date of responses in these tests, 1767614400. It is past, so instants are
// compared with it and not with the clock of this machine.
const noon = "Mon, 05 Jan 2026 12:00:00 GMT"

// TestWaitsInUse checks how long a denied request waits, by headers that real APIs
// send.
func TestWaitsInUse(t *testing.T) {
	for name, c := range map[string]struct {
		lines []string
		wait  time.Duration
	}{
		"a Unix time":             {[]string{"Retry-After: 1767614460"}, time.Minute},
		"ISO 8601":                {[]string{"Retry-After: 2026-01-05T14:00:00Z"}, 2 * time.Hour},
		"a unit":                  {[]string{"Retry-After: 30s"}, 30 * time.Second},
		"a Unix time for seconds": {[]string{`RateLimit: "default";r=0;t=1767614430`}, 30 * time.Second},
		"years":                   {[]string{`RateLimit: "default";r=0;t=99999999`}, time.Second},
		"an invalid wait":         {[]string{"Retry-After: 99999999999", "X-RateLimit-Limit: 9", "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 30"}, 30 * time.Second},
		"two waits":               {[]string{"Retry-After: 5, 120"}, 2 * time.Minute},
		"two counts":              {[]string{"X-RateLimit-Limit: 10", "X-RateLimit-Remaining: 9, 0", "X-RateLimit-Reset: 20"}, 20 * time.Second},
		"Anthropic":               {[]string{"anthropic-ratelimit-requests-limit: 5", "anthropic-ratelimit-requests-remaining: 0", "anthropic-ratelimit-requests-reset: 2026-01-05T12:00:01Z", "anthropic-ratelimit-tokens-limit: 25000", "anthropic-ratelimit-tokens-remaining: 16000", "anthropic-ratelimit-tokens-reset: 2026-01-05T12:00:01Z", "x-should-retry: true"}, time.Second},
		"Discord":                 {[]string{"x-ratelimit-bucket: 1d3c67957bcdccc6709861c232df8529", "x-ratelimit-limit: 5", "x-ratelimit-remaining: 0", "x-ratelimit-reset: 1767614405.755", "x-ratelimit-reset-after: 5.588", "Retry-After: 6", "x-ratelimit-scope: user"}, 6 * time.Second},
		"Akamai":                  {[]string{"X-RateLimit-Limit: 60", "X-RateLimit-Remaining: 0", "X-RateLimit-Next: 2026-01-05T12:00:01.5Z"}, 1500 * time.Millisecond},
		"BigCommerce":             {[]string{"X-Rate-Limit-Time-Reset-Ms: 15000", "X-Rate-Limit-Requests-Left: 0", "X-Rate-Limit-Requests-Quota: 150", "X-Rate-Limit-Time-Window-Ms: 30000"}, 15 * time.Second},
		"Basecamp":                {[]string{`X-RateLimit: {"name":"API","period":10,"limit":50,"remaining":0,"until":"2026-01-05T12:00:20Z","until_seconds":3}`}, 3 * time.Second},
		"Confluence":              {[]string{"X-RateLimit-Limit: 10", "X-RateLimit-Remaining: 0", "X-RateLimit-Interval-Seconds: 60", "X-RateLimit-FillRate: 2", "retry-after: 0"}, 30 * time.Second},
		"Linear":                  {[]string{"X-RateLimit-Requests-Limit: 1200", "X-RateLimit-Requests-Remaining: 0", "X-RateLimit-Requests-Reset: 1767614430000", "X-Complexity: 12", "X-RateLimit-Complexity-Limit: 250000", "X-RateLimit-Complexity-Remaining: 249988", "X-RateLimit-Complexity-Reset: 1767614430000"}, 30 * time.Second},
		"Path of Exile":           {[]string{"X-Rate-Limit-Policy: trade", "X-Rate-Limit-Rules: Ip,Account", "X-Rate-Limit-Ip: 5:10:60,15:60:300", "X-Rate-Limit-Ip-State: 1:10:0,16:60:299", "X-Rate-Limit-Account: 45:60:120", "X-Rate-Limit-Account-State: 2:60:0"}, 299 * time.Second},
		"only a reset":            {[]string{"X-RateLimit-Reset: 1767614412"}, 12 * time.Second},
		"an API behind a proxy":   {[]string{`RateLimit-Policy: "default";q=5;w=1`, `RateLimit-Policy: "default";q=2;w=1`, `RateLimit: "default";r=4;t=9`, `RateLimit: "default";r=0;t=2`}, 2 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &script{answers: []answer{denial(append(c.lines, "Date: "+noon)...), ok}}
			if status, _ := do(t, mustNew(t, s, transport.Config{MaxWait: 3 * time.Hour}), request(t, "https://api.example.com/")); status != 200 {
				t.Errorf("%s: status %d", name, status)
			}
			if len(s.times) != 2 || !near(s.times[1], c.wait) {
				t.Errorf("%s: sent at %v, want a wait of %v", name, s.times, c.wait)
			}
		})
	}
}

// TestBaseBreaksItsContract checks that whatever base returns, the caller gets a
// response with a body or an error, dropped responses are closed, and the next request
// is sent.
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
		{"a denial and an error", 429, false, reset, 0, 1},
		{"an error, and a response without a body", 200, true, reset, 0, 1},
		{"no body", 200, true, nil, 200, 1},
		{"denials without a body", 429, true, nil, 429, 6},
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

// TestBasePanics checks that the caller gets the panic, the bodies are closed, and the
// next request need not wait.
func TestBasePanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		denied := &trackedBody{Reader: io.LimitReader(endless{}, 1<<20)}
		attempts := 0
		tr := mustNew(t, roundTripper(func(r *http.Request) (*http.Response, error) {
			defer func() { _ = r.Body.Close() }()
			if attempts++; attempts == 1 {
				return &http.Response{StatusCode: http.StatusTooManyRequests, Body: denied, Header: headers("Retry-After: 1"), Request: r}, nil
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
		if body.closed.Load() == 0 || denied.closed.Load() == 0 {
			t.Error("a body is open")
		}
		if attempts != 2 {
			t.Errorf("%d attempts", attempts)
		}
	})
}

// An endless is a reader that never ends.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// TestWaits checks how long a denied request waits, and what its caller gets.
func TestWaits(t *testing.T) {
	for _, c := range []struct {
		name    string
		config  transport.Config
		answers []answer
		status  int
		times   []time.Duration // when it was sent
	}{
		{"as asked, in seconds", transport.Config{}, []answer{denial("Retry-After: 7"), ok}, 200, []time.Duration{0, 7 * time.Second}},
		{"as asked, in milliseconds", transport.Config{}, []answer{denial("Retry-After: 1", "Retry-After-Ms: 300"), ok}, 200, []time.Duration{0, 300 * time.Millisecond}},
		{"until the reset of what is used up", transport.Config{}, []answer{denial("X-RateLimit-Limit: 50", "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 20"), ok}, 200, []time.Duration{0, 20 * time.Second}},
		{"until the first token of a full bucket", transport.Config{}, []answer{denial("X-RateLimit-Limit-Requests: 60", "X-RateLimit-Remaining-Requests: 0", "X-RateLimit-Reset-Requests: 5m"), ok}, 200, []time.Duration{0, 5 * time.Second}},
		{"longer and longer without a Retry-After", transport.Config{}, []answer{denial(), denial(), denial(), ok}, 200, []time.Duration{0, time.Second, 3 * time.Second, 7 * time.Second}},
		{"503 with a wait", transport.Config{}, []answer{{status: 503, header: headers("Retry-After: 2")}, ok}, 200, []time.Duration{0, 2 * time.Second}},
		{"503 without one", transport.Config{}, []answer{{status: 503}, ok}, 503, []time.Duration{0}},
		{"GitHub's secondary limit", transport.Config{}, []answer{{status: 403, header: headers("Retry-After: 30")}, ok}, 200, []time.Duration{0, 30 * time.Second}},
		{"GitHub's primary limit", transport.Config{}, []answer{{status: 403, header: headers("X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 30")}, ok}, 200, []time.Duration{0, 30 * time.Second}},
		{"forbidden for another reason", transport.Config{}, []answer{{status: 403, header: headers(`RateLimit: "default";r=0;t=1`)}, ok}, 403, []time.Duration{0}},
		{"no longer than the cap", transport.Config{}, []answer{denial("Retry-After: 61"), ok}, 429, []time.Duration{0}},
		{"no longer than another cap", transport.Config{MaxWait: 2 * time.Second}, []answer{denial("Retry-After: 3"), ok}, 429, []time.Duration{0}},
		{"no longer than the cap in all", transport.Config{MaxWait: 5 * time.Second}, []answer{denial("Retry-After: 3"), denial("Retry-After: 3"), ok}, 429, []time.Duration{0, 3 * time.Second}},
		{"as long as a larger cap", transport.Config{MaxWait: 2 * time.Hour}, []answer{denial("Retry-After: 3600"), ok}, 200, []time.Duration{0, time.Hour}},
		{"not for months", transport.Config{}, []answer{denial("Retry-After: 9999999"), ok}, 429, []time.Duration{0}},
		{"not for an invalid time", transport.Config{}, []answer{denial("Retry-After: 99999999999999999999"), ok}, 200, []time.Duration{0, time.Second}},
		{"not too often", transport.Config{MaxRetries: 2}, []answer{denial("Retry-After: 1")}, 429, []time.Duration{0, time.Second, 2 * time.Second}},
		{"never again", transport.Config{MaxRetries: -1}, []answer{denial("Retry-After: 1"), ok}, 429, []time.Duration{0}},
		{"not by a stored response", transport.Config{}, []answer{denial("Retry-After: 30", "Age: 1"), ok}, 200, []time.Duration{0, time.Second}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{answers: c.answers}
				want := ""
				switch c.status {
				case 200:
					want = "hello\n"
				case 429:
					want = "denied\n"
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
