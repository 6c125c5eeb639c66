// Package redisstore keeps token buckets in Redis, where any number of processes
// share them: however many nodes answer a key's calls, and whatever their clocks
// show, it is admitted what its limits say.
//
//	client, err := redisstore.NewClient("redis://localhost:6379/0")
//	...
//	store, err := redisstore.New(client, redisstore.Config{Secret: secret})
//	...
//	limiter, err := ratelimit.New(store, ratelimit.PerSecond(5), ratelimit.Config{})
//
// It needs Redis 6.2 or newer, or Valkey. A single process does better with
// memstore.
//
// # What it does
//
// A decision is one call of one script, which decides by Redis' clock on what Redis
// keeps, with the integer arithmetic of package ratelimit: for each limit of an API
// key one string, whose life ends when the bucket is full. A denial writes nothing.
// Whatever else is found in the place of a bucket, of any type, counts as a full one,
// and is overwritten and counted.
//
// No API key gets into Redis: a hash stands for it, HMAC-SHA-256 with
// [Config.Secret]. Without a Secret it is plain SHA-256, and whoever can read Redis
// can try out which keys are in use.
//
// Reset leaves a marker in place of the bucket, for one refill, so that it also wins
// over debts that other processes still know of.
//
// # What it costs
//
// A lone call goes straight to Redis, on its caller's goroutine: one round trip.
// Calls that come while several are under way wait for the first of these to land,
// and then fly together, up to 256 in one script call. So a busy process uses four
// connections, hardly more goroutines than it has callers, and a third of Redis'
// time for each decision. In a Cluster that is so for each primary, and calls of
// several keys fly in one pipeline.
//
// Each call keeps its own deadline. Who gives up neither cancels nor delays those
// who fly along, and is charged only if the flight has left.
//
// # When something fails
//
// Every error is a [*ratelimit.StoreError] of one class: see [ClassConnect] and the
// others. A decision is executed at most once. So whatever may have been executed,
// such as a call whose answer was lost, is never sent again; what certainly was not is
// sent once more where that can help: when Redis has lost the script, forbids EVALSHA,
// or another server has become the right one.
//
// The user in Redis needs these rights, and +cluster|slots in a Cluster:
//
//	+eval +evalsha +get +mget +set +time +info ~PREFIX:*
//
// Without EVALSHA and MGET it is slower, without INFO the health check cannot tell
// whether buckets may be evicted.
//
// # Which set-ups are safe, and what each loses
//
//   - One server. A restart without its data begins with full buckets. With
//     appendfsync everysec it loses a second, and what was granted in it can be
//     granted again.
//   - Sentinel. A failover loses what the new primary had not received yet, mostly
//     less than a second.
//   - Cluster. The same, of the slots that fail over. The other primaries are not
//     affected, not even by one that hangs.
//   - One address that hides a cluster, as hosted services have it. The same. A script
//     call may only name keys of one hash slot there: after the first that was rejected
//     each API key has a script call of its own, in the same trip. [Store.Check] says so.
//     A proxy that does not look where keys are, such as twemproxy, is no set-up for
//     limits.
//   - Ring. It is no set-up for limits: the keys of a shard that is down begin with
//     full buckets on another, and once more when it returns.
//
// A client for one server that is given one node of a Cluster decides nothing, as soon
// as a bucket is on another node: each error, and Check, say that the URL needs
// cluster=true.
//
// None of them ever loses more of a bucket than its burst. An eviction policy other
// than noeviction drops buckets at will; [Store.Check] warns of it. Replicas are not
// asked. A clock of Redis that is set back makes nobody wait longer than one refill;
// one that is set forward, as after a failover to a host with another time, gives each
// key at most its burst.
//
// # Which options of a client matter
//
// [NewClient] sets them. With go-redis' defaults, a Redis that hangs holds a decision
// up for 10 s, and every retry charges again; so [New] refuses a client that does not
// heed deadlines. [FromClient] makes one with these options of the client that an
// application has. For a client of your own:
//
//   - ContextTimeoutEnabled: true. Required.
//   - Protocol: 2. Required with TLS: with RESP3 each new connection takes 50 ms more.
//   - MaxRetries: -1. Decisions are not retried anyway; this keeps the set-up of
//     connections, too, within the deadline.
//   - DialTimeout, ReadTimeout, WriteTimeout, PoolTimeout: the budget of a decision,
//     50 ms. DialerRetries: 1.
//   - PoolSize and MaxActiveConns: 20 are plenty.
//   - MinRetryBackoff: 1 ms for a Cluster, where it delays redirections; and
//     DisableRoutingPolicies: true.
//   - MaintNotificationsConfig: disabled. A connection costs fewer trips so.
//   - ReplicaOnly, ReadOnly, RouteByLatency, RouteRandomly: unset.
//
// go-redis logs failed connections by itself; redis.SetLogger redirects that.
package redisstore
