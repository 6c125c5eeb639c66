package plans

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

// A Change is one replacement of the content of a [Table], for operators. It names no key.
type Change struct {
	Version int64     // how often the table had been replaced then; 1 is its first content
	At      time.Time // when
	// What lists the differences: the default, the plans and the number of keys, such as
	// "plan gold: 50/s -> 60/s". It has 20 lines at most, and is empty for the first content
	// and if only keys were exchanged.
	What []string
}

const (
	mostChanges = 20 // that a table remembers
	mostLines   = 20 // of a change
)

// Changes returns the last changes of t, at most 20, the newest first.
func (t *Table) Changes() []Change {
	t.mu.Lock()
	defer t.mu.Unlock()
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
	if len(t.changes) == mostChanges {
		t.changes = slices.Delete(t.changes, 0, 1)
	}
	t.changes = append(t.changes, change)
}

// differences returns what an operator sees of the difference between two contents.
func differences(old, content *tableContent) (lines []string) {
	add := func(what, before, after string) {
		if before != after {
			lines = append(lines, what+": "+before+" -> "+after)
		}
	}
	add("default", text(old.fallback), text(content.fallback))
	for _, name := range names(old.plans, content.plans) {
		add("plan "+name, text(old.plans[name]), text(content.plans[name]))
	}
	for _, name := range names(old.organisations, content.organisations) {
		add("organisation "+name, old.organisations[name].text(), content.organisations[name].text())
	}
	add("keys", fmt.Sprint(old.len()), fmt.Sprint(content.len()))
	if more := len(lines) - mostLines; more > 0 {
		lines = append(lines[:mostLines-1], fmt.Sprintf("and %d more", more+1))
	}
	return lines
}

// names returns the names in either of two maps, sorted.
func names[V any](a, b map[string]V) []string {
	all := maps.Clone(a)
	if all == nil {
		all = make(map[string]V)
	}
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
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
func (c *tableContent) len() int { return len(c.byKey) + len(c.byHash) }
