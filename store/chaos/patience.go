package chaos

import (
	"runtime"
	"testing"
	"time"
)

// Patience returns d, or four times d with the race detector or on one core.
func Patience(d time.Duration) time.Duration {
	if raceDetector || runtime.GOMAXPROCS(0) == 1 {
		return 4 * d
	}
	return d
}

// Until waits until done returns true and returns the time that this took. It ends the test
// after Patience(limit).
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
