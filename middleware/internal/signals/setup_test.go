package signals_test

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware/internal/signals"
)

// headers returns a header with lines of the form "Name: value".
func headers(lines ...string) http.Header {
	h := http.Header{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		h.Add(name, strings.TrimSpace(value))
	}
	return h
}

// year is the longest valid time.
const year = 365 * 24 * time.Hour

func one(l signals.Limit) []signals.Limit { return []signals.Limit{l} }

// A sent is what a server sends, and what Parse reads.
type sent struct {
	lines []string
	want  []signals.Limit
}

func checkSent(t *testing.T, cases []sent) {
	t.Helper()
	for _, c := range cases {
		if got := parseAt(c.lines...).All; !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q:\n got %+v\nwant %+v", c.lines, got, c.want)
		}
	}
}

// noon is the Date of responses in these tests, 1767614400. It is past, so instants are
// compared with it and not with the clock of this machine.
const noon = "Mon, 05 Jan 2026 12:00:00 GMT"

// parseAt parses a response that was sent at noon, unless the lines have a Date.
func parseAt(lines ...string) signals.Limits {
	h := headers(lines...)
	if h.Get("Date") == "" {
		h.Set("Date", noon)
	}
	return signals.Parse(h, time.Now())
}
