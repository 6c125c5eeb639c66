package table

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyrate/keyrate/store"
)

// nodes is what is known of how many nodes there are.
type nodes struct {
	count atomic.Int64

	mu      sync.Mutex
	shrinks time.Time // before, the number may be too small: Redis has lost it, or was unavailable
	beat    time.Time // when this node last showed that it is alive
	clock   time.Time // when Redis' clock was last read in a short time
}

// Nodes returns how many nodes share the table. While Redis is unavailable the number holds, and after
// that, or after Redis was emptied, it does not shrink until all nodes can have shown themselves.
func (t *Table) Nodes() int { return int(t.nodes.count.Load()) }

// quickly is how long an answer may take by which the clock is set. Its error is half of that.
const quickly = 50 * time.Millisecond

// beat shows that this node is alive, and learns what Redis has.
func (t *Table) beat(ctx context.Context) (head, error) {
	began := time.Now()
	h, err := t.server.beat(ctx, t.id, lasts*t.config.Poll, false)
	if err != nil {
		return h, err
	}
	now := time.Now()
	n := &t.nodes
	n.mu.Lock()
	defer n.mu.Unlock()
	gap := now.Sub(n.beat)
	n.beat = now
	if took := now.Sub(began); took < quickly || now.Sub(n.clock) > time.Minute {
		t.offset.Store(int64(h.now.Sub(began.Add(took / 2))))
		n.clock = now
	}
	if !h.known || gap > 2*t.config.Poll { // others, too, may have had no answer
		n.shrinks = now.Add(lasts * t.config.Poll)
	}
	if before := t.Nodes(); h.nodes > before || h.nodes < before && !now.Before(n.shrinks) {
		t.setNodes(h.nodes)
	}
	return h, nil
}

// setNodes sets the number and reports it. The caller holds nodes.mu, so that the last report is the
// last number.
func (t *Table) setNodes(n int) {
	t.nodes.count.Store(int64(n))
	if t.config.OnNodes != nil {
		_ = store.Try(func() { t.config.OnNodes(n) })
	}
}

// beatOn shows that this node is alive while a change or a large table takes longer than a poll,
// until ctx ends.
func (t *Table) beatOn(ctx context.Context) {
	for ctx.Err() == nil {
		t.nodes.mu.Lock()
		wait := t.config.Poll*5/4 - time.Since(t.nodes.beat)
		t.nodes.mu.Unlock()
		if wait > 0 {
			select {
			case <-ctx.Done():
			case <-time.After(wait):
			}
			continue
		}
		if _, err := t.beat(ctx); err != nil { // the next look reports it
			select {
			case <-ctx.Done():
			case <-time.After(t.config.Poll):
			}
		}
	}
}
