package signals_test

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware/internal/signals"
)

// times are the forms of waits and resets, and how long each is from noon.
var times = map[string]time.Duration{
	// Numbers, and units.
	"30": 30 * time.Second, " 30 ": 30 * time.Second, "2.5": 2500 * time.Millisecond, ".5": 500 * time.Millisecond, `"30"`: 30 * time.Second,
	"30s": 30 * time.Second, "200ms": 200 * time.Millisecond, "6m0s": 6 * time.Minute, "1.5h": 90 * time.Minute,
	"1d2h3m4s": 26*time.Hour + 3*time.Minute + 4*time.Second, "2d": 48 * time.Hour, "1w": 7 * 24 * time.Hour,
	"30 seconds": 30 * time.Second, "1 minute": time.Minute, "2 hours 5 min": 125 * time.Minute, "1m 30s": 90 * time.Second,
	"7.66s": 7660 * time.Millisecond, "500us": 500 * time.Microsecond, "500µs": 500 * time.Microsecond,
	"PT30S": 30 * time.Second, "PT1M30S": 90 * time.Second, "P1DT2H": 26 * time.Hour, "pt0.5s": 500 * time.Millisecond,
	"00:00:30": 30 * time.Second, "01:02:03": time.Hour + 2*time.Minute + 3*time.Second, "1.00:00:00": 24 * time.Hour,
	"30;comment=soon": 30 * time.Second,

	// Unix times, in the unit of their magnitude.
	"1767614430": 30 * time.Second, "1767614430.5": 30500 * time.Millisecond, "1767614700000": 5 * time.Minute, "1767614700000.5": 5*time.Minute + 500*time.Microsecond, "1767614700000000": 5 * time.Minute,
	"1767614700000000000": 5 * time.Minute, "@1767614430": 30 * time.Second, "1767614399": 0,

	// HTTP dates, and similar ones.
	"Mon, 05 Jan 2026 12:05:00 GMT": 5 * time.Minute, "Mon, 5 Jan 2026 12:05:00 GMT": 5 * time.Minute, "Mon, 5 Jan 2026 12:05:00 UTC": 5 * time.Minute,
	"Mon, 05 Jan 2026 12:05:00 +0000": 5 * time.Minute, "Mon, 05 Jan 2026 13:05:00 +0100": 5 * time.Minute, "Mon, 05 Jan 2026 07:05:00 EST": 5 * time.Minute,
	"Mon, 05 Jan 2026 04:05:00 PST": 5 * time.Minute, "Monday, 05-Jan-26 12:05:00 GMT": 5 * time.Minute, "Mon Jan  5 12:05:00 2026": 5 * time.Minute,
	"05 Jan 2026 12:05:00 GMT": 5 * time.Minute, "Mon, 05-Jan-2026 12:05:00 GMT": 5 * time.Minute, "Mon, 05 Jan 2026 12:05 GMT": 5 * time.Minute,
	"Mon Jan 05 2026 12:05:00 GMT+0000 (Coordinated Universal Time)":   5 * time.Minute,
	"Mon Jan 05 2026 13:05:00 GMT+0100 (Central European Winter Time)": 5 * time.Minute,
	"Mon, 05 Jan 2026 11:59:00 GMT":                                    0,

	// ISO 8601.
	"2026-01-05T12:05:00Z": 5 * time.Minute, "2026-01-05T12:05Z": 5 * time.Minute, "2026-01-05T12:05:00": 5 * time.Minute, "2026-01-05T12:05": 5 * time.Minute,
	"2026-01-05T13:05:00+01:00": 5 * time.Minute, "2026-01-05T13:05:00+0100": 5 * time.Minute, "2026-01-05T13:05+01": 5 * time.Minute,
	"2026-01-05T12:05:00.250Z": 5*time.Minute + 250*time.Millisecond, "2026-01-05T12:05:00.2500000Z": 5*time.Minute + 250*time.Millisecond,
	"2026-01-05 12:05:00": 5 * time.Minute, "2026-01-05 12:05:00 UTC": 5 * time.Minute, "2026-01-05 12:05:00 +0000": 5 * time.Minute, "2026-01-05t12:05:00z": 5 * time.Minute,
	"2026-01-05T12:05:00Z[UTC]": 5 * time.Minute, "20260105T120500Z": 5 * time.Minute, "2026-01-06": 12 * time.Hour, "2026-01-05T12:05:00.000+0000": 5 * time.Minute, "2026-01-05T12:05:00 +00:00": 5 * time.Minute, "2026-01-05T07:05-05:00": 5 * time.Minute, "2026-01-05T14:00:00Z": 2 * time.Hour,
}

// nonsense are invalid times.
var nonsense = []string{
	"", " ", ".", "-1", "-30s", "+Inf", "NaN", "0x10", "1e3", "soon", "later", "30x", "s", "30s30", "1 2", "P", "PT", "P1M", "PT1D", "PTS", "1:2", "a:b:c", "30::",
	"99999999999999999999", "31536001", "31536000.5", "1:2:3:4", "499999999", "9999999999", "366d", "8761h", "1800000000000", "Fri, 31 Dec 9999 23:59:59 GMT", "9999-12-31T23:59:59Z", "99999999:00:00",
	"Foo 05 Jan 2026 12:05:00 GMT", "Mon, 05 Jan 2026 12:05:00 XYZ", "Mon, 32 Jan 2026 12:05:00 GMT", "2026-13-05T12:05:00Z", "2026-01-05T25:05:00Z", "2026-01-05T", "T12:05:00Z",
	"Mon", "Mon,", "Mon, ", "2026-01-0", "[]", "(", "12:05:00 GMT", strings.Repeat("9", 65), strings.Repeat("1s", 40),
}

// TestFormsOfTimes checks that each form is read in every header with a time.
func TestFormsOfTimes(t *testing.T) {
	for text, want := range times {
		if got := parseAt("Retry-After: " + text).RetryAfter; got != want {
			t.Errorf("Retry-After: %s is %v, want %v", text, got, want)
		}
		for _, name := range []string{"X-RateLimit", "RateLimit", "X-Rate-Limit"} {
			l := parseAt(name+"-Limit: 9", name+"-Remaining: 3", name+"-Reset: "+text)
			if want := one(signals.Limit{Quota: 9, Remaining: 3, Reset: want}); !reflect.DeepEqual(l.All, want) {
				t.Errorf("%s-Reset: %s is %+v, want %+v", name, text, l.All, want)
			}
		}
		if strings.ContainsAny(text, `;"`) {
			continue
		}
		for _, quoted := range []string{text, `"` + text + `"`} {
			l := parseAt(`RateLimit: "a";r=3;t=` + quoted)
			if strings.Contains(text, ",") && quoted == text {
				continue // a comma ends a parameter
			}
			if want := one(signals.Limit{Name: "a", Remaining: 3, Reset: want}); !reflect.DeepEqual(l.All, want) {
				t.Errorf("t=%s is %+v, want %+v", quoted, l.All, want)
			}
		}
	}
}

// TestFormsOfMilliseconds checks that a number is in the unit of its header, and other
// forms in their own.
func TestFormsOfMilliseconds(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"200": 200 * time.Millisecond, "250.5": 250500 * time.Microsecond, "1500": 1500 * time.Millisecond, "2s": 2 * time.Second, "200, 300": 300 * time.Millisecond,
		"1767614430000": 30 * time.Second, "2026-01-05T12:05:00Z": 5 * time.Minute, "Mon, 05 Jan 2026 12:05:00 GMT": 5 * time.Minute,
		"soon": 7 * time.Second, "0": 7 * time.Second, "99999999999999999999": 7 * time.Second,
	} {
		for _, name := range []string{"Retry-After-Ms", "X-Ms-Retry-After-Ms"} {
			if got := parseAt(name+": "+text, "Retry-After: 7").RetryAfter; got != want {
				t.Errorf("%s: %s is %v, want %v", name, text, got, want)
			}
		}
	}
}

// TestNonsense checks that an invalid value is ignored, and the values beside it count.
func TestNonsense(t *testing.T) {
	for _, text := range nonsense {
		if got := parseAt("Retry-After: " + text); !reflect.DeepEqual(got, signals.Limits{}) {
			t.Errorf("Retry-After: %s is %+v, want nothing", text, got)
		}
		if got := parseAt("Retry-After-Ms: "+text, "Retry-After: 7").RetryAfter; got != 7*time.Second && strings.Trim(text, "0123456789.") != "" {
			t.Errorf("Retry-After-Ms: %s is %v", text, got)
		}
		l := parseAt("X-RateLimit-Limit: 9", "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: "+text, `RateLimit: "a";r=0;t=`+text)
		for _, limit := range l.All {
			if limit.Reset != 0 {
				t.Errorf("reset %s is %+v", text, limit)
			}
		}
	}
}

// TestRetryAfterOfUnixTime checks that a Unix time is compared with the Date of the
// response.
func TestRetryAfterOfUnixTime(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"1746136938": time.Minute, "1746136938.25": 60250 * time.Millisecond, "1746136938000": time.Minute, "1746136878": 0, "1746136000": 0,
	} {
		got := parseAt("Date: Thu, 01 May 2025 22:01:18 GMT", "Retry-After: "+text).RetryAfter
		if got != want {
			t.Errorf("%s is %v, want %v", text, got, want)
		}
	}
}

// TestSeveralTimes checks that the longest of several values counts, and that the comma
// of a date does not separate two of them.
func TestSeveralTimes(t *testing.T) {
	for want, lines := range map[time.Duration][][]string{
		120 * time.Second: {{"5, 120"}, {"120, 5"}, {"5", "120"}, {"120, soon"}, {"x, 2m, 1"}, {"Mon, 05 Jan 2026 12:02:00 GMT, 5"}, {"5, Mon, 05 Jan 2026 12:02:00 GMT"}, {"5", "Mon, 05 Jan 2026 12:02:00 GMT"}, {"Monday, 05-Jan-26 12:02:00 GMT, Mon, 05 Jan 2026 12:01:00 GMT"}},
		0:                 {{"soon, later"}, {","}, {"", ""}, {"0, 0"}, {"-1, -2"}},
	} {
		for _, values := range lines {
			h := http.Header{"Retry-After": values, "Date": {noon}}
			if got := signals.Parse(h, time.Now()).RetryAfter; got != want {
				t.Errorf("%q is %v, want %v", values, got, want)
			}
		}
	}
}
