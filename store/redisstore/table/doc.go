// Package table keeps one table of limits for all nodes of a fleet in Redis. A change at one node
// is in force on all of them within a second.
//
//	fleet, err := table.New(client, plans.TableConfig{Default: free}, table.Config{File: "/var/lib/api/limits", OnNodes: store.SetNodes})
//	...
//	err = fleet.Load(ctx) // Redis may be down: then what is in force is older
//	go fleet.Run(ctx)
//	limiter, err := ratelimit.New(store, fleet, ratelimit.Config{})
//	operators, err := admin.New(limiter, operator, admin.Config{Table: fleet.Table(), Fleet: fleet})
//
// client is one of redisstore.NewClient. Give it its own, with ?timeout=2s: a table may wait for
// longer than a decision. No method is on the way of a request: a [Table] answers from memory.
//
// # Changes
//
// [Table.Replace] and [Table.Change] make a new version of the table, [Table.RollBack] puts an old
// one in force again, and [Table.Override] holds a key or a plan to other limits until an instant,
// by Redis' clock, at which each node ends it by itself. A change is one call of a script that
// compares the version that it replaces, so of two operators who edit one version one gets
// [plans.ErrChanged]. [Table.Changes] is the audit trail.
//
// A new version is announced with Pub/Sub. A node that misses the message finds it with its next
// poll, after [Config].Poll. A decision goes by the old version or the new one, never by parts of
// both: a node puts a version in force only when all of it is there, its SHA-256 is right and it
// has no fault. Until then, and for as long as Redis is unavailable, the old one stays in force.
//
// # When Redis loses the table
//
// A version is the time of its change in milliseconds, and larger than the one before. If Redis has
// none, or an older one because it was restored from a dump, the nodes put back what they have, with
// the audit trail: the highest version wins. For three polls nothing is changed then, so that every
// node can put back what it has before the table goes on; changes wait for that. What a Redis that
// failed over has lost, and no node has seen, is lost. The table of [New] has version 1 and loses to
// any other.
//
// If Redis has a version that a node cannot read, such as one that a newer program or somebody else
// wrote, the node keeps its own and reports that: [Status], [Config].OnEvent, and the health of the
// limiter. RollBack to the version in force on a node replaces it. So it is with a version that is
// more than a year ahead of Redis' clock, and of the node's own, and that the trail does not have: no
// node has made it. A change
// at a node that has the last version of the trail replaces that one, too, with a version of now.
//
// A node also keeps its last version in [Config].File, for a start while Redis is down.
//
// # How many nodes there are
//
// With each poll a node shows that it is alive. [Table.Nodes] and [Config].OnNodes report how many
// do, so that the shares of a mirror follow a fleet that grows and shrinks. While Redis is
// unavailable the last number holds; after it has lost its data, the number does not shrink for
// four polls.
//
// # What it costs
//
// Redis has the table in some six keys with one hash tag, PREFIX:{table}, with hashes for API keys:
// 5 MB for 100,000 keys, and up to 32 MiB for what undoes the last 100 changes. A node has the same
// beside its table. A poll is one small script call. The user in Redis needs these rights:
//
//	+eval +hget +hkeys +hset +pexpire +subscribe +time +type +hmget +hlen +hdel +hexists +hincrby +hstrlen +del +rename +persist
//	+publish +zadd +zcard +zrem +zremrangebyscore +zscore ~PREFIX:* &PREFIX:*
//
// A change of a table of 100,000 keys takes about two seconds of CPU on the node that makes it and
// half a second on each other one.
package table
