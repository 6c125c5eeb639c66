package transport_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware/transport"
)

// TestFirstAfterADenialGoesAlone checks that after a wait, requests wait for the
// response to the first one, for a second at most: another node may use what came back.
func TestFirstAfterADenialGoesAlone(t *testing.T) {
	const ms, s = time.Millisecond, time.Second
	slow := func(a answer, takes time.Duration) answer {
		a.takes = takes
		return a
	}
	limited := []string{"X-RateLimit-Limit: 50", "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 1", "Retry-After: 1"}
	for _, c := range []struct {
		name    string
		answers []answer // the last one repeats
		times   []time.Duration
	}{
		{"it is admitted", []answer{denial("Retry-After: 1"), slow(ok, 300*ms), ok}, []time.Duration{0, s, 1300 * ms, 1300 * ms, 1300 * ms}},
		{"after a denial by a limit", []answer{denial(limited...), slow(ok, 300*ms), ok}, []time.Duration{0, s, 1300 * ms, 1300 * ms, 1300 * ms}},
		{"it is denied again", []answer{denial("Retry-After: 1"), slow(denial("Retry-After: 2"), 300*ms), slow(ok, 100*ms), ok}, []time.Duration{0, s, 3300 * ms, 3400 * ms, 3400 * ms, 3400 * ms}},
		{"its response takes long", []answer{denial("Retry-After: 1"), slow(ok, 5*s), ok}, []time.Duration{0, s, 2 * s, 2 * s, 2 * s}},
		{"at once, where nothing was denied", []answer{ok}, []time.Duration{0, 0, 0, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &script{answers: c.answers}
				tr := mustNew(t, server, transport.Config{})
				var wg sync.WaitGroup
				for range 4 {
					wg.Go(func() {
						if status, _ := do(t, tr, request(t, "https://api.example.com/")); status != 200 {
							t.Errorf("status %d", status)
						}
					})
				}
				wg.Wait()
				if !slices.EqualFunc(server.times, c.times, near) {
					t.Errorf("sent at %v, want %v", server.times, c.times)
				}
			})
		})
	}
}

// TestFirstAfterADenialFails checks that the others wait at most a second if the first
// request after a wait gets no response.
func TestFirstAfterADenialFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []answer{denial("Retry-After: 1"), {}, ok}} // the second has no response
		tr := mustNew(t, s, transport.Config{})
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if response, err := tr.RoundTrip(request(t, "https://api.example.com/")); err == nil {
					_ = response.Body.Close()
				}
			})
		}
		wg.Wait()
		if n := len(s.times); n < 4 || s.times[n-1] > 2500*time.Millisecond {
			t.Errorf("sent at %v, want the others a second after the one that failed", s.times)
		}
	})
}

// TestDenialOfOneLimit checks that a denial that names a limit delays the requests that
// count against it, and one that names none delays all.
func TestDenialOfOneLimit(t *testing.T) {
	for name, c := range map[string]struct {
		denied answer
		held   bool // the others
	}{
		"names the limit that is used up": {denying(429, "Retry-After: 30", "X-RateLimit-Limit: 30", "X-RateLimit-Remaining: 0", "X-RateLimit-Resource: search"), false},
		"IETF, of two limits":             {denying(429, "Retry-After: 30", `RateLimit-Policy: "search";q=30;w=60, "core";q=5000;w=3600`, `RateLimit: "search";r=0;t=30, "core";r=4000;t=3000`), false},
		"names a limit that is not":       {denying(403, "Retry-After: 30", "X-RateLimit-Limit: 30", "X-RateLimit-Remaining: 7", "X-RateLimit-Resource: search"), true},
		"names none":                      {denying(429, "Retry-After: 30"), true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := mustNew(t, roundTripper(func(r *http.Request) (*http.Response, error) {
					a := answer{status: 200, header: headers("X-RateLimit-Limit: 5000", "X-RateLimit-Remaining: 4000", "X-RateLimit-Reset: 3000", "X-RateLimit-Resource: core")}
					if strings.HasPrefix(r.URL.Path, "/search") {
						a = c.denied
					}
					return (&script{answers: []answer{a}}).RoundTrip(r)
				}), transport.Config{MaxRetries: -1})
				core := func() time.Duration {
					began := time.Now()
					do(t, tr, request(t, "https://api.example.com/repos/a/b"))
					do(t, tr, request(t, "https://api.example.com/user"))
					return time.Since(began)
				}
				core()
				do(t, tr, request(t, "https://api.example.com/search/issues"))
				if waited := core(); (waited > 20*time.Second) != c.held {
					t.Errorf("the others waited %v", waited)
				}
			})
		})
	}
}

// TestOvertakenDenial checks that a denial that arrives after the response to a later
// request still shows that a limit is a window: from then on, no request is sent before
// its end while none remains.
func TestOvertakenDenial(t *testing.T) {
	const ms, s = time.Millisecond, time.Second
	synctest.Test(t, func(t *testing.T) {
		reporting := func(a answer, remaining string, takes time.Duration) answer {
			a.takes = takes
			a.header = headers(`RateLimit-Policy: "default";q=4;w=10`, `RateLimit: "default";r=`+remaining+`;t=10`)
			if a.status == http.StatusTooManyRequests {
				a.header.Set("Retry-After", "10")
			}
			return a
		}
		server := &script{answers: []answer{
			reporting(ok, "3", 0), reporting(denial(), "0", 100*ms), reporting(ok, "0", 50*ms),
			reporting(ok, "0", 0), reporting(ok, "3", 0),
		}}
		tr := mustNew(t, server, transport.Config{})
		do(t, tr, request(t, "https://api.example.com/"))
		var wg sync.WaitGroup
		wg.Go(func() { do(t, tr, request(t, "https://api.example.com/")) })
		time.Sleep(ms)
		do(t, tr, request(t, "https://api.example.com/"))
		wg.Wait()
		do(t, tr, request(t, "https://api.example.com/"))
		if want := []time.Duration{0, 0, ms, 10*s + 100*ms, 20*s + 100*ms}; !slices.EqualFunc(server.times, want, near) {
			t.Errorf("sent at %v, want %v", server.times, want)
		}
	})
}
