package pace_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

// TestTwoNodesFindTheRate checks that two nodes that share a limit of unknown rate do
// not slow each other down more and more.
func TestTwoNodesFindTheRate(t *testing.T) {
	for name, server := range map[string]func() http.Handler{
		"what remains": func() http.Handler { return bucketServer(t, ratelimit.PerSecond(5), reportRemaining) },
		"OpenAI":       func() http.Handler { return bucketServer(t, ratelimit.PerSecond(5), reportOpenAI) },
		"GitHub": func() http.Handler {
			return &windowServer{quota: 300, window: time.Minute, status: http.StatusForbidden, report: reportGitHub}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := workIn(t, 2, network{server(), 5 * time.Millisecond, 15 * time.Millisecond}, 20, 5*time.Minute)
				t.Logf("%d finished, %d sent, %d denied, %d errors", got.total(), got.sent, got.denied, got.errors)
				if got.errors > 0 || got.total() < 1425 || got.denied > got.sent/50 {
					t.Error("want no errors, at least 1425 finished, and at most a fiftieth denied")
				}
			})
		})
	}
}

// TestTwoNodes checks that two nodes use all of a limit that they share, with few
// denials.
func TestTwoNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := network{keyrateServer(t, ratelimit.PerSecond(5), middleware.Config{}), 5 * time.Millisecond, 15 * time.Millisecond}
		got := workIn(t, 2, n, 40, time.Minute)
		t.Logf("%d finished, %d sent, %d denied, %d errors", got.total(), got.sent, got.denied, got.errors)
		if got.errors > 0 || got.total() < 285 || got.denied > got.sent/10 {
			t.Error("want no errors, at least 285 finished, and at most a tenth denied")
		}
	})
}
