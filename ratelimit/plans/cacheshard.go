package plans

import (
	"sync"

	"github.com/keyrate/keyrate/ratelimit"
)

const cacheShards = 32

// A cacheID stands for a key: a keyed 128-bit hash.
type cacheID [2]uint64

// A cacheShard is a part of a [Cache]. Answers and failures have separate bounds: during an
// outage, look-ups of made-up keys fail and must not displace answers that are still useful.
type cacheShard struct {
	mu       sync.RWMutex
	answers  map[cacheID]cacheAnswer
	failures map[cacheID]cacheFailure  // of keys without an answer
	asked    map[cacheID]chan struct{} // of keys being looked up; closed when that ends
}

// A cacheAnswer is the policy of a key. The zero cacheAnswer knows nothing.
type cacheAnswer struct {
	policy *ratelimit.Policy
	fresh  int64 // when the policy is to be looked up again; at most stale
	stale  int64 // when the policy must not be used any more, even if the look-up fails
}

// A cacheFailure is a look-up that failed.
type cacheFailure struct {
	err   *lookUpError
	until int64 // when the key may be looked up again
}

func newCacheShard() cacheShard {
	return cacheShard{
		answers:  make(map[cacheID]cacheAnswer),
		failures: make(map[cacheID]cacheFailure),
		asked:    make(map[cacheID]chan struct{}),
	}
}

// keep stores an answer. In a full cache it displaces another one of the shard: an expired one
// or else any.
func (c *Cache) keep(s *cacheShard, id cacheID, a cacheAnswer, now int64) {
	delete(s.failures, id)
	if _, known := s.answers[id]; !known && c.kept.Add(1) > int64(c.config.MaxKeys) {
		victim, ok := victim(s.answers, func(a cacheAnswer) bool { return now >= a.stale })
		if ok { // else MaxKeys is exceeded, by one answer a shard at most
			c.drop(s, victim)
		}
	}
	s.answers[id] = a
}

func (c *Cache) drop(s *cacheShard, id cacheID) {
	delete(s.answers, id)
	c.kept.Add(-1)
}

// mostFailures bounds the failures of a shard. A text takes up to 4 KiB, so all take 16 MiB.
const mostFailures = 4096 / cacheShards

// fail stores a failure. In a full shard it displaces another one: an expired one or else any.
func (s *cacheShard) fail(id cacheID, f cacheFailure, now int64) {
	if _, known := s.failures[id]; !known && len(s.failures) >= mostFailures {
		if victim, ok := victim(s.failures, func(f cacheFailure) bool { return now >= f.until }); ok {
			delete(s.failures, victim)
		}
	}
	s.failures[id] = f
}

// victim returns an entry to displace: of a few, one that is over.
func victim[V any](m map[cacheID]V, over func(V) bool) (id cacheID, ok bool) {
	const tries = 8
	n := 0
	for candidate, v := range m { // in random order
		id, ok = candidate, true
		if n++; n == tries || over(v) {
			break
		}
	}
	return id, ok
}
