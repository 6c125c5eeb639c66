package plans

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"strings"
	"sync/atomic"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// CacheConfig is what [NewCache] can be told. Its zero value is ready for use.
type CacheConfig struct {
	// TTL is how long an answer is used before it is asked for again. 0 means a minute.
	TTL time.Duration
	// MaxStale is how long an answer is used in all while it cannot be had anew. 0 means
	// an hour; less than TTL means TTL.
	MaxStale time.Duration
	// Fallback holds a key of which no answer is known, while the look-up fails. nil means
	// that the error is returned.
	Fallback *ratelimit.Policy
	// RetryAfter is how long a key is not looked up again after a look-up that failed, or
	// that took too long while there was an old answer or Fallback. 0 means a second. Of
	// keys without an answer, the last 4,096 failures are remembered.
	RetryAfter time.Duration
	// MaxKeys is how many answers are kept, of 100 bytes each. 0 means 100,000. A failed
	// look-up takes the place of none.
	MaxKeys int
}

// A Cache keeps the answers of other [Limits]. Make one with [NewCache]; the zero Cache
// answers every key with an error. It is safe for concurrent use, starts no goroutine, and
// has nothing to close. It holds no key: a keyed
// 128-bit hash stands for each.
type Cache struct {
	limits ratelimit.Limits
	config CacheConfig
	start  time.Time // its monotonic reading counts
	seeds  [2]maphash.Seed
	kept   atomic.Int64 // answers, in all shards
	shards [cacheShards]cacheShard
}

// NewCache returns limits in front of others that take their time, such as a database.
// Each key is looked up by one caller at a time: the first to find its answer too old.
// The others have the old answer meanwhile; if there is none they wait, each no longer
// than his context allows. An answer that cannot be had anew stays in use for MaxStale.
// The error joins all faults of the arguments.
//
// A look-up has as long as its caller's decision, [DefaultTimeout]. Limits that take longer
// are never known: set [Config].Timeout to more than they take, and Fallback for when they
// take even longer. A failure behind an old answer or Fallback is not reported, not even to
// [Config].Observe: log it in the look-up itself.
func NewCache(limits ratelimit.Limits, c CacheConfig) (*Cache, error) {
	var faults []error
	if store.IsNil(limits) {
		faults = append(faults, &ratelimit.LimitError{Field: "limits", Value: "nil", Want: "must be given, such as a ratelimit.LimitsFunc"})
	}
	for field, d := range map[string]time.Duration{"TTL": c.TTL, "MaxStale": c.MaxStale, "RetryAfter": c.RetryAfter} {
		if d < 0 {
			faults = append(faults, &ratelimit.LimitError{Field: "CacheConfig." + field, Value: d, Want: "must not be negative"})
		}
	}
	if c.MaxKeys < 0 {
		faults = append(faults, &ratelimit.LimitError{Field: "CacheConfig.MaxKeys", Value: c.MaxKeys, Want: "must not be negative; 0 means 100000"})
	}
	if c.Fallback != nil {
		if err := checkPolicy(c.Fallback); err != nil {
			err.Field = "CacheConfig.Fallback"
			faults = append(faults, err)
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	c.TTL = orElse(c.TTL, time.Minute)
	c.MaxStale = max(orElse(c.MaxStale, time.Hour), c.TTL)
	c.RetryAfter = orElse(c.RetryAfter, time.Second)
	if c.MaxKeys == 0 {
		c.MaxKeys = 100_000
	}
	cache := &Cache{limits: limits, config: c, start: time.Now(), seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
	for i := range cache.shards {
		cache.shards[i] = newCacheShard()
	}
	return cache, nil
}

func orElse(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

// Validate returns an error for the zero Cache.
func (c *Cache) Validate() error {
	if c.limits == nil {
		return errZeroCache
	}
	return nil
}

// Format prints the name of the type: the keys in it are secret.
func (c *Cache) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("*plans.Cache")) }

// now is in nanoseconds since the cache was made.
func (c *Cache) now() int64 { return int64(time.Since(c.start)) }

var errZeroCache = &ratelimit.LimitError{Field: "Cache", Value: "zero value", Want: "must be made with plans.NewCache"}

// after returns the instant that is d after now, or the last one there is.
func after(now int64, d time.Duration) int64 {
	if int64(d) > math.MaxInt64-now {
		return math.MaxInt64
	}
	return now + int64(d)
}

// id returns what stands for a key: of a fixed size, so that neither a long key nor a
// short one, cut out of a long header, stays in memory.
func (c *Cache) id(key string) cacheID {
	return cacheID{maphash.String(c.seeds[0], key), maphash.String(c.seeds[1], key)}
}

func (c *Cache) shard(id cacheID) *cacheShard { return &c.shards[id[0]%cacheShards] }

// PolicyFor returns the answer that is known of the key, or looks it up. An answer that
// is known is returned without an allocation.
func (c *Cache) PolicyFor(ctx context.Context, key string) (*ratelimit.Policy, error) {
	if c.limits == nil {
		return nil, errZeroCache
	}
	id := c.id(key)
	s, now := c.shard(id), c.now()
	s.mu.RLock()
	a := s.answers[id]
	s.mu.RUnlock()
	if now < a.fresh {
		return a.policy, nil
	}
	return c.ask(ctx, s, id, key)
}

// answer falls back where nothing is known.
func (c *Cache) answer(p *ratelimit.Policy, err error) (*ratelimit.Policy, error) {
	switch {
	case p != nil:
		return p, nil
	case c.config.Fallback != nil:
		return c.config.Fallback, nil
	default:
		return nil, err
	}
}

// ask looks the key up, unless another caller does already.
func (c *Cache) ask(ctx context.Context, s *cacheShard, id cacheID, key string) (*ratelimit.Policy, error) {
	for {
		s.mu.Lock()
		now := c.now()
		a, asked := s.answers[id], s.asked[id]
		failed, unknown := s.failures[id]
		switch {
		case now < a.fresh:
			s.mu.Unlock()
			return a.policy, nil
		case unknown && now < failed.until:
			s.mu.Unlock()
			return c.answer(nil, failed.err)
		case asked == nil:
			asked = make(chan struct{})
			s.asked[id] = asked
			s.mu.Unlock()
			return c.lookUp(ctx, s, id, key, asked)
		}
		s.mu.Unlock()
		if now < a.stale {
			return a.policy, nil
		}
		select {
		case <-asked:
		case <-ctx.Done():
			return c.answer(nil, ctx.Err())
		}
	}
}

// lookUp asks the limits, and wakes those that wait for the answer.
func (c *Cache) lookUp(ctx context.Context, s *cacheShard, id cacheID, key string, asked chan struct{}) (p *ratelimit.Policy, err error) {
	defer func() { // also if the limits end the goroutine
		s.mu.Lock()
		defer s.mu.Unlock()
		close(asked)
		delete(s.asked, id)
		p, err = c.learn(ctx, s, id, key, p, err)
	}()
	err = errGoexit
	// A copy, since what the limits keep of it, in an error or in a map, must not keep the
	// request that it was cut out of.
	if panicked := store.Try(func() { p, err = c.limits.PolicyFor(ctx, strings.Clone(key)) }); panicked != nil {
		return nil, panicked
	}
	if err == nil {
		err = p.Validate()
	}
	return p, err
}

// errGoexit is what waiting callers get if the limits end the goroutine.
var errGoexit = errors.New("plans: the look-up ended its goroutine")

// learn keeps what a look-up has returned, and returns the answer to its caller.
func (c *Cache) learn(ctx context.Context, s *cacheShard, id cacheID, key string, p *ratelimit.Policy, err error) (*ratelimit.Policy, error) {
	now := c.now()
	if err == nil {
		c.keep(s, id, cacheAnswer{policy: p, fresh: after(now, c.config.TTL), stale: after(now, c.config.MaxStale)}, now)
		return p, nil
	}
	old := s.answers[id]
	if old.policy != nil && now >= old.stale {
		c.drop(s, id)
		old = cacheAnswer{}
	}
	// A caller that gave up proves nothing about the answer for others. But where there is
	// another answer, not every caller should try a look-up that took too long.
	late := errors.Is(ctx.Err(), context.DeadlineExceeded) && (old.policy != nil || c.config.Fallback != nil)
	if ctx.Err() == nil || late {
		again := after(now, c.config.RetryAfter)
		if old.policy != nil {
			old.fresh = min(again, old.stale)
			s.answers[id] = old
		} else {
			s.fail(id, cacheFailure{err: bounded(err, key), until: again}, now)
		}
	}
	return c.answer(old.policy, err)
}

// maxKeptKey is how long a key may be, in bytes, for an error about it to be remembered:
// the error may hold the key.
const maxKeptKey = 256

var errLongKey = errors.New("ratelimit: the last look-up of this key's limits failed, less than CacheConfig.RetryAfter ago")

// bounded returns the error that is remembered.
func bounded(err error, key string) error {
	if len(key) > maxKeptKey {
		return errLongKey
	}
	return err
}
