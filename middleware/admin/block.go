package admin

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
)

// blockState is the block of a key.
type blockState struct {
	Until  *time.Time `json:"until,omitempty"`
	Reason string     `json:"reason,omitempty"`
	Own    bool       `json:"own"`
}

// blockOf returns the block that denied a call, or nil.
func (c *call) blockOf(key string, r *ratelimit.Result) *blockState {
	b, ok := r.Policy().Block()
	if !ok {
		return nil
	}
	state := stateOfBlock(b)
	if t := c.config.Table; t != nil {
		listed, _ := c.listed(key)
		_, state.Own = t.BlockOf(listed)
	}
	return state
}

// stateOfBlock returns the state of a block that is not the key's own.
func stateOfBlock(b ratelimit.Block) *blockState {
	state := &blockState{Reason: b.Reason}
	if !b.Until.IsZero() {
		state.Until = &b.Until
	}
	return state
}

const (
	wantUntil   = `The end of the block must be in the future, a day (UTC) or an RFC 3339 time in whole seconds, such as "2026-12-04T18:00:00Z"; without "until" it has none.`
	wantReason  = `The reason must be at most 128 printable ASCII characters without " \ ; or , and without a space at either end.`
	wantPrefix  = "A prefix of IPv6 must have at most 64 bits, by which clients differ."
	wantFewer   = "More than 8 prefixes in one another would be blocked until different times. Lift one of these blocks, or set the end that one of them has. Nothing was changed."
	notLookedUp = "The program's limits do not look this key up in the table, so a block there has no effect. Nothing was changed."
)

// block blocks a key in the table, if the limiter goes by that.
func (c *call) block() {
	if _, ok := c.snapshot(); !ok {
		return
	}
	key, given, ok := c.subject("until", "reason")
	if !ok {
		return
	}
	var b ratelimit.Block
	if until, ok := given["until"]; ok {
		parsed, err := ratelimit.ParseBlock("blocked;until=" + until)
		if b = parsed; err != nil || strings.Contains(until, ";") || !b.Until.After(time.Now()) {
			c.problem(http.StatusBadRequest, wantUntil)
			return
		}
	}
	b.Reason = given["reason"]
	listed, asked := c.listed(key)
	before, had := c.config.Table.BlockOf(listed)
	err := c.setBlock(listed, b)
	switch {
	case err != nil && c.config.Fleet != nil && len(ratelimit.Faults(err)) == 0:
		c.fleetFailed(err)
		return
	case isFault(err, "key") && !c.prefix:
		c.problem(http.StatusBadRequest, ofAddress)
		return
	case isFault(err, "key"):
		c.problem(http.StatusBadRequest, wantPrefix)
		return
	case err != nil && !isFault(err, "Reason"):
		c.problem(http.StatusBadRequest, wantFewer)
		return
	case err != nil:
		c.problem(http.StatusBadRequest, wantReason)
		return
	}
	if c.ignored(asked) {
		if had {
			_ = c.setBlock(listed, before)
		} else {
			_, _ = c.liftBlock(listed)
		}
		c.problem(http.StatusConflict, notLookedUp)
		return
	}
	c.event.Block = b.String()
	c.begin(http.StatusNoContent, "")
}

// ignored reports whether the limiter serves a key that the table blocks. It cannot be asked about
// a hash.
func (c *call) ignored(key string) bool {
	p, _ := c.config.Table.PolicyFor(c.r.Context(), key) // of a prefix, an address in it may be listed by itself
	if _, inTable := p.Block(); c.hash || !inTable {
		return false
	}
	var r ratelimit.Result
	err := guarded(func() (err error) { r, err = c.limiter.Peek(c.r.Context(), key); return err })
	return err == nil && !r.Blocked()
}

// setBlock blocks a key, on all nodes if a fleet shares the table.
func (c *call) setBlock(listed string, b ratelimit.Block) error {
	if c.config.Fleet == nil {
		return c.config.Table.Block(listed, b)
	}
	name, err := nameInFleet(listed, b)
	if err != nil {
		return err
	}
	return c.change(func(t *plans.TableConfig) bool {
		if t.Blocked == nil {
			t.Blocked = make(map[string]ratelimit.Block, 1)
		}
		delete(t.Blocked, listed) // of a fleet that has keys in plain text
		t.Blocked[name] = b
		return true
	})
}

// liftBlock lifts the block of a key, on all nodes if a fleet shares the table.
func (c *call) liftBlock(listed string) (found bool, err error) {
	if c.config.Fleet == nil {
		return c.config.Table.Unblock(listed)
	}
	name, err := nameInFleet(listed, ratelimit.Block{})
	if err != nil {
		return false, err
	}
	err = c.change(func(t *plans.TableConfig) bool {
		before := len(t.Blocked)
		delete(t.Blocked, listed)
		delete(t.Blocked, name)
		found = len(t.Blocked) < before
		return found
	})
	return found, err
}

// nameInFleet returns what the table of a fleet has for a blocked key: a hash, or a prefix of
// addresses. It returns the faults that plans.Table.Block finds.
func nameInFleet(listed string, b ratelimit.Block) (name string, err error) {
	t, err := plans.NewTable(plans.TableConfig{Default: ratelimit.Unlimited})
	if err == nil {
		err = t.Block(listed, b)
	}
	if err != nil {
		return "", err
	}
	for name = range t.Snapshot().Hashed().Config().Blocked {
	}
	return name, nil
}

// change makes edit change the table of the fleet, again while others change it meanwhile. If edit
// returns false, nothing is changed.
func (c *call) change(edit func(*plans.TableConfig) bool) (err error) {
	for range mostChanged {
		s := c.config.Fleet.Snapshot()
		t := s.Config()
		if !edit(&t) {
			return nil
		}
		if _, err = c.put(s, t); !errors.Is(err, plans.ErrChanged) {
			return err
		}
	}
	return err
}

// mostChanged is how often a change is tried while others change the table.
const mostChanged = 20

// isFault reports whether a table has rejected the key of a block, or another field.
func isFault(err error, field string) bool {
	faults := ratelimit.Faults(err)
	return len(faults) > 0 && faults[0].Field == field
}

// listed returns the key as the table has it, and a key that the limiter may get for it. They
// differ for a prefix, and for an API key that looks like an address or like a hash, which is
// listed as its hash.
func (c *call) listed(key string) (listed, asked string) {
	switch {
	case c.prefix:
		p, _ := netip.ParsePrefix(key) // it is one
		return key, middleware.AddressKey(p.Addr())
	case !c.hash && (looksLikeAddress(key) || strings.HasPrefix(key, "sha256:")):
		return ratelimit.HashKey(key), key
	}
	return key, key
}

// unblock lifts the block of a key.
func (c *call) unblock() {
	if _, ok := c.snapshot(); !ok {
		return
	}
	key, _, ok := c.subject()
	if !ok {
		return
	}
	listed, _ := c.listed(key)
	switch found, err := c.liftBlock(listed); {
	case isFault(err, "key") && c.prefix:
		c.problem(http.StatusBadRequest, wantPrefix)
	case isFault(err, "key"):
		c.problem(http.StatusBadRequest, ofAddress)
	case err != nil && c.config.Fleet != nil:
		c.fleetFailed(err)
	case err != nil:
		c.unavailable(err)
	case !found:
		c.problem(http.StatusNotFound, "The key has no block of its own; its plan or the default may be blocked.")
	default:
		c.begin(http.StatusNoContent, "")
	}
}
