package signals_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware/internal/signals"
)

// TestExactWindow checks that keyrate's own parameter refines a window that is rounded
// to seconds, and no other.
func TestExactWindow(t *testing.T) {
	for params, want := range map[string]time.Duration{
		"q=1;w=1;keyrate-window-us=200000":                    200 * time.Millisecond,
		"keyrate-window-us=200000;q=1;w=1":                    200 * time.Millisecond,
		"q=11;w=3;keyrate-window-us=2200000":                  2200 * time.Millisecond,
		"q=1;w=1;keyrate-window-us=1":                         time.Microsecond,
		"q=1;w=1":                                             time.Second,
		"q=1;w=1;keyrate-window-us=0":                         time.Second,
		"q=1;w=1;keyrate-window-us=-200000":                   time.Second,
		"q=1;w=1;keyrate-window-us=1000001":                   time.Second,
		"q=1;w=3;keyrate-window-us=200000":                    3 * time.Second, // differs by more than rounding
		"q=1;w=1;keyrate-window-us=99999999999999999999":      time.Second,
		"q=1;w=1;keyrate-window-us=NaN":                       time.Second,
		"q=1;w=1;acme-window-us=200000":                       time.Second,
		"q=1;w=1;keyrate-window-us=\"200000\";acme-comment=a": 200 * time.Millisecond,
	} {
		l := signals.Parse(headers(fmt.Sprintf(`RateLimit-Policy: "default";%s`, params), `RateLimit: "default";r=0;t=1`), time.Now())
		if len(l.All) != 1 || l.All[0].Window != want {
			t.Errorf("%s: %+v, want a window of %v", params, l.All, want)
		}
	}
}
