// Package memstore keeps token buckets in the memory of one process.
//
// It is exact, allocates nothing for a decision, has no goroutine and nothing to
// close. It holds no API key: a keyed 128-bit hash stands for key and limit.
//
// # How it keeps buckets
//
// A bucket takes 32 bytes in a flat open-addressing table without pointers, so
// the garbage collector has nothing to follow. The table is cut into shards, by
// the hash of the key; each has its own lock and grows on its own, a few thousand
// buckets at most, so that nobody ever waits for a million buckets to move. All
// limits of one key lie next to each other in one shard: they are decided
// together under one lock, and mostly in one cache line.
//
// # What it forgets
//
// Only full buckets, for a full bucket is the same as none. Their places are
// taken over by new buckets, and a shard that must grow drops them first.
//
// At [Config.MaxKeys] no debt is dropped to make room. Keys without a bucket of
// their own then share overflow buckets, a fixed number of them, which are in
// debt for all who share them: newcomers may be refused too early, never
// admitted too often (unless their limit is changed meanwhile: then the shared debt
// is that of the new limit), and a key that has its own bucket notices nothing. So a
// flood of made-up keys can neither exhaust the memory nor wash out a debt.
//
// Buckets are lost when the process ends: a restart begins with full buckets.
package memstore
