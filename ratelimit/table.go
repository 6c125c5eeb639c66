package ratelimit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
)

// A Table holds policies by key, and one for all other keys. It is replaced as a
// whole while it is in use: a decision sees the old table or the new one.
//
// Make one with [NewTable]; the zero Table answers every key with an error. Its
// methods are safe for concurrent use, and a look-up allocates nothing.
type Table struct {
	current atomic.Pointer[tableContent]
}

// TableConfig is the content of a [Table].
//
// In Members and Keys, a key may be written as "sha256:" and the 64 hexadecimal digits of
// its SHA-256 hash, so that no secret need stand in a file: with [HashKey]. A look-up in a
// table with such keys hashes the key that it looks for, which takes some 100 ns.
type TableConfig struct {
	// Default holds every key that is in neither Members nor Keys. Required.
	Default *Policy
	// Plans are policies by name: what Members belong to.
	Plans map[string]*Policy
	// Members are the keys that belong to a plan, each with the plan's name.
	Members map[string]string
	// Keys are the keys that have a policy of their own. No key is in both.
	Keys map[string]*Policy
}

// tableContent is a TableConfig as look-ups need it.
type tableContent struct {
	fallback *Policy
	byKey    map[string]*Policy
	byHash   map[[sha256.Size]byte]*Policy
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
// joins the faults of c, each with its place, the old content stays in force. The table
// keeps no map of c. Callers of other goroutines wait for nothing meanwhile, however
// large c is.
func (t *Table) Replace(c TableConfig) error {
	content, err := compileTable(c)
	if err != nil {
		return err
	}
	t.current.Store(content)
	return nil
}

var errZeroTable = &LimitError{Field: "Table", Value: "zero value", Want: "must be made with ratelimit.NewTable"}

// SelfTimed tells the limiter that a table never waits.
func (t *Table) SelfTimed() {}

// PolicyFor returns the policy of the key, of its plan, or the default.
func (t *Table) PolicyFor(_ context.Context, key string) (*Policy, error) {
	c := t.current.Load()
	if c == nil {
		return nil, errZeroTable
	}
	if p, ok := c.byKey[key]; ok {
		return p, nil
	}
	if len(c.byHash) > 0 {
		if p, ok := c.byHash[hashOf(key)]; ok {
			return p, nil
		}
	}
	return c.fallback, nil
}

// HashKey returns a key as a [TableConfig] takes it instead of the key itself: "sha256:"
// and the hexadecimal digits of its SHA-256 hash. Of a key that can be guessed, the hash
// can be guessed as well.
func HashKey(key string) string {
	h := hashOf(key)
	return hashPrefix + hex.EncodeToString(h[:])
}

const hashPrefix = "sha256:"

// hashOf is the SHA-256 of a key, without a copy of it on the heap unless it is long.
func hashOf(key string) [sha256.Size]byte {
	var buffer [256]byte
	return sha256.Sum256(append(buffer[:0], key...))
}

// compileTable makes the maps in which keys are looked up.
func compileTable(c TableConfig) (*tableContent, error) {
	b := tableBuilder{content: &tableContent{
		fallback: c.Default,
		byKey:    make(map[string]*Policy, len(c.Members)+len(c.Keys)),
		byHash:   make(map[[sha256.Size]byte]*Policy),
	}}
	if err := checkPolicy(c.Default); err != nil {
		err.Field = "TableConfig.Default"
		b.faults = append(b.faults, err)
	}
	for name, p := range c.Plans {
		if err := checkPolicy(p); err != nil {
			b.fault(fmt.Sprintf("TableConfig.Plans[%q]", name), err.Value, err.Want)
		}
	}
	for key, plan := range c.Members {
		if p, ok := c.Plans[plan]; ok {
			b.put("Members", key, p)
		} else {
			b.fault(place("Members", key), plan, "must be the name of one of TableConfig.Plans")
		}
	}
	for key, p := range c.Keys {
		if err := checkPolicy(p); err != nil {
			b.fault(place("Keys", key), err.Value, err.Want)
		} else {
			b.put("Keys", key, p)
		}
	}
	return b.content, b.err()
}

// A tableBuilder fills a content and gathers the faults.
type tableBuilder struct {
	content *tableContent
	faults  []error // of c.Default
	others  []*LimitError
}

// put enters one key. Whoever is written twice, plainly and hashed, is there twice.
func (b *tableBuilder) put(in, key string, p *Policy) {
	c := b.content
	digits, hashed := strings.CutPrefix(key, hashPrefix)
	if !hashed {
		if _, twice := c.byKey[key]; twice {
			b.fault(place(in, key), "there twice", "must be in one of TableConfig.Members and TableConfig.Keys")
		}
		c.byKey[key] = p
		return
	}
	var h [sha256.Size]byte
	if n, err := hex.Decode(h[:], []byte(digits[:min(len(digits), 2*sha256.Size)])); err != nil || n != sha256.Size || len(digits) != 2*sha256.Size {
		b.fault(place(in, key), "not a hash", `must be "sha256:" and 64 hexadecimal digits, as ratelimit.HashKey returns them`)
		return
	}
	if _, twice := c.byHash[h]; twice {
		b.fault(place(in, key), "there twice", "must be in one of TableConfig.Members and TableConfig.Keys")
	}
	c.byHash[h] = p
}

func (b *tableBuilder) fault(field string, value any, want string) {
	b.others = append(b.others, &LimitError{Field: field, Value: value, Want: want})
}

// mostFaults bounds how many are told.
const mostFaults = 20

// err joins the faults, in the order of their places.
func (b *tableBuilder) err() error {
	slices.SortFunc(b.others, func(x, y *LimitError) int { return strings.Compare(x.Field, y.Field) })
	for i, fault := range b.others {
		if i == mostFaults {
			b.faults = append(b.faults, &LimitError{Field: "TableConfig", Value: len(b.others) - mostFaults, Want: "more of its entries cannot be used"})
			break
		}
		b.faults = append(b.faults, fault)
	}
	return errors.Join(b.faults...)
}

// place tells where in a TableConfig a key is. The key may be a secret: its hash stands
// for it, as `printf %s KEY | sha256sum` prints it.
func place(in, key string) string {
	if !strings.HasPrefix(key, hashPrefix) {
		key = HashKey(key)
	}
	return fmt.Sprintf("TableConfig.%s[%.19s…]", in, key)
}

// checkPolicy refuses what no decision can be made with.
func checkPolicy(p *Policy) *LimitError {
	if p == nil {
		return &LimitError{Field: "Policy", Value: "nil", Want: "must be made with ratelimit.NewPolicy; to exempt a key, use ratelimit.Unlimited"}
	}
	if len(p.buckets) == 0 && p != Unlimited {
		return &LimitError{Field: "Policy", Value: "zero value", Want: "must be made with ratelimit.NewPolicy; to exempt a key, use ratelimit.Unlimited"}
	}
	return nil
}
