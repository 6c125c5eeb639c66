package plans

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"sync"
	"sync/atomic"

	"github.com/keyrate/keyrate/ratelimit"
)

// A Table holds policies by key, and one for all other keys. It is replaced as a
// whole while it is in use: a decision sees the old table or the new one.
//
// Make one with [NewTable]; the zero Table answers every key with an error. Its
// methods are safe for concurrent use, and a look-up allocates nothing.
type Table struct {
	current atomic.Pointer[tableContent]

	mu       sync.Mutex                      // of those who replace current
	required []func(*ratelimit.Policy) error // what limiters made with Limiter.With want of each policy
}

// TableConfig is the content of a [Table].
//
// In Members and Keys, a key may be written as "sha256:" and the 64 hexadecimal digits of
// its SHA-256 hash, so that no secret need stand in a file: with [HashKey]. A look-up in a
// table with such keys hashes the key that it looks for, which takes some 100 ns.
//
// An address or a prefix is a fault, since no caller has it as its key. The key of a client
// without one is what middleware.AddressKey returns; for prefixes, use a [LimitsFunc].
type TableConfig struct {
	// Default holds every key that is in neither Members nor Keys. Required.
	Default *ratelimit.Policy
	// Plans are policies by name: what Members belong to.
	Plans map[string]*ratelimit.Policy
	// Members are the keys that belong to a plan, each with the plan's name.
	Members map[string]string
	// Keys are the keys that have a policy of their own. No key is in both.
	Keys map[string]*ratelimit.Policy
}

// tableContent is a TableConfig as look-ups need it.
type tableContent struct {
	fallback *ratelimit.Policy
	plans    map[string]*ratelimit.Policy
	byKey    map[string]*assignment
	byHash   map[[sha256.Size]byte]*assignment

	different []*ratelimit.Policy // those of all keys, each once; made when they are looked through

	summed sync.Once
	sum    [sha256.Size]byte // for TableSnapshot.Sum
}

// An assignment is what one key is held to. All members of a plan have the same one.
type assignment struct {
	policy *ratelimit.Policy
	plan   string
	member bool // of that plan
}

// find returns what the key is held to, or nil for the default.
func (c *tableContent) find(key string) *assignment {
	if a := c.byKey[key]; a != nil {
		return a
	}
	if len(c.byHash) > 0 {
		return c.byHash[hashOf(key)]
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
// joins the faults of c, each with its place, the old content stays in force; it is a
// fault, too, if a policy leaves no room for limits that [Limiter.With] adds. The table
// keeps no map of c. Callers of other goroutines wait for nothing meanwhile, however
// large c is.
func (t *Table) Replace(c TableConfig) error {
	_, err := t.replace(c, func(*tableContent) error { return nil })
	return err
}

// replace is Replace, unless a last look at the old content is against it.
func (t *Table) replace(c TableConfig, look func(old *tableContent) error) (*tableContent, error) {
	content, err := compileTable(c)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := content.meets(t.required); err != nil {
		return nil, err
	}
	if err := look(t.current.Load()); err != nil {
		return nil, err
	}
	t.current.Store(content)
	return content, nil
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

// SelfTimed tells the limiter that a table never waits.
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

// Config returns the content of t, with the keys as they were written, hashes in lower
// case: a copy, which takes a while if they are many. Its policies are those of t. That of
// the zero Table is the zero TableConfig.
func (t *Table) Config() TableConfig {
	c := t.current.Load()
	if c == nil {
		return TableConfig{}
	}
	config := TableConfig{Default: c.fallback, Plans: maps.Clone(c.plans)}
	add := func(key string, a *assignment) {
		if a.member {
			if config.Members == nil {
				config.Members = make(map[string]string)
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
		add(hashPrefix+hex.EncodeToString(hash[:]), a)
	}
	return config
}

// PlanOf returns the name of the plan that a key belongs to, and whether it belongs to
// one: a key with limits of its own, or under the default, does not.
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

const hashPrefix = "sha256:"

// hashOf is the SHA-256 of a key, without a copy of it on the heap unless it is long.
func hashOf(key string) [sha256.Size]byte {
	var buffer [256]byte
	return sha256.Sum256(append(buffer[:0], key...))
}
