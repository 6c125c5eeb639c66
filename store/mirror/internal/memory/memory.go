// Package memory remembers the debts that answers of the shared store have shown, and
// decides by them.
//
// A request meets it at most twice. [Memory.Before] denies it at once, makes it wait, or says
// what to hand to the shared store. Then [Memory.Answered] takes in what the shared store
// said or, if it said nothing, [Memory.Alone] decides by this node's share of the limits.
//
// A debt shrinks with time and grows with requests. So an observed debt is a lower bound from
// then on: what is left of it if no other node has asked. Knowledge may be forgotten at any
// time. That is why it is kept in a table of bounded size, and without API keys.
package memory

import (
	"context"
	"sync/atomic"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
	"github.com/keyrate/keyrate/store/mirror/internal/clock"
)

// A Memory is safe for concurrent use.
type Memory struct {
	table
	clock  clock.Node
	local  *memstore.Store // the buckets of this node's shares
	shares shares

	canCharge bool        // the shared store can be charged afterwards
	charges   atomic.Bool // what is admitted alone is charged to it: there are other nodes, or were
}

// New returns a memory of about maxKeys buckets, for one of some nodes. What is admitted alone is
// charged if charge is set, and other nodes may have admitted something as well.
func New(maxKeys, nodes int, clock clock.Node, charge bool) *Memory {
	m := &Memory{
		canCharge: charge, table: newTable(maxKeys), clock: clock, local: memstore.New(memstore.Config{MaxKeys: maxKeys}),
	}
	m.SetNodes(nodes)
	return m
}

// SetNodes makes this node's share that of one of some nodes. What the share has admitted stays
// spent, as when a limit changes. With one node, what it admits is charged nevertheless if there
// were others: that charges nothing twice, as the known debt contains it.
func (m *Memory) SetNodes(nodes int) {
	m.shares.set(nodes)
	if m.canCharge && nodes > 1 {
		m.charges.Store(true)
	}
}

// Abandoned ends an attempt whose request is not decided.
func (m *Memory) Abandoned(r *store.Request, a *Attempt) {
	sh := m.shard(&a.owners)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.end(r, a)
}

// Reset fills the key's buckets of this node and drops what is known of them.
func (m *Memory) Reset(ctx context.Context, r store.Request) {
	owners := m.owners(r.Home, r.Key)
	sh := m.shard(&owners)
	sh.mu.Lock()
	now := m.clock.Now()
	for i := range r.Limits {
		bucket := owners.of(&r.Limits[i])
		if !sh.resets.since(bucket.owner, now-1) {
			sh.resets.add(bucket.owner, now)
		}
		if found := sh.find(bucket); found != nil {
			sh.fill(found, slot{})
		}
		delete(sh.held, bucket)
		delete(sh.own, bucket)
	}
	sh.mu.Unlock()
	_ = m.local.Reset(ctx, store.Request{Home: r.Home, Key: r.Key, Limits: m.shares.of(r.Limits)}) // a memstore never fails
}

// Local returns the store of this node's shares, to check it.
func (m *Memory) Local() store.Store { return m.local }
