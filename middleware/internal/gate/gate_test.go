package gate_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware/internal/gate"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// A message is a call of a protocol that is not HTTP.
type message struct{ key, from, kind string }

// newGate returns a gate for messages, 5 a minute, that appends the classes of faults.
func newGate(t *testing.T, c gate.Config[message], faults *[]string) *gate.Gate[message] {
	t.Helper()
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerMinute(5), ratelimit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	c.Key = func(m message) (string, error) {
		switch m.key {
		case "two":
			return "", errors.Join(errors.New("a, b"), gate.ErrKeys)
		case "fails":
			return "k", errors.New("no database")
		case "panics":
			panic("no database")
		}
		return gate.Key(m.key), nil
	}
	c.Address = func(m message) (string, error) {
		if m.from == "two" {
			return "", gate.ErrAddresses
		}
		return " from " + m.from, nil
	}
	c.Peer = func(m message) string { return m.from }
	c.Free = func(m message) bool { return m.kind == "ping" }
	c.Skip = func(m message) bool { return m.kind == "skip" }
	c.OnFault = func(_ context.Context, class string) { *faults = append(*faults, class) }
	c.Logger = slog.New(slog.DiscardHandler)
	return gate.New(limiter, c)
}

// TestDecide takes calls that are not HTTP to a decision.
func TestDecide(t *testing.T) {
	for _, c := range []struct {
		name    string
		call    message
		require bool
		outcome gate.Outcome
		served  bool
		key     string
		err     error
		faults  []string
	}{
		{name: "a key", call: message{key: " k\t"}, outcome: gate.Allowed, served: true, key: "k"},
		{name: "an address", call: message{from: "a"}, outcome: gate.Allowed, served: true, key: " from a"},
		{name: "required", call: message{from: "a"}, require: true, outcome: gate.NoKey},
		{name: "two keys", call: message{key: "two", from: "a"}, outcome: gate.Ambiguous, err: gate.ErrKeys},
		{name: "two addresses", call: message{from: "two"}, outcome: gate.Ambiguous, err: gate.ErrAddresses},
		{name: "an error", call: message{key: "fails", from: "a"}, outcome: gate.Allowed, served: true, key: " from a", faults: []string{gate.FaultKey}},
		{name: "an error, required", call: message{key: "fails", from: "a"}, require: true, outcome: gate.NoKey, faults: []string{gate.FaultKey}},
		{name: "a panic", call: message{key: "panics", from: "a"}, require: true, outcome: gate.Allowed, served: true, key: " from a", faults: []string{gate.FaultKeyPanic}},
		{name: "a panic, two addresses", call: message{key: "panics", from: "two"}, outcome: gate.Ambiguous, err: gate.ErrAddresses, faults: []string{gate.FaultKeyPanic}},
		{name: "free", call: message{kind: "ping"}, outcome: gate.Preflight, served: true},
		{name: "skipped", call: message{kind: "skip"}, outcome: gate.Skipped, served: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var faults []string
			var observed []gate.Call
			g := newGate(t, gate.Config[message]{RequireKey: c.require, Observe: func(_ message, call gate.Call) { observed = append(observed, call) }}, &faults)
			call := gate.Call{Pattern: "p"}
			g.Decide(t.Context(), c.call, &call)
			if call.Outcome != c.outcome || call.Served != c.served || call.Key != c.key || !errors.Is(call.Err, c.err) || call.Pattern != "p" {
				t.Errorf("%+v", call)
			}
			if decided := call.Outcome == gate.Allowed; call.Decided() != decided || (call.Result.Policy() != nil) != decided {
				t.Errorf("decided: %v, %+v", call.Decided(), call)
			}
			if !slices.Equal(faults, c.faults) {
				t.Errorf("faults %q, want %q", faults, c.faults)
			}
			if len(observed) != 1 || observed[0].Outcome != c.outcome {
				t.Errorf("observed %+v", observed)
			}
		})
	}
}

// TestWait: denied calls of one key get places in a queue, also from a gate with another
// cost.
func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var faults []string
		limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerMinute(5), ratelimit.Config{})
		if err != nil {
			t.Fatal(err)
		}
		g := newGate(t, gate.Config[message]{}, &faults).With(limiter, 0)
		two := g.With(limiter, 2)
		wait := func(g *gate.Gate[message], from string) time.Duration {
			var call gate.Call
			g.Decide(t.Context(), message{key: "k", from: from}, &call)
			if call.Served {
				return 0
			}
			return call.Wait
		}
		for range 5 {
			wait(g, "a")
		}
		got := []time.Duration{wait(g, "a"), wait(g, "b"), wait(two, "c")}
		if want := []time.Duration{12 * time.Second, 24 * time.Second, 48 * time.Second}; !slices.Equal(got, want) {
			t.Errorf("waits %v, want %v", got, want)
		}
	})
}
