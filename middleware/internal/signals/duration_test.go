package signals_test

import (
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware/internal/signals"
)

// TestPartOfADay checks fractions of days, and that no sum overflows.
func TestPartOfADay(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0.5d":         12 * time.Hour,
		"1.25d":        30 * time.Hour,
		"0.999999999d": 86399999913600,
		"364.9d":       364*24*time.Hour + 21*time.Hour + 36*time.Minute,
		"365d":         year,
		"365.5d":       0, // more than a year is invalid
	} {
		if got := signals.Parse(headers("X-Rate-Limit-Limit: "+text, "X-Rate-Limit-Remaining: 1"), time.Now()).All[0].Window; got != want {
			t.Errorf("%s is %v, want %v", text, got, want)
		}
	}
}
