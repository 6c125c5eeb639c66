package plans

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/internal/keyhash"
	"github.com/keyrate/keyrate/ratelimit/plans/internal/address"
)

// compileTable makes the maps for look-ups.
func compileTable(c TableConfig) (*tableContent, error) {
	hashed := hashes(c.Members) + hashes(c.Keys)
	b := tableBuilder{content: &tableContent{
		fallback: c.Default,
		plans:    maps.Clone(c.Plans),
		byKey:    make(map[string]*assignment, len(c.Members)+len(c.Keys)-hashed),
		byHash:   make(map[[sha256.Size]byte]*assignment, hashed),
	}}
	if err := checkPolicy(c.Default); err != nil {
		b.fault("TableConfig.Default", err.Value, err.Want)
	}
	plans := make(map[string]*assignment, len(c.Plans))
	for name, p := range c.Plans {
		plans[name] = &assignment{policy: p, plan: name, member: true}
		if err := checkPolicy(p); err != nil {
			b.fault(planPlace(name), err.Value, err.Want)
		}
		if !validText(name) {
			b.fault(planPlace(name), "not UTF-8", "must be text without U+FFFD")
		}
	}
	for key, plan := range c.Members {
		if a := plans[plan]; a != nil {
			b.put("Members", key, a)
		} else {
			b.fault(place("Members", key), nil, wantPlan(c.Plans)) // without the value: it may be the key
		}
	}
	for key, p := range c.Keys {
		if err := checkPolicy(p); err != nil {
			b.fault(place("Keys", key), err.Value, err.Want)
		} else {
			b.put("Keys", key, &assignment{policy: p})
		}
	}
	return b.content, b.join()
}

// hashes counts the keys that are written as hashes.
func hashes[V any](m map[string]V) (n int) {
	for key := range m {
		if strings.HasPrefix(key, keyhash.Prefix) {
			n++
		}
	}
	return n
}

// A tableBuilder fills a content and collects the faults.
type tableBuilder struct {
	content *tableContent
	faultList
}

// put enters one key. A key given both in plain text and as its hash gets two entries.
func (b *tableBuilder) put(in, key string, a *assignment) {
	c := b.content
	if !strings.HasPrefix(key, keyhash.Prefix) {
		if address.Is(key) {
			b.fault(place(in, key), "an address", address.Want)
			return
		}
		before := len(c.byKey)
		// A copy: the key may be a part of a file.
		if c.byKey[strings.Clone(key)] = a; len(c.byKey) == before {
			b.fault(place(in, key), "there twice", "must be in one of TableConfig.Members and TableConfig.Keys")
		}
		return
	}
	h, ok := parseHash(key)
	if !ok {
		b.fault(place(in, key), "not a hash", `must be "sha256:" and 64 hexadecimal digits, as ratelimit.HashKey returns them`)
		return
	}
	before := len(c.byHash)
	if c.byHash[h] = a; len(c.byHash) == before {
		b.fault(place(in, key), "there twice", "must be in one of TableConfig.Members and TableConfig.Keys")
	}
}

func (b *tableBuilder) fault(field string, value any, want string) {
	b.add(&placedError{LimitError: &ratelimit.LimitError{Field: field, Value: value, Want: want}})
}

// planPlace returns the place of a plan in a TableConfig. Names of plans are not secret.
func planPlace(name string) string { return fmt.Sprintf("TableConfig.Plans[%q]", name) }

// place returns the place of a key in a TableConfig. It shows the first digits of the hash that
// `printf %s KEY | sha256sum` prints, also for a key that only begins like a hash.
func place(in, key string) string {
	if _, ok := parseHash(key); !ok {
		key = ratelimit.HashKey(key)
	}
	return fmt.Sprintf("TableConfig.%s[%.19s…]", in, key)
}

// parseHash reads what HashKey returns, in either case of letters.
func parseHash(s string) (h [sha256.Size]byte, ok bool) {
	digits, ok := strings.CutPrefix(s, keyhash.Prefix)
	if !ok || len(digits) != hex.EncodedLen(len(h)) {
		return h, false
	}
	_, err := hex.Decode(h[:], []byte(digits))
	return h, err == nil
}

// checkPolicy returns the fault of a policy, or nil.
func checkPolicy(p *ratelimit.Policy) *ratelimit.LimitError {
	_, err := p.PolicyFor(context.Background(), "")
	fault, _ := errors.AsType[*ratelimit.LimitError](err)
	return fault
}

// wantPlan says which plans there are, if they are few.
func wantPlan(plans map[string]*ratelimit.Policy) string {
	const want = "must be the name of one of TableConfig.Plans"
	if len(plans) == 0 || len(plans) > 10 {
		return want
	}
	names := make([]string, 0, len(plans))
	for _, name := range slices.Sorted(maps.Keys(plans)) {
		names = append(names, strconv.Quote(name))
	}
	return want + ": " + strings.Join(names, ", ")
}
