package plans

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/internal/keyhash"
	"github.com/keyrate/keyrate/ratelimit/plans/internal/address"
	"github.com/keyrate/keyrate/ratelimit/plans/internal/homes"
)

// compileTable makes the maps for look-ups.
func compileTable(c TableConfig) (*tableContent, error) {
	hashed := hashes(maps.Keys(c.Members)) + hashes(maps.Keys(c.Keys))
	all := len(c.Members) + len(c.Keys)
	for _, o := range c.Organisations {
		hashed += hashes(slices.Values(o.Members)) + hashes(maps.Keys(o.Keys))
		all += len(o.Members) + len(o.Keys)
	}
	b := tableBuilder{content: &tableContent{
		fallback:      c.Default,
		plans:         maps.Clone(c.Plans),
		organisations: make(map[string]*organisation, len(c.Organisations)),
		byKey:         make(map[string]*assignment, all-hashed),
		byHash:        make(map[[sha256.Size]byte]*assignment, hashed),
	}}
	if b.policy("TableConfig.Default", c.Default) && homes.Shares(c.Default) {
		b.fault("TableConfig.Default", c.Default.String(), "must have no shared limit: keys that are not listed belong to no organisation to share it with")
	}
	plans := make(map[string]*assignment, len(c.Plans))
	for name, p := range c.Plans {
		plans[name] = &assignment{policy: p, plan: name, member: true}
		b.policy(planPlace(name), p)
		switch {
		case name == "":
			b.fault(planPlace(name), "no name", "must have a name")
		case !validText(name):
			b.fault(planPlace(name), "not UTF-8", "must be text without U+FFFD")
		}
	}
	sharing := make(map[string]bool)
	for name, p := range c.Plans {
		if p != nil && homes.Shares(p) {
			sharing[name] = true
		}
	}
	for key, plan := range c.Members {
		switch a := plans[plan]; {
		case a == nil:
			b.fault(place("Members", key), nil, wantPlan(c.Plans)) // without the value: it may be the key
		case len(sharing) > 0 && sharing[plan]:
			b.fault(place("Members", key), "a plan with a shared limit", "must be a plan without one; or the key must be under TableConfig.Organisations, in the organisation whose keys share it")
		default:
			b.put("Members", key, a)
		}
	}
	for key, p := range c.Keys {
		b.ownKey(key, p)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Organisations)) {
		b.organisation(name, c.Organisations[name], plans, c.Plans)
	}
	for key, block := range c.Blocked {
		b.block(key, block)
	}
	return b.content, b.join()
}

// hashes counts the keys that are written as hashes.
func hashes(keys iter.Seq[string]) (n int) {
	for key := range keys {
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

const wantOnce = "must be in one of TableConfig.Members, TableConfig.Keys and TableConfig.Organisations, once"

// policy reports whether a policy can be used, and adds its fault if not.
func (b *tableBuilder) policy(field string, p *ratelimit.Policy) bool {
	err := checkPolicy(p)
	if err != nil {
		b.fault(field, err.Value, err.Want)
	}
	return err == nil
}

// ownKey enters a key that has a policy of its own and belongs to no organisation.
func (b *tableBuilder) ownKey(key string, p *ratelimit.Policy) {
	switch {
	case !b.policy(place("Keys", key), p):
	case homes.Shares(p):
		b.fault(place("Keys", key), "a shared limit", "must not be shared; or the key must be under TableConfig.Organisations, in the organisation whose keys share it")
	default:
		b.put("Keys", key, &assignment{policy: p})
	}
}

// put enters one key. A key given both in plain text and as its hash gets two entries.
func (b *tableBuilder) put(in, key string, a *assignment) {
	c := b.content
	if canonical, ok := address.Canonical(key); ok {
		if p, ok := address.ParsePrefix(canonical); ok {
			if _, twice := c.byPrefix.Get(p); twice {
				b.fault(place(in, key), "there twice", wantOnce)
			}
			c.byPrefix.Set(p, a)
			return
		}
		key = canonical
	}
	if !strings.HasPrefix(key, keyhash.Prefix) {
		if address.Is(key) {
			b.fault(place(in, key), "an address", address.Want)
			return
		}
		before := len(c.byKey)
		// A copy: the key may be a part of a file.
		if c.byKey[strings.Clone(key)] = a; len(c.byKey) == before {
			b.fault(place(in, key), "there twice", wantOnce)
		}
		return
	}
	h, ok := parseHash(key)
	if !ok {
		b.fault(place(in, key), "not a hash", wantHash)
		return
	}
	before := len(c.byHash)
	if c.byHash[h] = a; len(c.byHash) == before {
		b.fault(place(in, key), "there twice", wantOnce)
	}
}

// block enters the block of one key.
func (b *tableBuilder) block(key string, block ratelimit.Block) {
	before := b.content.blocks.len()
	faults := ratelimit.Faults(b.content.blocks.add(key, block, false))
	if len(faults) == 0 && b.content.blocks.len() == before { // two spellings of one address
		b.fault(place("Blocked", key), "there twice", wantOnce)
	}
	for _, fault := range faults {
		field := place("Blocked", key)
		if fault.Field != "key" {
			field += "." + fault.Field
		}
		b.fault(field, fault.Value, fault.Want)
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
	if err == nil && p.Home() != "" {
		return &ratelimit.LimitError{Value: "a policy in a home", Want: "must be what policy.In(\"\") returns: keys belong to the homes of TableConfig.Organisations"}
	}
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
