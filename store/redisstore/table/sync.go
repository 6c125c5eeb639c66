package table

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/redisstore"
)

// Load puts the table of Redis in force. If Redis does not answer before ctx ends, it puts the copy
// in Config.File in force, if there is one, and returns the error of Redis. Run does the same. A
// program that must not serve with the initial table calls it first.
func (t *Table) Load(ctx context.Context) error {
	if err := t.take(ctx); err != nil {
		return err
	}
	defer t.give()
	t.readFile()
	return t.follow(ctx)
}

// follow makes one attempt to have the version that Redis has, or to put back what it has lost.
// The caller has the turn.
func (t *Table) follow(ctx context.Context) error {
	before := t.current()
	err := t.attempt(ctx)
	if t.current() != before {
		t.writeFile()
		t.report(Event{})
	}
	if ctx.Err() != nil && err != nil { // the program ends
		return err
	}
	t.mu.Lock()
	t.status.set(err)
	t.mu.Unlock()
	if err != nil {
		t.report(Event{Err: err})
	}
	return err
}

func (t *Table) attempt(ctx context.Context) error {
	h, err := t.beat(ctx)
	if err != nil {
		return err
	}
	if h.sum != t.seen.bad {
		t.seen.bad = ""
	}
	t.seen.ahead = 0
	own := t.current()
	if h.ahead(own.version) {
		if made, err := t.ofNode(ctx, h); err != nil {
			return err
		} else if !made {
			t.seen.ahead = h.version
			return &aheadError{h, own.version}
		}
	}
	switch {
	case h.version < own.version, h.version == own.version && h.sum == own.sum && !h.whole:
		return t.putBack(ctx)
	case h.version > own.version || h.sum != own.sum:
		if err := t.fetch(ctx, h); err != nil {
			return err
		}
	}
	return t.catchUp(ctx, h)
}

// mostAhead is how far a version may be ahead of Redis' clock. It is long, since a node that starts must
// follow a version that was made while that clock was days ahead.
const mostAhead = 365 * 24 * time.Hour

// ahead reports whether the version of a head is too far ahead of Redis' clock, and of the version of
// this node, for one that a node has made.
func (h head) ahead(own int64) bool {
	return h.version > max(h.now.UnixMilli(), own)+mostAhead.Milliseconds()
}

// ofNode reports whether a node has made the version of a head, by the trail: while Redis' clock was
// wrong.
func (t *Table) ofNode(ctx context.Context, h head) (bool, error) {
	n, err := t.server.note(ctx, h.version)
	if errors.Is(err, errDelta) { // there is none
		return false, nil
	}
	return err == nil && n.Sum == h.sum, err
}

// An aheadError reports a version that is too far ahead of Redis' clock. A node neither reads it nor
// puts its own back, so that nothing happens until an operator replaces it.
type aheadError struct {
	there head
	own   int64
}

// Error names both versions, and says what to do.
func (e *aheadError) Error() string {
	return fmt.Sprintf("table: Redis has version %d, a time in the year %d, but its clock shows %s: somebody else wrote that version, or the clock is wrong; "+
		"version %d stays in force here; set the clock right or, if it is right, change the table or roll it back, which replaces the version",
		e.there.version, time.UnixMilli(e.there.version).UTC().Year(), e.there.now.UTC().Format(time.DateOnly), e.own)
}

// badPolls is how many polls pass until a body that cannot be used is read again.
const badPolls = 10

// fetch reads the version of the head, and puts it in force.
func (t *Table) fetch(ctx context.Context, h head) error {
	if h.sum == t.seen.bad && t.seen.again > 0 {
		t.seen.again--
		return errForeign
	}
	c, err := t.read(ctx, h)
	if err == nil {
		err = t.putInForce(c)
		if err != nil {
			err = errors.Join(errForeign, err)
		}
	}
	if errors.Is(err, errForeign) {
		t.seen.bad, t.seen.badVersion, t.seen.again = h.sum, h.version, badPolls
	} else if err == nil {
		t.seen.bad = ""
	}
	return err
}

// errReplaced means that Redis lost the version of the head while that was read. The next attempt
// puts back what it has lost.
var errReplaced = &store.Error{Class: redisstore.ClassLost, Err: errors.New("table: Redis lost the version while it was read")}

// read reads the version of the head. If a later one replaces it meanwhile, it reads that.
func (t *Table) read(ctx context.Context, h head) (*copied, error) {
	for tries := 0; ; tries++ {
		body, err := t.server.read(ctx, t.server.key("body"), "", h.parts)
		if redis.HasErrorPrefix(err, "WRONGTYPE") { // somebody else wrote it
			return nil, errors.Join(errForeign, err)
		}
		if err != nil {
			return nil, err
		}
		c, err := openBody(h.version, h.sum, body)
		if err == nil || tries == 3 {
			return c, err
		}
		next, err2 := t.beat(ctx)
		if err2 != nil {
			return nil, err2
		}
		if next.version == h.version && next.sum == h.sum && next.whole {
			return nil, err // it is the one of the head
		}
		if next.version < h.version || next.ahead(t.current().version) {
			return nil, errReplaced
		}
		h = next
	}
}

// putBack gives Redis the version of this node: it has none, or an older one.
func (t *Table) putBack(ctx context.Context) error {
	own := t.current()
	outcome, _, err := t.server.commit(ctx, draft{replaces: own.version, back: true, sum: own.sum, body: own.body})
	if err != nil {
		return err
	}
	h, err := t.beat(ctx) // another node may have been first
	if err != nil {
		return err
	}
	if h.version != own.version || h.sum != own.sum {
		return nil // the next attempt, at once for a message
	}
	if outcome == "done" {
		t.report(Event{PutBack: true})
	}
	return t.catchUp(ctx, h)
}

// catchUp makes the trail of this node that of Redis, or gives Redis what it has lost.
func (t *Table) catchUp(ctx context.Context, h head) error {
	if t.seen.version == h.version && t.seen.restored == h.restored && t.seen.noted == h.noted {
		return nil
	}
	t.mu.Lock()
	mine := slices.Clone(t.trail)
	t.mu.Unlock()
	all, err := t.server.catchUp(ctx, mine, t.seen.restored != h.restored)
	if err != nil {
		return err
	}
	t.mu.Lock()
	t.trail = all
	t.mu.Unlock()
	t.seen.version, t.seen.restored, t.seen.noted = h.version, h.restored, h.noted
	return nil
}
