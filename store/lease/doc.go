// Package lease stands in front of a shared store, and decides the calls of busy keys with tokens
// that it has taken from there in advance.
//
//	shared, err := redisstore.New(client, redisstore.Config{Secret: secret})
//	...
//	store, err := lease.New(shared, lease.Config{})
//	...
//	defer store.Close()
//	limiter, err := ratelimit.New(store, ratelimit.PerSecond(10_000), ratelimit.Config{})
//
// # What a lease is
//
// A lease is tokens that one node holds and spends by itself. They take room in the bucket of the
// shared store, so no other node spends them, and they are charged when the node reports what it
// has spent. So nodes that lease admit not one token more than the limit.
//
// A call that the lease of its key covers is decided in memory: its Source is [store.FromLease].
// Any other goes to the shared store, alone or with a request for the next lease. A node never
// denies a call because its lease is used up: only the shared store denies.
//
// # Which keys have one
//
// A lease costs the shared store what some three decisions cost, so it must be worth that. A key has
// a lease if its callers on this node make eight calls or more in the life of a lease, on average
// over four lives. The lease is half of what they ask for in a life: at most a quarter of the
// burst, and at most one more than twice the lease before. It is of no use to a call that costs
// more than a quarter of it. So a limit of less than 16 tokens is never leased, nor is a call of
// more than a sixteenth of the burst, and for keys that are called rarely nothing changes. All
// leases of a bucket together are at most half of its burst.
//
// If a request for a lease brings nothing, the key is called beyond its limit. Then none is asked
// for in four lives, so that no node is denied what another one holds and does not spend.
//
// The life is the time in which half of the bucket fills up, at most 0.95 s, from the moment when
// the request is sent. A limit that fills up in less than 40 ms is not leased. Nor is a policy with
// a limit on concurrent calls, a call that holds tokens, and one that takes what is there.
//
// # Where it goes
//
// When a quarter of a lease is left, the next one is asked for while callers go on. That request
// also charges what was spent until then. What was not spent is given back when no call came for
// half a life, and by Close. A settlement is sent once; if its answer is lost, the tokens that it
// would have given back are charged within 2 s. So it is when a node dies.
//
// A machine that was suspended drops its leases: its monotonic clock stood still, and the leases
// have ended.
//
// # When the shared store fails
//
// What is leased is spent until its life is over. Then the shared store decides, or the mirror in
// front of it: lease goes in front of the mirror. A [Store.Reset] ends the leases of the key on its
// node; other nodes, and those with another limit under the same name, may spend theirs for another
// second, half a burst at most.
package lease
