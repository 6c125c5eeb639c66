package pace_test

import (
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

func reportRetryAfterOfWindow(h http.Header, _, _ int, ends time.Time, denied bool) {
	if denied {
		h.Set("Retry-After", strconv.Itoa(int((time.Until(ends)+time.Second-1)/time.Second)))
	}
}

// TestNoHistory checks that the first denial of a client sets a wait and no rate:
// others may have used up the limit before.
func TestNoHistory(t *testing.T) {
	window := func(quota int, window time.Duration, used int) http.Handler {
		return &windowServer{quota: quota, window: window, status: http.StatusTooManyRequests, report: reportRetryAfterOfWindow, start: time.Now().Truncate(window), used: used}
	}
	for _, c := range []struct {
		name    string
		server  func(t *testing.T) http.Handler
		workers int
		least   int     // served in three minutes
		denied  float64 // at most, of all
	}{
		{"60 a minute, used up", func(*testing.T) http.Handler { return window(60, time.Minute, 60) }, 1, 145, 0.1},
		{"15 in 15 seconds, used up, 20 workers", func(*testing.T) http.Handler { return window(15, 15*time.Second, 15) }, 20, 145, 0.25},
		{"60 a minute, used up but for three", func(*testing.T) http.Handler { return window(60, time.Minute, 57) }, 1, 145, 0.1},
		{"20 in ten seconds, used up", func(*testing.T) http.Handler { return window(20, 10*time.Second, 20) }, 1, 300, 0.1},
		{"1000 a minute, used up", func(*testing.T) http.Handler { return window(1000, time.Minute, 1000) }, 1, 2000, 0.1},
		{"a bucket of 60, 1 a second, empty", func(t *testing.T) http.Handler {
			server := bucketServer(t, ratelimit.PerMinute(60), reportRetryAfter)
			for range 60 {
				do(t, network{handler: server}, request(t, "https://api.example.com/"))
			}
			return server
		}, 1, 160, 0.1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(30 * time.Second) // half of the first minute is over
				got := work(t, network{c.server(t), 5 * time.Millisecond, 15 * time.Millisecond}, c.workers, 3*time.Minute)
				t.Logf("%d finished, %d sent, %d denied, %d errors", got.total(), got.sent, got.denied, got.errors)
				if got.errors > 0 || got.total() < c.least || float64(got.denied) > c.denied*float64(got.sent) {
					t.Errorf("want no errors, at least %d finished, and at most %g of all denied", c.least, c.denied)
				}
			})
		})
	}
}
