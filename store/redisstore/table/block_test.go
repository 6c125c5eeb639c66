package table

import (
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
)

// blocked reports whether a node blocks a key.
func blocked(t *testing.T, n *testNode, key string) bool {
	t.Helper()
	p, err := n.PolicyFor(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	_, ok := p.Block()
	return ok
}

// TestBlock: a key that is blocked at one node is blocked on all, a file does not lift that, and the
// trail shows it without the key.
func TestBlock(t *testing.T) {
	t.Parallel()
	m := startRedis(t)
	a, b := newNode(t, m.Addr(), Config{}).run(t), newNode(t, m.Addr(), Config{}).run(t)
	block := func(until time.Time, keys ...string) {
		t.Helper()
		if err := a.Change(t.Context(), "anna", func(c *plans.TableConfig) error {
			for _, key := range keys {
				if c.Blocked == nil {
					c.Blocked = make(map[string]ratelimit.Block)
				}
				c.Blocked[key] = ratelimit.Block{Until: until, Reason: "abuse"}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	block(time.Time{}, "bob", "203.0.113.0/24")
	until(t, "bob and the addresses are blocked", func() bool { return blocked(t, b, "bob") && blocked(t, b, " ip 203.0.113.7") })
	if blocked(t, b, "alice") {
		t.Error("another key is blocked")
	}
	block(time.Now().Add(-time.Minute), "alice") // it has ended
	fromFile := initial(t)
	fromFile.Default = policy(t, "6/s")
	if err := b.Put(t.Context(), "limits.yaml", fromFile); err != nil {
		t.Fatal(err)
	}
	wantLimit(t, "unlisted", "6/s", a, b)
	if !blocked(t, a, "bob") || !blocked(t, a, " ip 203.0.113.9") || len(a.Snapshot().Config().Blocked) != 2 {
		t.Errorf("after a file: %v", a.Snapshot().Config().Blocked)
	}
	until(t, "the trail is there", func() bool { return len(b.Changes()) == 3 })
	got := trailOf(b)
	for _, want := range []string{"block of " + ratelimit.HashKey("bob")[:19] + "…: none -> blocked;reason=abuse", "block of 203.0.113.0/24: none -> blocked;reason=abuse"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	if strings.Contains(got, "bob") {
		t.Errorf("a key is shown:\n%s", got)
	}
	if err := a.RollBack(t.Context(), "anna", firstVersion); err != nil {
		t.Fatal(err)
	}
	wantLimit(t, "unlisted", "5/s", a, b)
	if !blocked(t, b, "bob") || !blocked(t, b, " ip 203.0.113.7") {
		t.Error("a roll back lifts a block")
	}
}

// TestPutLiftsNoBlock: of the block of an operator and that of a file, the one that lasts longer is in
// force.
func TestPutLiftsNoBlock(t *testing.T) {
	t.Parallel()
	m := startRedis(t)
	a := newNode(t, m.Addr(), Config{}).run(t)
	at := func(d time.Duration) time.Time { return time.Now().Add(d).Truncate(time.Second) }
	soon, late, never := at(time.Hour), at(2*time.Hour), time.Time{}
	for name, c := range map[string]struct{ operator, file, want time.Time }{
		"the file's has ended":     {never, at(-time.Hour), never},
		"the file's ends":          {never, soon, never},
		"the file's ends earlier":  {late, soon, late},
		"the file's ends later":    {soon, late, late},
		"the file's ends never":    {soon, never, never},
		"the operator's has ended": {at(-2 * time.Hour), at(-time.Hour), at(-time.Hour)},
	} {
		err := a.Change(t.Context(), "anna", func(c2 *plans.TableConfig) error {
			c2.Blocked = map[string]ratelimit.Block{ratelimit.HashKey("bob"): {Until: c.operator}}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		fromFile := initial(t)
		fromFile.Blocked = map[string]ratelimit.Block{"bob": {Until: c.file}}
		if err := a.Put(t.Context(), "limits.yaml", fromFile); err != nil {
			t.Fatal(err)
		}
		if got := a.Snapshot().Config().Blocked[ratelimit.HashKey("bob")].Until; !got.Equal(c.want) {
			t.Errorf("%s: the block ends %v, want %v", name, got, c.want)
		}
	}
}
