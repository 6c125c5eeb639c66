package admin

import (
	"net/http"
	"strings"
	"time"

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
		_, state.Own = t.BlockOf(key)
	}
	return state
}

const (
	wantUntil   = `The end of the block must be in the future, a day (UTC) or an RFC 3339 time in whole seconds, such as "2026-12-04T18:00:00Z"; without "until" it has none.`
	wantReason  = `The reason must be at most 128 printable ASCII characters without " \ ; or , and without a space at either end.`
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
	before, had := table.BlockOf(key)
	if err := table.Block(key, b); err != nil {
		c.problem(http.StatusBadRequest, wantReason)
		return
	}
	var r ratelimit.Result
	if err := guarded(func() (err error) { r, err = c.limiter.Peek(c.r.Context(), key); return err }); err == nil && !r.Blocked() {
		if _, err := table.Unblock(key); err == nil && had {
			_ = table.Block(key, before)
		}
		c.problem(http.StatusConflict, notLookedUp)
		return
	}
	c.event.Block = b.String()
	c.begin(http.StatusNoContent, "")
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
	switch found, err := c.config.Table.Unblock(key); {
	case err != nil:
		c.unavailable(err)
	case !found:
		c.problem(http.StatusNotFound, "The key has no block of its own; its plan or the default may be blocked.")
	default:
		c.begin(http.StatusNoContent, "")
	}
}
