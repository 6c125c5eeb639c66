package main

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/store"
)

// callsAt makes calls of one key that were answered 200 at once.
func callsAt(instants ...time.Duration) []call {
	var calls []call
	for _, at := range instants {
		calls = append(calls, call{due: at, sent: at, came: at, status: http.StatusOK})
	}
	return calls
}

// TestWorstWindow: what is too much in some window is found, wherever that begins.
func TestWorstWindow(t *testing.T) {
	const ms = time.Millisecond
	burst := []time.Duration{0, 0, 0, 0, 0}
	later := []time.Duration{9000 * ms, 9000 * ms, 9000 * ms, 9000 * ms, 9000 * ms}
	at := func(begin time.Duration) leave { return leave{losses: []loss{{begin: begin, end: begin + ms}}} }
	for _, c := range []struct {
		name  string
		calls []call
		leave leave
		want  int
	}{
		{"a burst", callsAt(burst...), leave{}, 0},
		{"and a token that came back", callsAt(append(burst, 200*ms)...), leave{}, 0},
		{"one before it came back", callsAt(append(burst, 199*ms)...), leave{}, 1},
		{"two bursts, and one call more at the end", callsAt(append(append(burst, later...), 9001*ms)...), leave{}, 1},
		{"the same, in flight at a loss", callsAt(append(append(burst, later...), 9001*ms)...), at(9001 * ms), 0},
		{"the same, and a loss long before", callsAt(append(append(burst, later...), 9001*ms)...), at(4000 * ms), 1},
	} {
		for i := range c.leave.losses {
			c.leave.losses[i].weigh(c.calls)
		}
		if got := c.leave.worst(c.calls, 0); got != c.want {
			t.Errorf("%s: %d too many, want %d", c.name, got, c.want)
		}
	}
}

// TestVerdictFindsFaults: a demo that could not fail would show nothing.
func TestVerdictFindsFaults(t *testing.T) {
	const lasts = time.Second
	l := newLoad(lasts, lasts)
	deny := func(c *call) { c.status = http.StatusTooManyRequests }
	limited := func(c *call) {
		if deny(c); c.due < lasts/4 { // the first five of each key
			c.status = http.StatusOK
		}
	}
	for _, c := range []struct {
		name   string
		answer func(*call)
		want   string // "": nothing is wrong
	}{
		{"five at once, and four that come back", func(c *call) {
			if limited(c); c.due >= lasts*4/5 && c.due < lasts {
				c.status = http.StatusOK
			}
		}, ""},
		{"deny all", deny, "nine tenths"},
		{"allow all", func(c *call) { c.status = http.StatusOK }, "calls were admitted"},
		{"no answer", func(c *call) { c.status = 0 }, "were answered"},
		{"an error", func(c *call) { c.status = http.StatusInternalServerError }, "were answered"},
		{"no decision here", func(c *call) { limited(c); c.source = store.FromStore }, "hung"},
	} {
		calls := append([]call(nil), l.calls...)
		for i := range calls {
			calls[i].sent, calls[i].came, calls[i].source = calls[i].due, calls[i].due, store.FromShare
			c.answer(&calls[i])
		}
		h := &history{faults: []event{{phase: phase{"hung", hang, lasts}}}}
		var out bytes.Buffer
		err := judge(calls, []row{rowOf(calls, 0, lasts, "hung", nil)}, h, &out)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error %v, want %q\n%s", c.name, err, c.want, &out)
		}
	}
}
