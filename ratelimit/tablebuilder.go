package ratelimit

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// compileTable makes the maps in which keys are looked up.
func compileTable(c TableConfig) (*tableContent, error) {
	b := tableBuilder{content: &tableContent{
		fallback: c.Default,
		plans:    maps.Clone(c.Plans),
		byKey:    make(map[string]*assignment, len(c.Members)+len(c.Keys)),
		byHash:   make(map[[sha256.Size]byte]*assignment),
	}}
	if err := checkPolicy(c.Default); err != nil {
		err.Field = "TableConfig.Default"
		b.faults = append(b.faults, err)
	}
	plans := make(map[string]*assignment, len(c.Plans))
	for name, p := range c.Plans {
		plans[name] = &assignment{policy: p, plan: name, member: true}
		if err := checkPolicy(p); err != nil {
			b.fault(fmt.Sprintf("TableConfig.Plans[%q]", name), err.Value, err.Want)
		}
	}
	for key, plan := range c.Members {
		if a := plans[plan]; a != nil {
			b.put("Members", key, a)
		} else {
			b.fault(place("Members", key), plan, "must be the name of one of TableConfig.Plans")
		}
	}
	for key, p := range c.Keys {
		if err := checkPolicy(p); err != nil {
			b.fault(place("Keys", key), err.Value, err.Want)
		} else {
			b.put("Keys", key, &assignment{policy: p})
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
func (b *tableBuilder) put(in, key string, a *assignment) {
	c := b.content
	digits, hashed := strings.CutPrefix(key, hashPrefix)
	if !hashed {
		if _, twice := c.byKey[key]; twice {
			b.fault(place(in, key), "there twice", "must be in one of TableConfig.Members and TableConfig.Keys")
		}
		c.byKey[key] = a
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
	c.byHash[h] = a
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
