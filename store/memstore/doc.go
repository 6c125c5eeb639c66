// Package memstore keeps token buckets in the memory of one node.
//
// It is exact, allocates nothing for a decision, has no goroutine and nothing to
// close. It holds no API key: a keyed 128-bit hash stands for key and limit.
//
// # How it keeps buckets
//
// A bucket takes 32 bytes in a flat open-addressing table without pointers, so
// the garbage collector has nothing to follow. The table is cut into shards, by
// the hash of the key; each has its own lock and grows on its own, a few thousand
// buckets at most, so that no call waits for a million buckets to move. All
// limits of one key lie next to each other in one shard: they are decided
// together under one lock, and usually in one cache line.
//
// A bucket takes some 150 bytes more while something of it is held, while it owes more than
// its capacity, and after its limit has changed until its former debt is over.
//
// # What it forgets
//
// Only full buckets: a full bucket equals an absent one. New buckets take their places,
// and a shard that must grow drops them first.
//
// At [Config.MaxKeys] no debt is dropped to make room. Keys without a bucket of
// their own then share overflow buckets, whose debt counts for all keys that share them:
// newcomers may be denied too early, never admitted too often (unless their limit is
// changed meanwhile: then the shared debt is that of the new limit), and a key that has
// its own bucket notices nothing. So a flood of made-up keys can neither exhaust the
// memory nor wash out a debt.
//
// Buckets are lost when the program ends: a restart begins with full buckets.
//
// # The price of a flood
//
// A bucket takes its place only while it is in debt: for Period/Rate after one call. To
// fill a store of a million, a flood needs a million calls in that time: 5 million a
// second at 5/s, but only 12,000 a second at 1000/d, and 116 at 10/d.
//
// Newcomers then share one of 4,096 overflow buckets (one for every 200 to 400 of MaxKeys,
// at least 64) with each other and with the flood. So the flood must spend 4,096 bursts before most
// newcomers are denied, and go on at 4,096 times the rate of the limit to keep them out:
// 4.1 million calls and then 47 a second at 1000/d, 41,000 and 0.5 a second at 10/d. A
// newcomer that is denied waits for Period/Rate, 2.4 hours at 10/d, and may lose the race
// for that token.
//
// Where made-up keys can come at that pace, and limits are that slow, let only keys that
// authentication has verified have buckets, raise MaxKeys, or put a limit by address in
// front. Check warns while the store is full.
package memstore
