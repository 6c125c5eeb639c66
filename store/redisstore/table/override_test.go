package table

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
)

// TestOverrides: each holds what it says, the rest of the table stays, and what operators edit does
// not contain it.
func TestOverrides(t *testing.T) {
	t.Parallel()
	m := startRedis(t)
	a, b := newNode(t, m.Addr(), Config{}).run(t), newNode(t, m.Addr(), Config{}).run(t)
	hour := time.Now().Add(time.Hour)
	for _, c := range []struct {
		o         plans.Override
		key, want string
	}{
		{plans.Override{Key: "bob", Factor: 10, Until: hour}, "bob", "70/s"},
		{plans.Override{Key: "bob", Policy: policy(t, "1/m"), Until: hour}, "bob", "1/m"},
		{plans.Override{Key: "unlisted", Factor: 2, Until: hour}, "unlisted", "10/s"},
		{plans.Override{Plan: "gold", Factor: 3, Until: hour}, "alice", "150/s"},
		{plans.Override{Key: "alice", Factor: 2, Until: hour}, "alice", "300/s"}, // of what the plan has
		{plans.Override{Key: "carol", Factor: 4, Until: hour}, "carol", "40/s, 100/m;name=org;shared"},
		{plans.Override{Plan: "team", Factor: 5, Until: hour}, "carol", "200/s, 100/m;name=org;shared"},
	} {
		if err := a.Override(t.Context(), "operator", c.o); err != nil {
			t.Fatalf("%v: %v", c.o, err)
		}
		wantLimit(t, c.key, c.want, a, b)
	}
	if n := len(b.Overrides()); n != 6 {
		t.Errorf("%d overrides", n)
	}
	if b.Snapshot().Plans()["gold"].String() != "50/s" {
		t.Error("an operator would make an override permanent")
	}
	set(t, b, "dave", "4/s") // overrides survive a change of the table
	wantLimit(t, "dave", "4/s", a, b)
	wantLimit(t, "alice", "300/s", a, b)
	if err := b.EndOverride(t.Context(), "operator", "alice", ""); err != nil {
		t.Fatal(err)
	}
	wantLimit(t, "alice", "150/s", a, b)
	if err := b.EndOverride(t.Context(), "operator", "", "gold"); err != nil {
		t.Fatal(err)
	}
	wantLimit(t, "alice", "50/s", a, b)
	version := a.Status().Version
	if err := a.EndOverride(t.Context(), "operator", "", "gold"); err != nil || a.Status().Version != version {
		t.Errorf("ended twice: %v", err)
	}
	// A version with an override has it again after a roll back.
	first := a.Changes()[len(a.Changes())-1].Version
	if err := a.RollBack(t.Context(), "operator", first); err != nil {
		t.Fatal(err)
	}
	wantLimit(t, "bob", "70/s", a, b)
	wantLimit(t, "carol", "10/s, 100/m;name=org;shared", a, b)
	bob, carol := ratelimit.HashKey("bob")[:19], ratelimit.HashKey("carol")[:19]
	if what := strings.Join(a.Changes()[0].What, "; "); !strings.Contains(what, "override of key "+bob+"…: x10 until ") || !strings.Contains(what, "override of key "+carol+"… ended") || !strings.Contains(what, "override of plan team ended") {
		t.Errorf("the trail has %q", what)
	}
	if strings.Contains(m.Dump(), "bob") || strings.Contains(trailOf(a), "bob") {
		t.Error("a key is shown")
	}
}

// TestOverrideOfAddresses: the factor of an address and of a prefix multiplies the limits of the longest
// prefix on each node, and no address is written.
func TestOverrideOfAddresses(t *testing.T) {
	t.Parallel()
	m := startRedis(t)
	a, b := newNode(t, m.Addr(), Config{}).run(t), newNode(t, m.Addr(), Config{}).run(t)
	err := a.Change(t.Context(), "operator", func(c *plans.TableConfig) error {
		c.Members["10.0.0.0/8"] = "gold"
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantLimit(t, " ip 10.1.2.3", "50/s", a, b)
	hour := time.Now().Add(time.Hour)
	override := func(n *testNode, key string, factor int) {
		t.Helper()
		if err := n.Override(t.Context(), "operator", plans.Override{Key: key, Factor: factor, Until: hour}); err != nil {
			t.Fatal(err)
		}
	}
	override(a, "10.1.2.3", 10)
	wantLimit(t, " ip 10.1.2.3", "500/s", a, b)
	override(b, "10.0.0.0/8", 2)
	wantLimit(t, " ip 10.1.2.3", "1000/s", a, b)
	wantLimit(t, " ip 10.1.2.4", "100/s", a, b)
	override(b, "10.7.0.0/16", 3)
	override(a, "10.7.2.3", 2)
	wantLimit(t, " ip 10.7.2.3", "600/s", a, b)
	wantLimit(t, " ip 10.7.2.4", "300/s", a, b)
	override(a, "10.7.2.3", 3) // in place of the other one
	wantLimit(t, " ip 10.7.2.3", "900/s", a, b)
	if strings.Contains(m.Dump(), ".2.3") || strings.Contains(trailOf(a), ".2.3") {
		t.Error("an address is shown")
	}
	if what := strings.Join(a.Changes()[2].What, "; "); !strings.HasPrefix(what, "override of addresses 10.7.0.0/16: x3 until ") {
		t.Errorf("the trail has %q", what)
	}
	for _, ended := range []struct{ key, want string }{{"10.1.2.3", "100/s"}, {"10.0.0.0/8", "50/s"}} { // in this order
		if err := b.EndOverride(t.Context(), "operator", ended.key, ""); err != nil {
			t.Fatal(err)
		}
		wantLimit(t, " ip 10.1.2.3", ended.want, a, b)
	}
	if err := a.Override(t.Context(), "operator", plans.Override{Key: ratelimit.HashKey(" ip 10.1.2.3"), Factor: 2, Until: hour}); err == nil || !strings.Contains(err.Error(), "must be the key or the address itself") {
		t.Errorf("error %v", err)
	}
}

// TestOverrideFaults: what cannot be an override is rejected, with all of its faults.
func TestOverrideFaults(t *testing.T) {
	t.Parallel()
	m := startRedis(t)
	a := newNode(t, m.Addr(), Config{}).run(t)
	hour := time.Now().Add(time.Hour)
	for want, o := range map[string]plans.Override{
		"Override.Key":                  {Factor: 2, Until: hour},
		"but not both":                  {Key: "bob", Plan: "gold", Factor: 2, Until: hour},
		"Override.Policy":               {Key: "bob", Until: hour},
		"Override.Factor -1":            {Key: "bob", Factor: -1, Until: hour},
		"must be in the year 9999":      {Key: "bob", Factor: 2, Until: time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -3600))},
		"must be in the future":         {Key: "bob", Factor: 2},
		"the name of a plan":            {Plan: "silver", Factor: 2, Until: hour},
		"too large":                     {Key: "bob", Factor: 1 << 30, Until: hour},
		"sha256:":                       {Key: "sha256:12", Factor: 2, Until: hour},
		"must not be shared":            {Key: "bob", Policy: policy(t, "1/s;shared"), Until: hour},
		"the organisation has under th": {Key: "carol", Policy: policy(t, "1/s, 7/m;name=org;shared"), Until: hour},
	} {
		err := a.Override(t.Context(), "operator", o)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "bob") {
			t.Errorf("%v: error %v; want %q", o, err, want)
		}
	}
	if len(a.Changes()) != 0 {
		t.Error("the table was changed")
	}
}

// TestUnreadableIsNotWritten: a change whose text cannot be read back stays on the node that tried it.
func TestUnreadableIsNotWritten(t *testing.T) {
	t.Parallel()
	m := startRedis(t)
	a := newNode(t, m.Addr(), Config{}).run(t)
	set(t, a, "bob", "9/s")
	version := a.Status().Version
	for _, o := range []plans.Override{
		{Key: "bob", Factor: 2, Until: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
		{Key: "bob", Until: time.Now().Add(time.Hour)}, // neither a policy nor a factor
	} {
		err := a.change(t.Context(), "operator", false, func(d document) (document, []string, error) {
			return document{[]plans.Override{o}, d.base}, nil, nil
		})
		if !errors.Is(err, errUnreadable) || a.Status().Version != version || m.HGet(headKey, "version") != fmt.Sprint(version) {
			t.Errorf("%v: error %v, version %d", o.Until, err, a.Status().Version)
		}
	}
	set(t, a, "bob", "10/s")
	wantLimit(t, "bob", "10/s", a)
}

// TestOverrideEndsWithoutRedis: it ends at its time, whether Redis is there or not, and its end gets
// into the trail when Redis is back.
func TestOverrideEndsWithoutRedis(t *testing.T) {
	t.Parallel()
	m := startRedis(t)
	a, b := newNode(t, m.Addr(), Config{}).run(t), newNode(t, m.Addr(), Config{}).run(t)
	set(t, a, "bob", "9/s")
	until := time.Now().Add(time.Second)
	if err := a.Override(t.Context(), "operator", plans.Override{Key: "bob", Factor: 2, Until: until}); err != nil {
		t.Fatal(err)
	}
	wantLimit(t, "bob", "18/s", a, b)
	m.Close()
	wantLimit(t, "bob", "9/s", a, b)
	if early := time.Until(until); early > 100*time.Millisecond {
		t.Errorf("it ended %v early", early)
	}
	if err := m.Restart(); err != nil {
		t.Fatal(err)
	}
	wantTrail(t, "… ended", a, b)
}

// TestOverrideOfAPlanThatIsGone has no effect, and keeps no change from being made.
func TestOverrideOfAPlanThatIsGone(t *testing.T) {
	t.Parallel()
	m := startRedis(t)
	a, b := newNode(t, m.Addr(), Config{}).run(t), newNode(t, m.Addr(), Config{}).run(t)
	if err := a.Override(t.Context(), "operator", plans.Override{Plan: "gold", Factor: 2, Until: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	err := b.Change(t.Context(), "operator", func(c *plans.TableConfig) error {
		delete(c.Plans, "gold")
		c.Members = nil
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantLimit(t, "alice", "5/s", a, b)
}

// TestOverrideKeepsNoEditOut: an edit that is right by itself is made while an override is in force that
// does not go with it.
func TestOverrideKeepsNoEditOut(t *testing.T) {
	t.Parallel()
	m := startRedis(t)
	a, b := newNode(t, m.Addr(), Config{}).run(t), newNode(t, m.Addr(), Config{}).run(t)
	hour := time.Now().Add(time.Hour)
	for _, o := range []plans.Override{{Plan: "gold", Factor: 10, Until: hour}, {Key: "carol", Policy: policy(t, "1/s, 100/m;name=org;shared"), Until: hour}} {
		if err := a.Override(t.Context(), "operator", o); err != nil {
			t.Fatal(err)
		}
	}
	wantLimit(t, "carol", "1/s, 100/m;name=org;shared", b)
	err := b.Change(t.Context(), "operator", func(c *plans.TableConfig) error {
		c.Plans["gold"], c.Plans["team"] = policy(t, "1000000000/s"), policy(t, "10/s, 200/m;name=org;shared")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantLimit(t, "alice", "2000000000/s", a, b)
	wantLimit(t, "carol", "10/s, 200/m;name=org;shared", a, b)
	if err := a.Override(t.Context(), "operator", plans.Override{Key: "alice", Factor: 2, Until: hour}); err == nil || !strings.Contains(err.Error(), "must be at most 1: times the limit") {
		t.Errorf("error %v", err)
	}
	if err := a.Override(t.Context(), "operator", plans.Override{Plan: "gold", Factor: 2, Until: hour}); err != nil { // in place of the other one
		t.Error(err)
	}
}

// wantTrail waits until the last change of all nodes says something.
func wantTrail(t *testing.T, what string, nodes ...*testNode) {
	t.Helper()
	for _, n := range nodes {
		until(t, "the trail says "+what, func() bool {
			all := n.Changes()
			return len(all) > 0 && strings.Contains(strings.Join(all[0].What, "; "), what)
		})
	}
}
