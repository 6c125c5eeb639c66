package redis

import (
	"context"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/keyrate/keyrate/benchmarks/internal/library"
)

// generous admits every call.
type generous struct{ loopAlone }

// Nodes that share a limit must admit what it allows, with leases as without; a limiter that
// admits more must be found.
func TestNodesThatShareALimit(t *testing.T) {
	server := Require(t)
	s := Setting{Network: "unix", Address: server.socket}
	for i, name := range []string{library.Ours, withLeases, "redis_rate"} {
		l := redisLibraries[redisPlace(name)]
		found, err := exceed(t.Context(), l, s, exceedFirst+2*i, 1200*time.Millisecond)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if found["over_tokens"] >= 1 || found["of_bound"] < 50 {
			t.Errorf("%s: %v", name, found)
		}
	}
	wrong := redisLibrary{name: "generous", exact: true, open: func(Setting) (Limiter, error) { return generous{}, nil }}
	if _, err := exceed(t.Context(), wrong, s, 0, 600*time.Millisecond); err == nil || !regexp.MustCompile("wrong answers").MatchString(err.Error()) {
		t.Errorf("a limiter that admits all calls: got %v, want an error about wrong answers", err)
	}
	slow := redisLibrary{name: "slow", open: openLocal(400 * time.Millisecond)}
	found, err := exceed(t.Context(), slow, s, exceedFirst+100, 800*time.Millisecond)
	if err != nil || found["over_percent"] < 5 {
		t.Errorf("counters that hear of each other every 400 ms are not over the limit: %v, %v", found, err)
	}
}

// Busy keys must be decided in memory, or the rows with leases measure something else.
func TestLeasesAreSpent(t *testing.T) {
	server := Require(t)
	l, err := openLeases(Setting{Network: "unix", Address: server.socket, Limit: redisPlenty})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	allow := func(calls int) {
		for range calls {
			if ok, err := l.Allow(context.Background(), "key"); err != nil || !ok { //nolint:usetesting // that of a test takes a lock
				t.Fatal(ok, err)
			}
		}
	}
	allow(20_000)
	before, err := ReadInfo(t.Context(), server.Admin)
	if err != nil {
		t.Fatal(err)
	}
	const calls = 100_000
	allow(calls)
	after, err := ReadInfo(t.Context(), server.Admin)
	if err != nil {
		t.Fatal(err)
	}
	if trips := after.Since(before, Suffixed(Scripts, ".calls")...); trips > calls/100 {
		t.Errorf("%v trips for %d calls", trips, calls)
	}
}

func TestOverLimit(t *testing.T) {
	limit := library.Limit{Tokens: 4, Per: time.Second}
	for _, c := range []struct {
		admitted        []time.Duration
		tokens, percent float64
	}{
		{nil, 0, 0},
		{slices.Repeat([]time.Duration{0}, 4), 0, 0},
		{slices.Repeat([]time.Duration{0}, 5), 1, 25},
		{[]time.Duration{250 * time.Millisecond, 0, 0, 0, 0}, 0, 0},
		{[]time.Duration{time.Second, 0, 0, 0, 0, 0, 0}, 2, 50},
	} {
		tokens, percent := overLimit(c.admitted, limit)
		if tokens != c.tokens || percent != c.percent {
			t.Errorf("%v: %v tokens, %v %%, want %v and %v", c.admitted, tokens, percent, c.tokens, c.percent)
		}
	}
}
