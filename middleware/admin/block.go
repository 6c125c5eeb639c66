package admin

import (
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

// blockState is the block of a key.
type blockState struct {
	Until  *time.Time `json:"until,omitempty"`
	Reason string     `json:"reason,omitempty"`
	Own    bool       `json:"own"`
}

// blockOf returns the block because of which a call was denied, or nil.
func (c *call) blockOf(key string, r *ratelimit.Result) *blockState {
	b, ok := r.Policy().Block()
	if !ok {
		return nil
	}
	state := &blockState{Reason: b.Reason}
	if !b.Until.IsZero() {
		state.Until = &b.Until
	}
	if t := c.config.Table; t != nil {
		listed, _ := c.listed(key)
		_, state.Own = t.BlockOf(listed)
	}
	return state
}

const (
	wantUntil   = `The end of the block must be in the future, a day (UTC) or an RFC 3339 time in whole seconds, such as "2026-12-04T18:00:00Z"; without "until" it has none.`
	wantReason  = `The reason must be at most 128 printable ASCII characters without " \ ; or , and without a space at either end.`
	wantPrefix  = "A prefix of IPv6 must have at most 64 bits, by which clients differ."
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
	table := c.config.Table
	listed, asked := c.listed(key)
	before, had := table.BlockOf(listed)
	err := table.Block(listed, b)
	if isKeyFault(err) && !c.prefix { // an API key that looks like a range of addresses
		listed = ratelimit.HashKey(key)
		err = table.Block(listed, b)
	}
	switch {
	case isKeyFault(err):
		c.problem(http.StatusBadRequest, wantPrefix)
		return
	case err != nil:
		c.problem(http.StatusBadRequest, wantReason)
		return
	}
	p, _ := table.PolicyFor(c.r.Context(), asked) // of a prefix, an address in it may be listed by itself
	_, inTable := p.Block()
	var r ratelimit.Result
	if err := guarded(func() (err error) { r, err = c.limiter.Peek(c.r.Context(), asked); return err }); err == nil && inTable && !r.Blocked() {
		if _, err := table.Unblock(listed); err == nil && had {
			_ = table.Block(listed, before)
		}
		c.problem(http.StatusConflict, notLookedUp)
		return
	}
	c.event.Block = b.String()
	c.begin(http.StatusNoContent, "")
}

// isKeyFault reports whether a table has rejected the key of a block.
func isKeyFault(err error) bool {
	faults := ratelimit.Faults(err)
	return len(faults) > 0 && faults[0].Field == "key"
}

// listed returns the key as the table has it, and a key that the limiter may get for it: they
// differ for a prefix, and for an API key that looks like an address, which is listed as its hash.
func (c *call) listed(key string) (listed, asked string) {
	p, err := netip.ParsePrefix(key)
	_, err2 := netip.ParseAddr(key)
	switch {
	case c.prefix:
		return key, middleware.AddressKey(p.Addr())
	case err == nil, err2 == nil:
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
	switch found, err := c.config.Table.Unblock(listed); {
	case err != nil:
		c.unavailable(err)
	case !found:
		c.problem(http.StatusNotFound, "The key has no block of its own; its plan or the default may be blocked.")
	default:
		c.begin(http.StatusNoContent, "")
	}
}
