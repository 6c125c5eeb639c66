package table

import (
	"sync/atomic"
	"time"

	"github.com/keyrate/keyrate/store"
)

// nodes is what is known of how many nodes there are.
type nodes struct {
	count   atomic.Int64
	shrinks time.Time // before, the number may be too small: Redis has lost it; guarded by turn
}

// Nodes returns how many nodes share the table. While Redis is unavailable, and until all nodes can
// have shown themselves again to a Redis that was emptied, the number does not shrink.
func (t *Table) Nodes() int { return int(t.nodes.count.Load()) }

// counted takes in the number of nodes. The caller has the turn.
func (t *Table) counted(h head) {
	now := time.Now()
	if !h.known {
		t.nodes.shrinks = now.Add(lasts * t.config.Poll)
	}
	before := t.Nodes()
	if h.nodes == before || h.nodes < before && now.Before(t.nodes.shrinks) {
		return
	}
	t.setNodes(h.nodes)
}

func (t *Table) setNodes(n int) {
	t.nodes.count.Store(int64(n))
	if t.config.OnNodes != nil {
		_ = store.Try(func() { t.config.OnNodes(n) })
	}
}
