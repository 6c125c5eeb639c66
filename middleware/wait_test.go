package middleware_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

// TestWaitForPeople: the detail of a 429 names a wait in milliseconds below a second, and
// else in units that people read; never shorter than Retry-After-Ms.
func TestWaitForPeople(t *testing.T) {
	for period, want := range map[time.Duration]string{
		time.Microsecond: "1 ms", 200 * time.Millisecond: "200 ms", 999 * time.Millisecond: "999 ms", time.Second: "1s", 1001 * time.Millisecond: "2s", 20 * time.Second: "20s",
		time.Minute: "1m", 90 * time.Second: "1m30s", 30 * time.Minute: "30m", time.Hour: "1h", 24 * time.Hour: "1d", 24*time.Hour - time.Millisecond: "1d", 86_399 * time.Second: "23h59m59s", 25*time.Hour + 500*time.Millisecond: "1d1h1s", 30 * 24 * time.Hour: "30d",
	} {
		synctest.Test(t, func(t *testing.T) {
			h := middleware.Must(middleware.RateLimit(newLimiter(t, ratelimit.Limit{Rate: 1, Period: period, Burst: 1}, ratelimit.Config{}), middleware.Config{}))(hello)
			(call{}).to(h)
			body := (call{}).to(h).Body.String()
			if !strings.Contains(body, " exceeded; retry after "+want+`.","`) || !strings.HasSuffix(body, "}\n") || strings.Count(body, "\n") != 1 {
				t.Errorf("%v: want %q: %s", period, want, body)
			}
		})
	}
}
