package memstore

import (
	"math"
	"sync"
	"sync/atomic"
)

// resets are the buckets that were reset last. Observations and holds from before its reset
// count no more in a bucket. The resets of more than maxResets buckets push out the oldest:
// then they count again, so that a key is denied too much rather than too little.
type resets struct {
	last atomic.Int64 // of any bucket
	mu   sync.Mutex
	at   map[id]int64 // nil until first needed
}

// maxResets is how many buckets are remembered; they take 80 KB at most.
const maxResets = 1024

// add notes the reset of a bucket.
func (r *resets) add(bucket id, now int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at == nil {
		r.at = make(map[id]int64)
	}
	if _, known := r.at[bucket]; !known && len(r.at) == maxResets {
		first, oldest := int64(math.MaxInt64), bucket
		for other, at := range r.at {
			if at < first {
				first, oldest = at, other
			}
		}
		delete(r.at, oldest)
	}
	r.at[bucket] = now
	r.last.Store(max(r.last.Load(), now)) // shards have different clocks
}

// since returns when a bucket was reset, if that was at the instant at or later, and 0
// otherwise.
func (r *resets) since(bucket id, at int64) int64 {
	if at > r.last.Load() {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if reset := r.at[bucket]; reset >= at {
		return reset
	}
	return 0
}
