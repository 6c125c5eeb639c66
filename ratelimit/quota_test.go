package ratelimit_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

// TestQuotaArithmetic: of a client that takes every token, N(t) = burst + floor(rate*t/period)
// calls are admitted up to the time t, as docs/limits.md says.
func TestQuotaArithmetic(t *testing.T) {
	for _, c := range []struct {
		text string
		at   time.Duration
		want int
	}{
		{"1000/30d", 0, 1000},
		{"1000/30d", 30*24*time.Hour - time.Microsecond, 1999},
		{"1000/30d", 30 * 24 * time.Hour, 2000},
		{"900/30d;burst=100", 0, 100},
		{"900/30d;burst=100", 30*24*time.Hour - time.Microsecond, 999},
		{"900/30d;burst=100", 30 * 24 * time.Hour, 1000},
		{"1000/30d;burst=1", 30*24*time.Hour - time.Microsecond, 1000},
		{"1000/30d;burst=1", 30 * 24 * time.Hour, 1001},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newLimiter(t, parsed(t, c.text), ratelimit.Config{})
			begun, n := time.Now(), 0
			for {
				r := allow(t, l, "k", 1)
				if r.Allowed {
					n++
					continue
				}
				if time.Since(begun)+r.RetryAfter() > c.at {
					break
				}
				time.Sleep(r.RetryAfter())
			}
			limit := l.Limits().(*ratelimit.Policy).Limits()[0] //nolint:errcheck // it is one
			formula := limit.Burst + int(int64(limit.Rate)*int64(c.at/time.Microsecond)/int64(limit.Period/time.Microsecond))
			if n != c.want || n != formula {
				t.Errorf("%s: %d were admitted in %v, want %d, and %d by the formula", c.text, n, c.at, c.want, formula)
			}
		})
	}
}
