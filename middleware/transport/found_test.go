package transport_test

import (
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware/transport"
)

// These tests are named after faults that were found in use and under attack.

// TestPartOfADay: "0.5d" is twelve hours, and no sum of a header overflows.
func TestPartOfADay(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0.5d":         12 * time.Hour,
		"1.25d":        30 * time.Hour,
		"0.999999999d": 86399999913600,
		"364.9d":       364*24*time.Hour + 21*time.Hour + 36*time.Minute,
		"365.5d":       year,
	} {
		if got := transport.Parse(headers("X-Rate-Limit-Limit: "+text, "X-Rate-Limit-Remaining: 1")).All[0].Window; got != want {
			t.Errorf("%s is %v, want %v", text, got, want)
		}
	}
}

// TestLongLinesCostNothing: of a line of a megabyte nothing is copied, whatever it
// is in.
func TestLongLinesCostNothing(t *testing.T) {
	for _, name := range names {
		for _, unit := range []string{"9", ",", ";", `"`, `\`, "=", "a=1;", `"a";r=1,`, " ", "Mon, "} {
			h := http.Header{name: {strings.Repeat(unit, 1<<20/len(unit))}}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			transport.Parse(h)
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 100_000 {
				t.Errorf("%s of %q: %d bytes", name, unit, n)
			}
		}
	}
}
