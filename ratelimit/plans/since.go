package plans

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/keyrate/keyrate/ratelimit/internal/keyhash"
)

// Use puts the content of s in force, as Replace does with that of a [TableConfig]. It costs
// nothing: t and the table of s share the content.
func (t *Table) Use(s Snapshot) error {
	if s.content == nil {
		return errZeroTable
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.put(s.content)
}

// Fits returns an error if [Table.Use] would: see [Table.Require].
func (t *Table) Fits(s Snapshot) error {
	if s.content == nil {
		return errZeroTable
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return s.content.meets(t.required)
}

// Config returns a copy of the content of s: see [Table.Config].
func (s Snapshot) Config() TableConfig { return s.content.config() }

// Hashed returns s with the hashes of all keys in place of these: the same table, without a
// secret. It is s itself if all keys are hashes already.
func (s Snapshot) Hashed() Snapshot {
	old := s.content
	if len(old.byKey)+len(old.blocks.byKey) == 0 {
		return s
	}
	c := &tableContent{fallback: old.fallback, plans: old.plans, organisations: old.organisations, byHash: s.byHash(), byPrefix: old.byPrefix}
	for key, b := range old.blocks.hashed() {
		_ = c.blocks.add(key, b, false) // the keys and blocks of a table cause no error
	}
	_ = c.setBlocks()
	t := new(Table)
	t.current.Store(c)
	return Snapshot{t, c}
}

// Since returns how s differs from an older snapshot, as [Change].What lists it, and names the
// keys that were added, removed or changed by the first digits of their hashes. It is empty if
// both have the same effect.
func (s Snapshot) Since(old Snapshot) []string {
	if s.content == old.content || old.content == nil {
		return nil
	}
	lines := append(differences(old.content, s.content), s.blocksSince(old)...)
	before, after := old.byHash(), s.byHash()
	var changed [][sha256.Size]byte
	for hash, a := range after {
		if !sameAssignment(before[hash], a) {
			changed = append(changed, hash)
		}
	}
	for hash := range before {
		if after[hash] == nil {
			changed = append(changed, hash)
		}
	}
	slices.SortFunc(changed, func(a, b [sha256.Size]byte) int { return bytes.Compare(a[:], b[:]) })
	for i, hash := range changed {
		if left := len(changed) - i; len(lines) >= mostLines-1 && left > 1 {
			return append(lines, fmt.Sprintf("and %d more keys", left))
		}
		lines = append(lines, cut(fmt.Sprintf("key %.19s…: %s -> %s", keyhash.Text(hash), before[hash].text(), after[hash].text())))
	}
	return lines
}

// blocksSince returns how the blocks of s, and the prefixes of addresses, differ from those of an
// older snapshot, at most half of what a change lists.
func (s Snapshot) blocksSince(old Snapshot) (lines []string) {
	before, after := old.aside(), s.aside()
	all := maps.Clone(before)
	maps.Copy(all, after)
	left := 0
	for _, name := range slices.Sorted(maps.Keys(all)) {
		switch was, is := cmp.Or(before[name], "none"), cmp.Or(after[name], "none"); {
		case was == is:
		case len(lines) < mostLines/2:
			lines = append(lines, cut(fmt.Sprintf("%s: %s -> %s", name, was, is)))
		default:
			left++
		}
	}
	if left > 0 {
		lines = append(lines, fmt.Sprintf("and %d more blocks and addresses", left))
	}
	return lines
}

// aside returns the texts of what a table has beside keys, by what they are about.
func (s Snapshot) aside() map[string]string {
	all := make(map[string]string)
	for key, b := range s.content.blocks.hashed() {
		if strings.HasPrefix(key, keyhash.Prefix) {
			key = fmt.Sprintf("%.19s…", key)
		}
		all["block of "+key] = b.String()
	}
	for p, a := range s.content.byPrefix.All() {
		all["addresses "+p.String()] = a.text()
	}
	return all
}

// sameAssignment reports whether two keys are held to the same.
func sameAssignment(a, b *assignment) bool {
	if a == nil || b == nil || a.home() != b.home() || a.isMember() != b.isMember() {
		return a == b
	}
	if a.isMember() { // what the plan or the organisation has is another line
		return a.plan == b.plan
	}
	return samePolicy(a.given(), b.given())
}

// byHash returns the assignments of all keys by their hashes.
func (s Snapshot) byHash() map[[sha256.Size]byte]*assignment {
	if len(s.content.byKey) == 0 {
		return s.content.byHash
	}
	all := maps.Clone(s.content.byHash)
	for key, a := range s.content.byKey {
		all[keyhash.Of(key)] = a
	}
	return all
}

// text returns what a key is held to, as a table has it, or "none".
func (a *assignment) text() string {
	switch {
	case a == nil:
		return "none"
	case a.of != nil && a.isMember():
		return "organisation " + a.of.name
	case a.of != nil:
		return text(a.given()) + " in organisation " + a.of.name
	case a.member:
		return "plan " + a.plan
	}
	return text(a.policy)
}
