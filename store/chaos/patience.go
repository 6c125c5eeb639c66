package chaos

import (
	"runtime"
	"testing"
	"time"
)

// Patience stretches a time limit where the race detector makes everything slower, or
// all goroutines share one core.
func Patience(d time.Duration) time.Duration {
	if raceDetector || runtime.GOMAXPROCS(0) == 1 {
		return 4 * d
	}
	return d
}

// Until waits until done returns true. It ends the test if that takes longer than
// limit, which Patience stretches, and returns how long it took.
func Until(tb testing.TB, limit time.Duration, what string, done func() bool) time.Duration {
	tb.Helper()
	start := time.Now()
	for !done() {
		if time.Since(start) > Patience(limit) {
			tb.Fatalf("waited %v in vain until %s", time.Since(start).Round(time.Millisecond), what)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return time.Since(start)
}
