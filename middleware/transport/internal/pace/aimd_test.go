package pace_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

// TestTwoProcessesFindTheRate: two processes share a limit of which they are not told
// the rate, and neither slows down more and more since the other takes what comes
// back.
func TestTwoProcessesFindTheRate(t *testing.T) {
	for name, server := range map[string]func() http.Handler{
		"what remains": func() http.Handler { return telling(t, ratelimit.PerSecond(5), tellRemaining) },
		"OpenAI":       func() http.Handler { return telling(t, ratelimit.PerSecond(5), tellOpenAI) },
		"GitHub": func() http.Handler {
			return &windowServer{quota: 300, window: time.Minute, status: http.StatusForbidden, tell: tellGitHub}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := workIn(t, 2, network{server(), 5 * time.Millisecond, 15 * time.Millisecond}, 20, 5*time.Minute)
				t.Logf("%d finished, %d sent, %d refused, %d errors", got.total(), got.sent, got.refused, got.errors)
				if got.errors > 0 || got.total() < 1425 || got.refused > got.sent/50 {
					t.Error("want no errors, at least 1425 finished, and at most a fiftieth refused")
				}
			})
		})
	}
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
