package table

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/ratelimit/plans"
)

// TestConfigFaults: all faults are reported at once.
func TestConfigFaults(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"}) // heeds no deadlines
	defer client.Close()
	_, err := New(client, plans.TableConfig{}, Config{Prefix: "a b", Poll: -1, Nodes: -2})
	for _, want := range []string{"ContextTimeoutEnabled", "Prefix", "Poll", "Nodes -2", "TableConfig.Default"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in\n%v", want, err)
		}
	}
	if _, err := New(nil, initial(t), Config{}); err == nil {
		t.Error("a client of nil is accepted")
	}
}

// TestPrefixes: two fleets on one Redis do not see each other.
func TestPrefixes(t *testing.T) {
	t.Parallel()
	m := startRedis(t)
	a, b := newNode(t, m.Addr(), Config{Prefix: "one"}).run(t), newNode(t, m.Addr(), Config{Prefix: "two"}).run(t)
	set(t, a, "bob", "9/s")
	set(t, b, "bob", "8/s")
	if limitOf(t, a, "bob") != "9/s" || limitOf(t, b, "bob") != "8/s" || a.Nodes() != 1 {
		t.Error("they share something")
	}
}

// TestRollBack: any version of the trail, and the one before, can be had back; no other.
func TestRollBack(t *testing.T) {
	t.Parallel()
	m := startRedis(t)
	a := newNode(t, m.Addr(), Config{}).run(t)
	limits := []string{"8/s", "9/s", "10/s", "11/s"}
	for _, limit := range limits {
		set(t, a, "bob", limit)
	}
	changes := a.Changes()
	for i, limit := range limits {
		if err := a.RollBack(t.Context(), "operator", changes[len(limits)-1-i].Version); err != nil || limitOf(t, a, "bob") != limit {
			t.Errorf("%v, limit %s, want %s", err, limitOf(t, a, "bob"), limit)
		}
	}
	if err := a.RollBack(t.Context(), "operator", firstVersion); err != nil || limitOf(t, a, "bob") != "7/s" {
		t.Errorf("%v, limit %s", err, limitOf(t, a, "bob"))
	}
	for _, version := range []int64{0, 2, -1, changes[0].Version + 1000_000} {
		if err := a.RollBack(t.Context(), "operator", version); !errors.Is(err, plans.ErrNoVersion) {
			t.Errorf("version %d: %v", version, err)
		}
	}
	n := len(a.Changes())
	if err := a.RollBack(t.Context(), "operator", a.Status().Version); err != nil || len(a.Changes()) != n {
		t.Errorf("a roll back to the version in force: %v", err)
	}
	if c := a.Changes()[0]; c.Who != "operator" || time.Since(c.At).Abs() > patience || !strings.HasPrefix(c.What[0], "rolled back to 1") {
		t.Errorf("%+v", c)
	}
}

// TestTrailIsBounded: it has the last 100 changes, and Redis no more than these.
func TestTrailIsBounded(t *testing.T) {
	t.Parallel()
	m := startRedis(t)
	a := newNode(t, m.Addr(), Config{}).run(t)
	for i := range mostChanges + 5 {
		set(t, a, "bob", policy(t, "1/s").Limits()[0].WithBurst(i+2).String())
	}
	all := a.Changes()
	keys, err := a.server.versions(t.Context())
	undo, err2 := m.HKeys("keyrate:{table}:undo")
	if err != nil || err2 != nil || len(all) != mostChanges || len(keys) != mostChanges || len(undo) != mostChanges {
		t.Errorf("%d changes, %d in Redis with %d parts to undo them; %v, %v", len(all), len(keys), len(undo), err, err2)
	}
	if err := a.RollBack(t.Context(), "operator", all[mostChanges-1].Version); err != nil || limitOf(t, a, "bob") != "1/s;burst=7" {
		t.Errorf("%v, limit %s", err, limitOf(t, a, "bob"))
	}
}

// TestRunEnds with its context, also while Redis hangs.
func TestRunEnds(t *testing.T) {
	t.Parallel()
	m := startRedis(t)
	a := newNode(t, m.Addr(), Config{})
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("the end")
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	until(t, "it runs", func() bool { return a.Status().Running && a.Nodes() == 1 && m.HGet(headKey, "version") == "1" })
	m.SetError("BUSY it hangs")
	cancel(cause)
	select {
	case err := <-done:
		if !errors.Is(err, cause) || a.Status().Running {
			t.Errorf("error %v", err)
		}
	case <-time.After(patience):
		t.Fatal("it goes on")
	}
}
