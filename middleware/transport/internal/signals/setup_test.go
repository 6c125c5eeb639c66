package signals_test

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware/transport/internal/signals"
)

// headers makes a header of "Name: value" lines.
func headers(lines ...string) http.Header {
	h := http.Header{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		h.Add(name, strings.TrimSpace(value))
	}
	return h
}

// year is the longest time that makes sense.
const year = 365 * 24 * time.Hour

func one(l signals.Limit) []signals.Limit { return []signals.Limit{l} }

// A sent is what a server sends, and what is read of it.
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

// noon is the Date of the responses in these tests, 1767614400. That is over, so that
// instants are compared with it, whatever the clock of this machine says.
const noon = "Mon, 05 Jan 2026 12:00:00 GMT"

// parseAt parses lines of a response that was sent at noon, unless they say when.
func parseAt(lines ...string) signals.Limits {
	h := headers(lines...)
	if h.Get("Date") == "" {
		h.Set("Date", noon)
	}
	return signals.Parse(h, time.Now())
}
