package plans

import (
	"context"
	"crypto/sha256"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/internal/keyhash"
	"github.com/keyrate/keyrate/ratelimit/plans/internal/address"
)

// A Table holds policies by key, and one for all other keys. It can be replaced as a whole
// while it is in use: a decision sees the old content or the new one.
//
// Make one with [NewTable]; the zero Table returns an error for every key. Its methods are
// safe for concurrent use, and a look-up allocates nothing.
type Table struct {
	current atomic.Pointer[tableContent]

	version atomic.Int64 // how often it was replaced

	history sync.Mutex // held for changes
	changes []Change   // the last ones, the newest at the end

	mu       sync.Mutex                      // held to replace current
	required []func(*ratelimit.Policy) error // conditions of limiters made with Limiter.With
}

// TableConfig is the content of a [Table]. A key is in one place of it.
//
// In Members, Keys and Blocked, also those of organisations, a key may be written as its hash, which [ratelimit.HashKey] returns:
// "sha256:" and 64 hexadecimal digits. Then no secret needs to be in a file. A look-up in a
// table with such keys hashes the key, which takes some 100 ns.
//
// A key may be an address or a prefix, such as "192.0.2.1" or "2001:db8::/48": that of clients
// without a key, whose keys are what middleware.AddressKey returns. An IPv6 address counts by its
// /64. The longest prefix counts that an address is in and, of the same, the one in Blocked. An
// API key that looks like an address must be written as its hash.
type TableConfig struct {
	// Default is the policy of every key that is not listed. Required. It has no shared limit.
	Default *ratelimit.Policy
	// Plans are policies by name, to which Members and Organisations refer.
	Plans map[string]*ratelimit.Policy
	// Members are the keys that belong to a plan, each with the plan's name. The plan has no
	// shared limit.
	Members map[string]string
	// Keys are the keys that have a policy of their own, without a shared limit.
	Keys map[string]*ratelimit.Policy
	// Organisations are groups of keys by name, which share limits: see [Organisation]. A name
	// is 1 to 64 printable ASCII characters without " \ ; or , and without a space at either
	// end.
	Organisations map[string]Organisation
	// Blocked are the keys that are blocked, whatever else the table says of them: when its block
	// ends, a key is held to that again. To block a plan, an organisation or the default, give it
	// a policy that is blocked.
	Blocked map[string]ratelimit.Block
}

// tableContent is a TableConfig compiled for look-ups.
type tableContent struct {
	fallback      *ratelimit.Policy
	plans         map[string]*ratelimit.Policy
	organisations map[string]*organisation
	byKey         map[string]*assignment
	byHash        map[[sha256.Size]byte]*assignment
	byPrefix      address.Map[*assignment]
	blocks        blocks

	gathered  sync.Once
	different []*ratelimit.Policy // of all keys, each once; made when they are first needed

	summed sync.Once
	sum    [sha256.Size]byte // for Snapshot.Sum
}

// An assignment is the policy of a key. All members of a plan, and those of an organisation,
// share one.
type assignment struct {
	policy *ratelimit.Policy // in the home of the organisation, if there is one
	plan   string
	member bool          // of a plan
	of     *organisation // that the key belongs to
}

// home returns the name of the key's organisation, or "".
func (a *assignment) home() string {
	if a.of == nil {
		return ""
	}
	return a.of.name
}

// isMember reports whether the key is one of Members: those of the table or of an organisation.
func (a *assignment) isMember() bool {
	if a.of != nil {
		return a == a.of.members
	}
	return a.member
}

// given returns the policy as it was given.
func (a *assignment) given() *ratelimit.Policy { return a.policy.In("") }

// find returns the assignment of the key, or nil for the default.
func (c *tableContent) find(key string) *assignment {
	if c.blocks.len() > 0 {
		// Behind its end, the prefix of an address counts, which a hash does not show.
		if b := c.blocks.find(key); b != nil && b.holds() {
			return b.is
		}
	}
	return c.without(key)
}

// without is find without a block of the key itself.
func (c *tableContent) without(key string) *assignment {
	if a := c.listed(key); a != nil {
		return a
	}
	if c.byPrefix.Len()+c.blocks.byPrefix.Len() == 0 {
		return nil
	}
	if p, ok := address.ParseKey(key); ok {
		return c.around(p)
	}
	return nil
}

// around returns the assignment of the longest prefix that p is in.
func (c *tableContent) around(p address.Prefix) *assignment {
	a, n, _ := c.byPrefix.Longest(p)
	if b, blocked, ok := c.blocks.byPrefix.Longest(p); ok && blocked >= n {
		return b.is
	}
	return a
}

// outside returns the assignment of the longest prefix that p is in, itself included, without the
// block of p itself.
func (c *tableContent) outside(p address.Prefix) *assignment {
	if b, ok := c.blocks.byPrefix.Get(p); ok {
		c.blocks.byPrefix.Delete(p)
		defer c.blocks.byPrefix.Set(p, b)
	}
	return c.around(p)
}

// longest returns the longest prefix that p is in and the table lists or blocks. If there is none, it
// returns that of all addresses.
func (c *tableContent) longest(p address.Prefix) address.Prefix {
	_, listed, _ := c.byPrefix.Longest(p)
	_, blocked, _ := c.blocks.byPrefix.Longest(p)
	return p.Masked(max(listed, blocked, 0))
}

// listed returns the assignment of exactly the key, without its block.
func (c *tableContent) listed(key string) *assignment {
	if a := c.byKey[key]; a != nil {
		return a
	}
	if len(c.byHash) > 0 {
		return c.byHash[keyhash.Of(key)]
	}
	return nil
}

// NewTable makes a table. The error joins all faults of c.
func NewTable(c TableConfig) (*Table, error) {
	t := new(Table)
	if err := t.Replace(c); err != nil {
		return nil, err
	}
	return t, nil
}

// Replace puts c in force for all decisions that begin from now on. On an error, which
// joins the faults of c with their places, the old content stays in force. A policy without
// room for the limits that [ratelimit.Limiter.With] adds is a fault, too. The table keeps no
// map of c, and keeps the blocks that [Table.Block] has set. Concurrent look-ups do not wait,
// however large c is.
func (t *Table) Replace(c TableConfig) error {
	_, err := t.replace(c, func(old, content *tableContent) error {
		if old != nil {
			content.blocks.keep(&old.blocks)
		}
		return nil
	})
	return err
}

// replace puts c in force, unless look returns an error for the old content. look may add blocks
// to the new one.
func (t *Table) replace(c TableConfig, look func(old, content *tableContent) error) (*tableContent, error) {
	content, err := compileTable(c)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := look(t.current.Load(), content); err != nil {
		return nil, err
	}
	if err := content.setBlocks(); err != nil {
		return nil, err
	}
	return content, t.put(content)
}

// put puts a content in force. The caller holds t.mu.
func (t *Table) put(content *tableContent) error {
	if err := content.meets(t.required); err != nil {
		return err
	}
	old := t.current.Load()
	t.current.Store(content)
	t.version.Add(1)
	t.changed(old, content)
	return nil
}

// Default returns the policy of keys that are not in the table; nil for the zero Table.
func (t *Table) Default() *ratelimit.Policy { return t.Snapshot().Default() }

// Validate returns an error for the zero Table.
func (t *Table) Validate() error {
	if t.current.Load() == nil {
		return errZeroTable
	}
	return nil
}

var errZeroTable = &ratelimit.LimitError{Field: "Table", Value: "zero value", Want: "must be made with plans.NewTable"}

// SelfTimed marks a table as Limits that never wait.
func (t *Table) SelfTimed() {}

// PolicyFor returns the policy of the key, of its plan, or the default.
func (t *Table) PolicyFor(_ context.Context, key string) (*ratelimit.Policy, error) {
	c := t.current.Load()
	if c == nil {
		return nil, errZeroTable
	}
	if a := c.find(key); a != nil {
		return a.policy, nil
	}
	return c.fallback, nil
}

// Config returns a copy of the content of t, which takes time for many keys: about a second
// for a million. Keys are as they were written, hashes in lower case, addresses as
// middleware.AddressKey writes them, and members of an organisation in order; policies are shared with t. The zero Table returns the zero TableConfig.
func (t *Table) Config() TableConfig {
	c := t.current.Load()
	if c == nil {
		return TableConfig{}
	}
	return c.config()
}

// config returns a copy of c.
func (c *tableContent) config() TableConfig {
	config := TableConfig{Default: c.fallback, Plans: maps.Clone(c.plans)}
	organisations := make(map[*organisation]*Organisation, len(c.organisations))
	for _, is := range c.organisations {
		organisations[is] = &Organisation{Plan: is.plan, Limits: is.limits}
	}
	add := func(key string, a *assignment) {
		if a.of != nil {
			organisations[a.of].add(key, a)
			return
		}
		if a.member {
			if config.Members == nil {
				config.Members = make(map[string]string, c.len())
			}
			config.Members[key] = a.plan
			return
		}
		if config.Keys == nil {
			config.Keys = make(map[string]*ratelimit.Policy)
		}
		config.Keys[key] = a.policy
	}
	for key, a := range c.byKey {
		add(key, a)
	}
	for hash, a := range c.byHash {
		add(keyhash.Text(hash), a)
	}
	for p, a := range c.byPrefix.All() {
		add(p.String(), a)
	}
	if len(organisations) > 0 {
		config.Organisations = make(map[string]Organisation, len(organisations))
	}
	if c.blocks.len() > 0 {
		config.Blocked = make(map[string]ratelimit.Block, c.blocks.len())
	}
	for key, b := range c.blocks.all() {
		config.Blocked[key] = b.Block
	}
	for is, o := range organisations {
		slices.Sort(o.Members)
		config.Organisations[is.name] = *o
	}
	return config
}

// PlanOf returns the plan of a key, also if it is that of the key's organisation. ok is false
// for a key that is held to no plan.
func (t *Table) PlanOf(key string) (plan string, ok bool) {
	c := t.current.Load()
	if c == nil {
		return "", false
	}
	if a := c.find(key); a != nil {
		return a.plan, a.member
	}
	return "", false
}

// OrganisationOf returns the name of the organisation of a key. ok is false for a key that
// belongs to none.
func (t *Table) OrganisationOf(key string) (name string, ok bool) {
	if c := t.current.Load(); c != nil {
		if a := c.find(key); a != nil && a.of != nil {
			return a.of.name, true
		}
	}
	return "", false
}
