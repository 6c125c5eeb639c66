package redisstore

import (
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
)

// wantInTime fails the test if a decision with the default budget took more than 20 ms
// beyond it, and more than the machine stalled.
func wantInTime(t testing.TB, stalls *testkit.Stalls, what string, took time.Duration) {
	t.Helper()
	if most := stalls.Widen(ratelimit.DefaultTimeout+20*time.Millisecond, time.Time{}); took > most {
		t.Errorf("%s took %v; want %v at most", what, took, most)
	}
}
