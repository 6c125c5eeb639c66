package table

import (
	"context"
	"crypto/rand"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store"
)

// A Table is a table of limits that nodes share through Redis: the [ratelimit.Limits] of their
// limiters. Make one with [New]. Its methods are safe for concurrent use. It has nothing to close.
type Table struct {
	server server
	config Config
	id     string // of this node
	force  *plans.Table

	turn chan struct{} // holds a token: one goroutine at a time reads or writes the table in Redis
	seen seen          // guarded by turn

	forcing sync.Mutex // held to replace own and what is in force together; never while Redis is asked

	mu     sync.Mutex
	own    *copied // never nil
	trail  trail
	ends   time.Time // when the first override in force ends; zero if there is none
	status Status

	reporting sync.Mutex // one call of Config.OnEvent at a time

	endsChanged chan struct{} // wakes the goroutine that waits for ends

	offset  atomic.Int64 // of Redis' clock, in nanoseconds
	running atomic.Int32
	nodes   nodes
}

// seen is what a node has noticed in Redis.
type seen struct {
	version, restored, noted int64 // of the head when the trail was read

	ahead int64 // a version that is too far ahead of Redis' clock; 0 if there is none

	bad        string // the sum of a body that cannot be used; "" if there is none
	badVersion int64
	again      int // attempts until that is read once more
}

// replaceable reports whether Redis has a version that a change replaces, or one with repair,
// although the node cannot follow it.
func (s *seen) replaceable(repair bool) bool { return s.ahead != 0 || repair && s.bad != "" }

func newTable(client redis.UniversalClient, base plans.Snapshot, c Config) (*Table, error) {
	t := &Table{server: server{client: client, prefix: c.Prefix}, config: c, id: rand.Text(), force: new(plans.Table), turn: make(chan struct{}, 1), endsChanged: make(chan struct{}, 1)}
	t.turn <- struct{}{}
	d := document{base: base}
	text, err := d.text()
	if err != nil {
		return nil, err
	}
	t.own, t.status.Version = &copied{document: d, version: firstVersion, sum: sumOf(text), body: pack(text)}, firstVersion
	t.nodes.count.Store(int64(max(c.Nodes, 1)))
	return t, t.force.Use(base)
}

// PolicyFor returns the policy of the key in the table that is in force.
func (t *Table) PolicyFor(ctx context.Context, key string) (*ratelimit.Policy, error) {
	return t.force.PolicyFor(ctx, key)
}

// Default returns the policy of keys that are not in the table.
func (t *Table) Default() *ratelimit.Policy { return t.force.Default() }

// Require makes the table reject versions with a policy for which fits returns an error: see
// [plans.Table.Require].
func (t *Table) Require(fits func(*ratelimit.Policy) error) error { return t.force.Require(fits) }

// SelfTimed marks a table as Limits that never wait.
func (t *Table) SelfTimed() {}

// Table returns the table in force on this node, with overrides: always the same one. Its
// own Replace and Block would change this node alone, until the next version.
func (t *Table) Table() *plans.Table { return t.force }

// Snapshot returns the table without overrides, which operators edit.
func (t *Table) Snapshot() plans.Snapshot {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.own.base
}

// Changes returns the audit trail: the last changes, at most 100, the newest first. It has fewer
// if what is kept to undo them exceeds 32 MiB. A Version is the time of the change by
// Redis' clock, in milliseconds since 1970, or one more than that of the change before.
func (t *Table) Changes() []plans.Change {
	t.mu.Lock()
	defer t.mu.Unlock()
	changes := make([]plans.Change, 0, len(t.trail))
	for i := range t.trail {
		changes = append(changes, t.trail[i].change())
	}
	return changes
}

// Overrides returns the overrides that have not ended, with hashes for keys.
func (t *Table) Overrides() []plans.Override {
	t.mu.Lock()
	defer t.mu.Unlock()
	left, _ := active(t.own.overrides, t.now())
	return left
}

// now returns Redis' clock, or this node's while nothing is known of that.
func (t *Table) now() time.Time { return time.Now().Add(time.Duration(t.offset.Load())) }

// take waits for the turn to read or write the table in Redis.
func (t *Table) take(ctx context.Context) error {
	select {
	case <-t.turn:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *Table) give() { t.turn <- struct{}{} }

// putInForce puts a version in force on this node, or leaves the old one and returns an error.
func (t *Table) putInForce(c *copied) error {
	t.forcing.Lock()
	defer t.forcing.Unlock()
	s, end := t.effective(c.document)
	if err := t.force.Use(s); err != nil {
		return err
	}
	t.mu.Lock()
	t.own, t.ends, t.status.Version = c, end, c.version
	t.mu.Unlock()
	select {
	case t.endsChanged <- struct{}{}:
	default:
	}
	return nil
}

// effective returns the table of a document with those of its overrides that have not ended, and
// when the first of these ends.
func (t *Table) effective(d document) (plans.Snapshot, time.Time) {
	left, end := active(d.overrides, t.now())
	if len(left) == 0 {
		return d.base, end
	}
	s, _ := d.base.With(left) // what was right when it was made keeps no later version from being in force
	return s, end
}

// current returns the version of this node.
func (t *Table) current() *copied {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.own
}

// report calls the hook.
func (t *Table) report(e Event) {
	if t.config.OnEvent == nil {
		return
	}
	t.reporting.Lock()
	defer t.reporting.Unlock()
	e.Version = t.current().version
	_ = store.Try(func() { t.config.OnEvent(e) })
}
