package plans

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/internal/keyhash"
)

// A Snapshot is the content of a [Table] at one moment. An operator can read it and replace
// it, unless the table was replaced since. Take one with [Table.Snapshot], which costs
// nothing. It is safe for concurrent use.
type Snapshot struct {
	table   *Table
	content *tableContent
}

// ErrChanged is returned if a table was replaced since the snapshot was taken.
var ErrChanged = errors.New("plans: the table was replaced since the snapshot was taken")

// ErrNoVersion is returned for a version of a table that is not kept.
var ErrNoVersion = errors.New("plans: there is no such version of the table, or it is no longer kept")

// Snapshot returns the content of t, which must not be the zero Table.
func (t *Table) Snapshot() Snapshot { return Snapshot{t, t.current.Load()} }

// Default returns the policy of all keys that are not in the table, nil in the zero Table.
func (s Snapshot) Default() *ratelimit.Policy {
	if s.content == nil {
		return nil
	}
	return s.content.fallback
}

// Plans returns the policies of the plans by name, in a copy of the map.
func (s Snapshot) Plans() map[string]*ratelimit.Policy { return maps.Clone(s.content.plans) }

// HasPlan reports whether there is a plan of the name.
func (s Snapshot) HasPlan(name string) bool { return s.content.plans[name] != nil }

// HasOrganisation reports whether there is an organisation of the name.
func (s Snapshot) HasOrganisation(name string) bool { return s.content.organisations[name] != nil }

// Count returns the number of members of each plan that has any, and the number of keys with
// limits of their own. It does not count the keys of organisations.
func (s Snapshot) Count() (members map[string]int, keys int) {
	members = make(map[string]int)
	for _, e := range s.entries() {
		switch {
		case e.is.of != nil:
		case e.is.member:
			members[e.is.plan]++
		default:
			keys++
		}
	}
	return members, keys
}

// An OrganisationSummary is an organisation without its keys.
type OrganisationSummary struct {
	Plan   string            // "" if Limits is set
	Limits *ratelimit.Policy // in place of a plan
	Keys   int               // how many keys belong to it, those with limits of their own included
}

// Organisations returns a summary of each organisation by name.
func (s Snapshot) Organisations() map[string]OrganisationSummary {
	count := make(map[*organisation]int)
	if len(s.content.organisations) > 0 {
		for _, e := range s.entries() {
			if e.is.of != nil {
				count[e.is.of]++
			}
		}
	}
	summaries := make(map[string]OrganisationSummary, len(s.content.organisations))
	for name, is := range s.content.organisations {
		summaries[name] = OrganisationSummary{is.plan, is.limits, count[is]}
	}
	return summaries
}

// WriteTo writes the content as [ReadTableConfig] reads it, with hashes in place of the keys and
// addresses, in the order of the hashes: the text has the same effect and shows no key. Prefixes
// of addresses, which have no hash to look up, are written as they are. WriteTo allocates
// 40 bytes per key, not a second table.
func (s Snapshot) WriteTo(w io.Writer) (int64, error) {
	entries := s.entries()
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(strings.Compare(a.is.home(), b.is.home()), bytes.Compare(a.hash[:], b.hash[:]))
	})
	counted := &countingWriter{w: w}
	t := tableWriter{w: bufio.NewWriterSize(counted, 64<<10)}
	alone, inHomes := cutHome(entries, "")
	t.begin(s.content.fallback, s.content.plans)
	t.keys(those(alone, true, func(a *assignment) string { return a.plan }), those(alone, false, (*assignment).given))
	for _, name := range slices.Sorted(maps.Keys(s.content.organisations)) {
		is := s.content.organisations[name]
		var of []entry
		of, inHomes = cutHome(inHomes, name)
		t.organisation(name, is.plan, is.limits, keysOf(of), those(of, false, (*assignment).given))
	}
	t.blocked(s.content.blocks.hashed())
	err := t.finish()
	return counted.n, err
}

// cutHome returns the entries of a home, with which entries begin, and those behind them.
func cutHome(entries []entry, home string) (of, rest []entry) {
	n := slices.IndexFunc(entries, func(e entry) bool { return e.is.home() != home })
	if n < 0 {
		n = len(entries)
	}
	return entries[:n], entries[n:]
}

// Sum returns the SHA-256 of what WriteTo writes. The first call takes about as long as
// WriteTo.
func (s Snapshot) Sum() [sha256.Size]byte {
	s.content.summed.Do(func() {
		h := sha256.New()
		_, _ = s.WriteTo(h) // neither a hash nor the content of a table causes an error
		h.Sum(s.content.sum[:0])
	})
	return s.content.sum
}

// Replace is [Table.Replace] if the table still has the content of s, and lifts the blocks that c
// leaves out. Otherwise it returns [ErrChanged]. A key that [Table.Block] has blocked, and c blocks,
// stays one of those, which a later [Table.Replace] keeps. Replace returns a snapshot of c.
func (s Snapshot) Replace(c TableConfig) (Snapshot, error) {
	content, err := s.table.replace(c, func(old, content *tableContent) error {
		if old != s.content {
			return ErrChanged
		}
		content.blocks.carry(&old.blocks)
		return nil
	})
	if err != nil {
		return Snapshot{}, err
	}
	return Snapshot{s.table, content}, nil
}

// Blocked returns how many keys are blocked, without those whose block has ended.
func (s Snapshot) Blocked() (n int) {
	for _, b := range s.content.blocks.all() {
		if b.holds() {
			n++
		}
	}
	return n
}

// An entry is a key of a table.
type entry struct {
	hash [sha256.Size]byte
	is   *assignment
	name string // of a prefix, which is written as it is
}

// entries returns each key once. A key given both in plain text and as its hash has the
// assignment of the plain text, as in a look-up.
func (s Snapshot) entries() []entry {
	c := s.content
	entries := make([]entry, 0, len(c.byKey)+len(c.byHash))
	plain := make(map[[sha256.Size]byte]bool)
	for key, a := range c.byKey {
		hash := keyhash.Of(key)
		if c.byHash[hash] != nil {
			plain[hash] = true
		}
		entries = append(entries, entry{hash: hash, is: a})
	}
	for hash, a := range c.byHash {
		if !plain[hash] {
			entries = append(entries, entry{hash: hash, is: a})
		}
	}
	for p, a := range c.byPrefix.All() {
		name := p.String()
		entries = append(entries, entry{keyhash.Of(name), a, name})
	}
	return entries
}

// those yields the entries that are members, or the others.
func those[V any](entries []entry, members bool, of func(*assignment) V) iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		var name [len(keyhash.Prefix) + 2*sha256.Size]byte
		copy(name[:], keyhash.Prefix)
		for _, e := range entries {
			if e.is.isMember() != members {
				continue
			}
			hex.Encode(name[len(keyhash.Prefix):], e.hash[:])
			text := string(name[:])
			if e.name != "" {
				text = e.name
			}
			if !yield(text, of(e.is)) {
				return
			}
		}
	}
}

// keysOf yields the members of an organisation.
func keysOf(entries []entry) iter.Seq[string] {
	return func(yield func(string) bool) {
		for key := range those(entries, true, (*assignment).home) {
			if !yield(key) {
				return
			}
		}
	}
}

// A countingWriter counts the bytes written.
type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}
