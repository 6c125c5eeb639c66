package plans

import (
	"sync"

	"github.com/keyrate/keyrate/ratelimit"
)

const cacheShards = 32

// A cacheID stands for a key: a keyed 128-bit hash.
type cacheID [2]uint64

// A cacheShard is a part of a [Cache]. Answers and failures have rooms of their own:
// during an outage of the look-up, made-up keys fail, and must not take the place of an
// answer that is still of use.
type cacheShard struct {
	mu       sync.RWMutex
	answers  map[cacheID]cacheAnswer
	failures map[cacheID]cacheFailure  // of keys without an answer
	asked    map[cacheID]chan struct{} // keys that a caller looks up now; closed when that ends
}

// A cacheAnswer is the policy of a key. The zero cacheAnswer knows nothing.
type cacheAnswer struct {
	policy *ratelimit.Policy
	fresh  int64 // until when the policy is used without a look-up; at most stale
	stale  int64 // until when the policy is used while the look-up fails
}

// A cacheFailure is a look-up that failed.
type cacheFailure struct {
	err   error
	until int64 // when the key is looked up again
}

func newCacheShard() cacheShard {
	return cacheShard{
		answers:  make(map[cacheID]cacheAnswer),
		failures: make(map[cacheID]cacheFailure),
		asked:    make(map[cacheID]chan struct{}),
	}
}

// keep stores an answer. In a full cache another one of the shard goes: one that is of no
// more use, or else any.
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

// mostFailures bounds the failures of a shard: an error may take kilobytes.
const mostFailures = 4096 / cacheShards

// fail stores a failure, in the place of one that is over, or else of any.
func (s *cacheShard) fail(id cacheID, f cacheFailure, now int64) {
	if _, known := s.failures[id]; !known && len(s.failures) >= mostFailures {
		if victim, ok := victim(s.failures, func(f cacheFailure) bool { return now >= f.until }); ok {
			delete(s.failures, victim)
		}
	}
	s.failures[id] = f
}

// victim returns an entry that may go: of a few, one that is over.
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
