package table

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit/plans"
)

// TestChangeHoldsEverywhere: a limit changed at one node holds on all, and is in the trail of all.
func TestChangeHoldsEverywhere(t *testing.T) {
	t.Parallel()
	m := startRedis(t)
	a, b, c := newNode(t, m.Addr(), Config{}).run(t), newNode(t, m.Addr(), Config{}).run(t), newNode(t, m.Addr(), Config{}).run(t)
	wantLimit(t, "bob", "7/s", a, b, c)
	set(t, a, "bob", "9/s")
	wantLimit(t, "bob", "9/s", a, b, c)
	set(t, b, "alice", "1/s")
	wantLimit(t, "alice", "1/s", a, b, c)
	wantLimit(t, "bob", "9/s", a, b, c)
	for _, n := range []*testNode{a, b, c} {
		until(t, "the trail has both changes", func() bool { return len(n.Changes()) == 2 })
		if got := trailOf(n); !strings.Contains(got, "7/s -> 9/s") || !strings.Contains(got, "plan gold -> 1/s") || strings.Contains(got, "bob") {
			t.Errorf("trail:\n%s", got)
		}
	}
}

// TestConflict: of two operators that edit one version, one gets ErrChanged.
func TestConflict(t *testing.T) {
	t.Parallel()
	m := startRedis(t)
	a, b := newNode(t, m.Addr(), Config{}).run(t), newNode(t, m.Addr(), Config{}).run(t)
	set(t, a, "bob", "8/s")
	wantLimit(t, "bob", "8/s", a, b)
	atA, atB := a.Snapshot(), b.Snapshot()
	mine := initial(t)
	mine.Default = policy(t, "6/s")
	if _, err := a.Replace(t.Context(), "a", atA, mine); err != nil {
		t.Fatal(err)
	}
	theirs := initial(t)
	theirs.Default = policy(t, "4/s")
	if _, err := b.Replace(t.Context(), "b", atB, theirs); !errors.Is(err, plans.ErrChanged) {
		t.Errorf("error %v", err)
	}
	wantLimit(t, "unlisted", "6/s", a, b)
	if _, err := b.Replace(t.Context(), "b", b.Snapshot(), theirs); err != nil {
		t.Error(err)
	}
	wantLimit(t, "unlisted", "4/s", a, b)
}

// TestEmptied: a Redis that comes back empty gets the table and the trail back.
func TestEmptied(t *testing.T) {
	t.Parallel()
	m := startRedis(t)
	a, b := newNode(t, m.Addr(), Config{}).run(t), newNode(t, m.Addr(), Config{}).run(t)
	for _, limit := range []string{"8/s", "9/s", "10/s"} {
		set(t, a, "bob", limit)
	}
	wantLimit(t, "bob", "10/s", a, b)
	until(t, "b has the trail", func() bool { return len(b.Changes()) == 3 })
	version := a.Status().Version
	m.FlushAll()
	until(t, "the table is back", func() bool { return m.HGet("keyrate:{table}:head", "version") != "" })
	newcomer := newNode(t, m.Addr(), Config{}).run(t)
	wantLimit(t, "bob", "10/s", a, b, newcomer)
	until(t, "the newcomer has the trail", func() bool { return len(newcomer.Changes()) == 3 })
	if v := newcomer.Status().Version; v != version {
		t.Errorf("version %d, want %d", v, version)
	}
	if err := newcomer.RollBack(t.Context(), "operator", newcomer.Changes()[2].Version); err != nil {
		t.Fatal(err)
	}
	wantLimit(t, "bob", "8/s", a, b, newcomer)
}

// TestOverrideEnds: an override holds everywhere and ends everywhere, and the trail has both.
func TestOverrideEnds(t *testing.T) {
	t.Parallel()
	m := startRedis(t)
	a, b := newNode(t, m.Addr(), Config{}).run(t), newNode(t, m.Addr(), Config{}).run(t)
	set(t, a, "bob", "8/s")
	if err := a.Override(t.Context(), "operator", plans.Override{Key: "bob", Factor: 10, Until: time.Now().Add(700 * time.Millisecond)}); err != nil {
		t.Fatal(err)
	}
	wantLimit(t, "bob", "80/s", a, b)
	wantLimit(t, "bob", "8/s", a, b)
	until(t, "the trail has the end", func() bool { return len(a.Changes()) == 3 && len(b.Changes()) == 3 })
	got := trailOf(b)
	if !strings.Contains(got, ": x10 until ") || !strings.Contains(got, "… ended") {
		t.Errorf("trail:\n%s", got)
	}
}
