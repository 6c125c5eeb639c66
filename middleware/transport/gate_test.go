package transport_test

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware/transport"
)

// TestFirstAfterADenialGoesAlone: what came back during the wait may be in use by
// another process, so the others wait for the response to one request, for a second.
func TestFirstAfterADenialGoesAlone(t *testing.T) {
	const ms, s = time.Millisecond, time.Second
	slow := func(a answer, takes time.Duration) answer {
		a.takes = takes
		return a
	}
	limited := []string{"X-RateLimit-Limit: 50", "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 1", "Retry-After: 1"}
	for _, c := range []struct {
		name    string
		answers []answer // the last one is that of all others
		times   []time.Duration
	}{
		{"it is admitted", []answer{refusal("Retry-After: 1"), slow(ok, 300*ms), ok}, []time.Duration{0, s, 1300 * ms, 1300 * ms, 1300 * ms}},
		{"after a denial by a limit", []answer{refusal(limited...), slow(ok, 300*ms), ok}, []time.Duration{0, s, 1300 * ms, 1300 * ms, 1300 * ms}},
		{"it is denied again", []answer{refusal("Retry-After: 1"), slow(refusal("Retry-After: 2"), 300*ms), slow(ok, 100*ms), ok}, []time.Duration{0, s, 3300 * ms, 3400 * ms, 3400 * ms, 3400 * ms}},
		{"its response takes long", []answer{refusal("Retry-After: 1"), slow(ok, 5*s), ok}, []time.Duration{0, s, 2 * s, 2 * s, 2 * s}},
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

// TestFirstAfterADenialFails: where that one gets no response, the others wait no longer
// than a second.
func TestFirstAfterADenialFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []answer{refusal("Retry-After: 1"), {}, ok}} // the second has no response
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
