// Package redisstore keeps token buckets in Redis, where any number of nodes share them:
// a key is admitted as often as its limits say, no matter how many nodes serve its calls
// and what their clocks show.
//
//	client, err := redisstore.NewClient("redis://localhost:6379/0")
//	...
//	store, err := redisstore.New(client, redisstore.Config{Secret: secret})
//	...
//	limiter, err := ratelimit.New(store, ratelimit.PerSecond(5), ratelimit.Config{})
//
// It needs Redis 6.2 or newer, or Valkey. For a single node, memstore is the better
// choice.
//
// # What it does
//
// A decision is one call of one script. The script decides by Redis' clock, on one string
// for each limit of an API key, with the integer arithmetic of package gcra. A string
// expires when its bucket is full. A denial writes nothing. Any other value in the place of
// a bucket, of any type, counts as a full bucket, and is overwritten and counted.
//
// No API key gets into Redis: a hash stands for it, HMAC-SHA-256 with [Config.Secret].
// Without a Secret it is plain SHA-256, and anyone who can read Redis can find out by trial
// which keys are in use.
//
// Reset leaves a marker in place of the bucket, for one refill, so that it also wins over
// debts that other nodes remember.
//
// # What it costs
//
// A lone call goes straight to Redis, on its caller's goroutine: one round trip. While
// four sends are under way, calls queue up. The first send that ends is followed by a
// batch of up to 256 queued calls, in one script call. So a busy node uses four
// connections, few more goroutines than it has callers, and a third of Redis' time for
// each decision. In a Cluster each primary has its own queue, and the calls of several keys
// share a pipeline.
//
// Each call keeps its own deadline. A caller that gives up neither cancels nor delays the
// other calls of its batch, and is charged only if the batch was sent.
//
// # When something fails
//
// Every error is a [*store.Error] of one class: see [ClassConnect] and the others.
// A decision is executed at most once. A call that may have been executed, such as one
// whose answer was lost, is never sent again. A call that certainly was not executed is sent
// once more where that can help: when Redis has lost the script or forbids EVALSHA, or when
// another server has become the right one.
//
// The user in Redis needs these rights, and +cluster|slots in a Cluster:
//
//	+eval +evalsha +get +mget +set +time +info ~PREFIX:*
//
// Without EVALSHA and MGET the store is slower. Without INFO the health check cannot see
// whether buckets may be evicted.
//
// # Which set-ups are safe, and what each loses
//
//   - One server. After a restart without its data all buckets are full. With appendfsync
//     everysec it loses one second of charges, which can be admitted again.
//   - Sentinel. A failover loses what the new primary had not received yet, usually less
//     than a second.
//   - Cluster. The same, for the slots that fail over. The other primaries are not
//     affected, not even by one that hangs.
//   - One address that hides a cluster, as at hosted services. The same. A script call may
//     only name keys of one hash slot there. After the first rejected call, each API key has
//     a script call of its own, in the same round trip, and [Store.Check] warns of it. A
//     proxy that ignores where keys are, such as twemproxy, is not safe for limits.
//   - Ring. It is not safe for limits: the keys of a shard that is down begin with full
//     buckets on another shard, and again when the shard returns.
//
// A client for one server that is given one node of a Cluster decides nothing once a
// bucket is on another node: each error, and Check, say that the URL needs cluster=true.
//
// No set-up ever loses more of a bucket than its burst. An eviction policy other than
// noeviction may drop any bucket; [Store.Check] warns of it. Replicas are not read. If
// Redis' clock is set back, no key waits longer than one refill. If it is set forward, as
// in a failover to a host with another time, each key gains at most its burst.
//
// # Which options of a client matter
//
// [NewClient] sets them. With go-redis' defaults, a Redis that hangs holds up a decision
// for 10 s, and every retry charges again; so [New] rejects a client that does not heed
// deadlines. [FromClient] makes a client with these options for the servers of an
// application's client. For a client of your own:
//
//   - ContextTimeoutEnabled: true. Required.
//   - Protocol: 2. Required with TLS: with RESP3 each new connection takes 50 ms longer.
//   - MaxRetries: -1. Decisions are not retried anyway; this keeps the set-up of
//     connections within the deadline, too.
//   - DialTimeout, ReadTimeout, WriteTimeout, PoolTimeout: the budget of a decision, 50 ms.
//     DialerRetries: 1.
//   - PoolSize and MaxActiveConns: 20 are plenty.
//   - MinRetryBackoff: 1 ms for a Cluster, where it delays redirections; and
//     DisableRoutingPolicies: true.
//   - MaintNotificationsConfig: disabled. It saves round trips on each new connection.
//   - ReplicaOnly, ReadOnly, RouteByLatency, RouteRandomly: unset.
//
// go-redis logs failed connections by itself; redis.SetLogger redirects that.
package redisstore
