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

// CacheConfig configures [NewCache]. The zero value is ready to use.
type CacheConfig struct {
	// TTL is how long an answer is used before the key is looked up again. 0 means a minute.
	TTL time.Duration
	// MaxStale is how long an answer is used in all while look-ups fail. 0 means an hour; less
	// than TTL means TTL.
	MaxStale time.Duration
	// Fallback is the policy of a key without a known answer while its look-up fails. nil means
	// that the error is returned.
	Fallback *ratelimit.Policy
	// RetryAfter is how long a key is not looked up again after its look-up failed, or took too
	// long while there was an old answer or Fallback. 0 means a second. For keys without an
	// answer, the texts of the last 4,096 failures are kept and returned meanwhile.
	RetryAfter time.Duration
	// MaxKeys is how many answers are kept, of 100 bytes each. 0 means 100,000. A failure
	// displaces no answer.
	MaxKeys int
	// OnError, if not nil, receives the error of every look-up that failed, also where an old
	// answer or Fallback hides the failure from the caller: at most one for a key in RetryAfter.
	// A look-up whose caller canceled it is not reported. The text never shows the key. OnError
	// is called by the goroutine of the decision, which waits for it, and by several at once.
	// Panics are ignored.
	OnError func(error)
}

// A Cache keeps the answers of other [ratelimit.Limits]. Make one with [NewCache]; the zero
// Cache returns an error for every key. It is safe for concurrent use, starts no goroutine and
// has nothing to close. It stores a keyed 128-bit hash in place of each key.
type Cache struct {
	limits ratelimit.Limits
	config CacheConfig
	start  time.Time // has a monotonic reading
	seeds  [2]maphash.Seed
	kept   atomic.Int64 // answers, in all shards
	shards [cacheShards]cacheShard
}

// NewCache returns a cache in front of limits that are slow to look up, such as those in a
// database. One caller at a time looks a key up: the first that finds its answer too old. The
// others use the old answer meanwhile; without one, they wait until their context ends. While
// look-ups fail, an answer stays in use for MaxStale. The error joins all faults of the arguments.
//
// A look-up has as much time as its caller's decision, [store.DefaultTimeout]. If look-ups
// take longer, no answer is ever known: set [ratelimit.Config].Timeout to more than they take,
// and Fallback for the case that they take even longer. [ratelimit.Config].Observe does not
// see a failure behind an old answer or Fallback: OnError does.
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

// Format prints the name of the type and no content.
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

// id returns the hash of a key. It has a fixed size, so that neither a long key nor a short one
// that is a part of a long header stays in memory.
func (c *Cache) id(key string) cacheID {
	return cacheID{maphash.String(c.seeds[0], key), maphash.String(c.seeds[1], key)}
}

func (c *Cache) shard(id cacheID) *cacheShard { return &c.shards[id[0]%cacheShards] }

// PolicyFor returns the known answer for the key, or looks it up. It returns a known answer
// without an allocation.
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

// answer returns p, or else Fallback, or else err.
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

// ask looks the key up, unless another caller is doing so.
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

// lookUp asks the limits, and wakes the callers that wait for the answer.
func (c *Cache) lookUp(ctx context.Context, s *cacheShard, id cacheID, key string, asked chan struct{}) (p *ratelimit.Policy, err error) {
	defer func() { // also if the limits end the goroutine
		var failed *lookUpError
		if err != nil {
			failed = newLookUpError(err, key) // runs the error's methods: not under the lock
		}
		var ended error
		_ = store.Try(func() { ended = ctx.Err() }) // of a context that may be nil
		s.mu.Lock()
		close(asked)
		delete(s.asked, id)
		p, err = c.learn(ended, s, id, failed, p, err)
		s.mu.Unlock()
		if failed != nil && c.config.OnError != nil && !errors.Is(ended, context.Canceled) {
			_ = store.Try(func() { c.config.OnError(failed) })
		}
	}()
	err = errGoexit
	// A copy: what the limits keep of the key must not keep the request that it is a part of.
	if panicked := store.Try(func() { p, err = c.limits.PolicyFor(ctx, strings.Clone(key)) }); panicked != nil {
		return nil, panicked
	}
	if err == nil {
		p, err = p.PolicyFor(ctx, key) // rejects one that cannot be used
	}
	return p, err
}

// errGoexit is what waiting callers get if the limits end the goroutine.
var errGoexit = errors.New("plans: the look-up ended its goroutine")

// learn stores what a look-up has returned, and returns the answer to its caller, whose
// context may have ended with an error.
func (c *Cache) learn(ended error, s *cacheShard, id cacheID, failed *lookUpError, p *ratelimit.Policy, err error) (*ratelimit.Policy, error) {
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
	// A caller that gave up says nothing about the look-ups of others. But where there is
	// another answer, not every caller should try a look-up that took too long.
	late := errors.Is(ended, context.DeadlineExceeded) && (old.policy != nil || c.config.Fallback != nil)
	if ended == nil || late {
		again := after(now, c.config.RetryAfter)
		if old.policy != nil {
			old.fresh = min(again, old.stale)
			s.answers[id] = old
		} else {
			s.fail(id, cacheFailure{err: failed, until: again}, now)
		}
	}
	return c.answer(old.policy, err)
}

// A lookUpError is an error as it is kept and reported: its text, of bounded size and without
// the key, and its class.
type lookUpError struct{ text, class string }

func newLookUpError(err error, key string) *lookUpError {
	e := &lookUpError{"the error of the look-up panics", store.ClassLimits}
	_ = store.Try(func() { e.text, e.class = strings.Clone(store.Withhold(err, key).Error()), classOf(err, key) })
	return e
}

// classOf returns the class of an error, which cannot be the key.
func classOf(err error, key string) string {
	if failed, ok := errors.AsType[*store.Error](err); ok {
		return store.NewError(failed, key).Class
	}
	return store.ErrorClass(err)
}

func (e *lookUpError) Error() string { return e.text }

// ErrorClass returns the class in which [store.ErrorClass] counts the error.
func (e *lookUpError) ErrorClass() string { return e.class }
