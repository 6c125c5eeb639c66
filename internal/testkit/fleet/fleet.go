package fleet

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/keyrate/keyrate/internal/virtual"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/lease"
)

// Config configures a [Fleet].
type Config struct {
	Nodes  int
	Limits []store.Limit
	RTT    time.Duration // to the shared store and back, on average; half of it is random
	Seed   uint64
	// Faults is how many of 1,000 messages are lost, and of requests how many are executed twice.
	Faults          int
	Naive, Uncapped bool          // see [Server]
	Direct          bool          // the nodes ask the shared store for each call
	Wall            time.Duration // by how much the wall clocks of one node and the next differ
	// Link, if not nil, changes the way of each node to the shared store.
	Link func(Link) Link
	// With, if not nil, puts something in front of the store of each node.
	With func(store.Store) store.Store
}

// A Link is how a node reaches the shared store.
type Link interface {
	store.Store
	store.Holder
	store.SelfTimed
	virtual.Host
}

// A Fleet is nodes with one shared store.
type Fleet struct {
	*World
	Config
	Random *rand.Rand
	Server Server
	Nodes  []*Node
	Keys   map[string]*Key
}

// A Key is what callers of a key did, and what an ideal limiter would have done.
type Key struct {
	Spends []*Ideal // of each limit: what was really spent
	ideal  []*Ideal // what would have been

	Calls    int // that were decided
	Admitted int
	Ideal    int // tokens that an ideal limiter would have admitted
	Failed   int
	Local    int // decided without a trip
	Denied   int // denied without a trip, though the shared store had room
	False    int // denied by the shared store, though no caller had spent the tokens
}

// A Node is one node.
type Node struct {
	*Fleet
	store.Store
	Lease *lease.Store // nil if the fleet is Direct

	Calls, Admitted int

	wall    int64 // its wall clock, less the true time
	stopped int64 // for how long its monotonic clock stood still
	until   int64 // when its pause ends
	dead    bool
	waiting map[any][]*waiter
}

// New returns a fleet.
func New(c Config) *Fleet {
	f := &Fleet{World: NewWorld(), Config: c, Random: rand.New(rand.NewPCG(c.Seed, 1)), Keys: map[string]*Key{}}
	f.Server.Naive, f.Server.Uncapped = c.Naive, c.Uncapped
	for range c.Nodes {
		f.Add()
	}
	return f
}

// Add adds a node, and returns it.
func (f *Fleet) Add() *Node {
	n := &Node{Fleet: f, wall: int64(len(f.Nodes)) * int64(f.Wall), waiting: map[any][]*waiter{}}
	link := Link(client{n})
	if f.Link != nil {
		link = f.Link(link)
	}
	n.Store = link
	if !f.Direct {
		s, err := lease.New(link, lease.Config{})
		if err != nil {
			panic(err)
		}
		n.Store, n.Lease = s, s
	}
	if f.With != nil {
		n.Store = f.With(n.Store)
	}
	f.Nodes = append(f.Nodes, n)
	return n
}

// Pause makes a node do nothing for a time.
func (n *Node) Pause(d time.Duration) { n.until = max(n.until, n.now+int64(d)) }

// Suspend pauses a node, and its monotonic clock stands still.
func (n *Node) Suspend(d time.Duration) {
	n.Pause(d)
	n.stopped += int64(d)
}

// SetClock sets both clocks of a node, as no machine does: its monotonic clock is never set.
func (n *Node) SetClock(by time.Duration) {
	n.stopped -= int64(by)
	n.wall += int64(by)
}

// Crash ends a node for good.
func (n *Node) Crash() { n.dead = true }

// at calls do on the node at an instant, or when it runs again.
func (n *Node) at(at int64, do func()) {
	n.World.At(at, func() {
		switch {
		case n.dead:
		case n.now < n.until:
			n.at(n.until, do)
		default:
			do()
		}
	})
}

// Key returns what is known of a key.
func (f *Fleet) Key(name string) *Key {
	k := f.Keys[name]
	if k == nil {
		k = new(Key)
		for i := range f.Limits {
			k.Spends = append(k.Spends, NewIdeal(&f.Limits[i]))
			k.ideal = append(k.ideal, NewIdeal(&f.Limits[i]))
		}
		f.Keys[name] = k
	}
	return k
}

// Call makes a call of cost n for a key at an instant.
func (n *Node) Call(at int64, key string, cost int) {
	n.at(at, func() { n.call(key, cost) })
}

// call makes a call now.
func (n *Node) call(key string, cost int) {
	k := n.Key(key)
	k.offer(cost, n.now)
	n.Go(func() {
		limits := n.Limits
		d, err := n.take(key, limits, cost)
		if err != nil {
			k.Failed++
			return
		}
		n.Calls++
		k.Calls++
		if d.Source == store.FromLease {
			k.Local++
		}
		switch {
		case d.Allowed:
			k.Admitted += cost
			n.Admitted += cost
			if d.Source == store.FromLease {
				k.spend(cost, n.now)
			}
		case d.Source == store.FromLease && n.Server.Room(key, &limits[0], n.now/1000) >= cost:
			k.Denied++
		}
	})
}

// take decides a call as a limiter does, or, one in two, by Take alone.
func (n *Node) take(key string, limits []store.Limit, cost int) (d store.Decision, err error) {
	if leased, ok := n.Store.(store.LeaseTaker); ok && n.Calls%2 == 0 && len(limits) == 1 {
		if d.Debts[0], d.Held[0], d.Allowed = leased.TakeLeased(key, limits, cost); d.Allowed {
			d.Source = store.FromLease
			return d, nil
		}
	}
	return n.Take(context.Background(), store.Request{Key: key, Limits: limits, Cost: cost, Timeout: store.DefaultTimeout})
}

// offer makes the ideal limiter decide a call.
func (k *Key) offer(n int, now int64) {
	for _, i := range k.ideal {
		if i.Left(now) < int64(n) {
			return
		}
	}
	for _, i := range k.ideal {
		i.Spend(n, now)
	}
	k.Ideal += n
}

// spend charges the buckets of what was spent.
func (k *Key) spend(n int, now int64) {
	for _, i := range k.Spends {
		i.Spend(n, now)
	}
}

// Change changes the limits of all nodes.
func (f *Fleet) Change(limits []store.Limit) {
	f.Limits = limits
	for _, k := range f.Keys {
		for i := range limits {
			k.Spends[i].Change(&limits[i], f.now)
			k.ideal[i].Change(&limits[i], f.now)
		}
	}
}

// Sum adds up what is known of all keys.
func (f *Fleet) Sum() (all Key) {
	for _, k := range f.Keys {
		all.Calls += k.Calls
		all.Admitted += k.Admitted
		all.Ideal += k.Ideal
		all.Failed += k.Failed
		all.Local += k.Local
		all.Denied += k.Denied
		all.False += k.False
	}
	return all
}

// Over returns by how many tokens a bucket was overdrawn at most.
func (f *Fleet) Over() (over int64) {
	for _, k := range f.Keys {
		for _, i := range k.Spends {
			over = max(over, i.Tokens(i.Over))
		}
	}
	return over
}

// Replace puts a new node in the place of one that has crashed.
func (f *Fleet) Replace(n *Node) {
	at := slices.Index(f.Nodes, n)
	f.Add()
	last := len(f.Nodes) - 1
	f.Nodes[at], f.Nodes = f.Nodes[last], f.Nodes[:last]
}
