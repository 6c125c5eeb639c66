package plans

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

// A Change is one replacement of the content of a [Table], for operators. It names no key.
type Change struct {
	// Version is how often the table had been replaced then; 1 is its first content. A table
	// that a fleet shares has other ones, which also grow.
	Version int64
	At      time.Time // when
	Who     string    // who made it, in a table that a fleet shares
	// What lists the differences: the default, the plans and the numbers of keys and blocks, such as
	// "plan gold: 50/s -> 60/s". It has 20 short lines at most, and is empty
	// for the first content and if only keys were exchanged.
	What []string
}

const (
	mostChanges = 20 // that a table remembers
	mostLines   = 20 // of a change
	mostText    = 200
)

// Changes returns the last changes of t, at most 20, the newest first.
func (t *Table) Changes() []Change {
	t.history.Lock()
	defer t.history.Unlock()
	changes := slices.Clone(t.changes)
	slices.Reverse(changes)
	return changes
}

// changed notes a change. old is nil for the first content. The caller holds t.mu.
func (t *Table) changed(old, content *tableContent) {
	change := Change{Version: t.version.Load(), At: time.Now()}
	if old != nil {
		change.What = differences(old, content)
	}
	t.history.Lock()
	defer t.history.Unlock()
	if len(t.changes) == mostChanges {
		t.changes = slices.Delete(t.changes, 0, 1)
	}
	t.changes = append(t.changes, change)
}

// differences returns what an operator sees of the difference between two contents. There may be
// 100,000 organisations if few have changed.
func differences(old, content *tableContent) (lines []string) {
	more := 0
	add := func(what, before, after string) {
		switch {
		case before == after:
		case len(lines) < mostLines:
			lines = append(lines, cut(what)+": "+cut(before)+" -> "+cut(after))
		default:
			more++
		}
	}
	add("default", text(old.fallback), text(content.fallback))
	for _, name := range names(old.plans, content.plans, samePolicy) {
		add("plan "+name, text(old.plans[name]), text(content.plans[name]))
	}
	for _, name := range names(old.organisations, content.organisations, sameOrganisation) {
		add("organisation "+name, old.organisations[name].text(), content.organisations[name].text())
	}
	add("keys", fmt.Sprint(old.len()), fmt.Sprint(content.len()))
	add("blocked", fmt.Sprint(old.blocks.len()), fmt.Sprint(content.blocks.len()))
	if more > 0 {
		lines = append(lines[:mostLines-1], fmt.Sprintf("and %d more", more+1))
	}
	return lines
}

// cut shortens a text that is too long for a line. The names of plans have no bound.
func cut(s string) string {
	if len(s) > mostText {
		return strings.ToValidUTF8(s[:mostText], "") + "…"
	}
	return s
}

// names returns the names in either of two maps under which they differ, sorted.
func names[V any](a, b map[string]*V, same func(a, b *V) bool) (all []string) {
	for name, v := range a {
		if !same(v, b[name]) {
			all = append(all, name)
		}
	}
	for name := range b {
		if a[name] == nil {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

func samePolicy(a, b *ratelimit.Policy) bool {
	return a == b || a != nil && b != nil && text(a) == text(b)
}

func sameOrganisation(a, b *organisation) bool {
	return a == b || a != nil && b != nil && a.plan == b.plan && samePolicy(a.limits, b.limits)
}

// text returns a policy as a table has it, or "none".
func text(p *ratelimit.Policy) string {
	if p == nil {
		return "none"
	}
	return p.String()
}

// text returns the plan or the policy of an organisation, or "none".
func (o *organisation) text() string {
	switch {
	case o == nil:
		return "none"
	case o.plan != "":
		return "plan " + o.plan
	}
	return text(o.limits)
}

// len returns how many keys a content lists.
func (c *tableContent) len() int { return len(c.byKey) + len(c.byHash) + c.byPrefix.Len() }
