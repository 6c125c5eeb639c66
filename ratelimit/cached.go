package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"time"
)

// CacheConfig is what [Cached] can be told. Its zero value is ready for use.
type CacheConfig struct {
	// TTL is how long an answer is used before it is asked for again. 0 means a minute.
	TTL time.Duration
	// MaxStale is how long an answer is used in all while it cannot be had anew. 0 means
	// an hour; less than TTL means TTL.
	MaxStale time.Duration
	// Fallback holds a key of which no answer is known, while the look-up fails. nil means
	// that the error is returned.
	Fallback *Policy
	// RetryAfter is how long a key is not looked up again after a look-up that failed, or
	// that took too long while there was an old answer or Fallback. 0 means a second.
	RetryAfter time.Duration
	// MaxKeys is how many answers are kept. 0 means 100,000.
	MaxKeys int
}

// A Cache keeps the answers of other [Limits]. Make one with [Cached]. It is safe for
// concurrent use, starts no goroutine, and has nothing to close.
type Cache struct {
	limits Limits
	config CacheConfig
	start  time.Time // its monotonic reading counts
	seed   maphash.Seed
	shards [cacheShards]cacheShard
}

const cacheShards = 32

type cacheShard struct {
	mu      sync.RWMutex
	answers map[string]*cacheAnswer
}

// A cacheAnswer is what is known of one key. All of it is guarded by the shard's lock.
type cacheAnswer struct {
	policy *Policy // nil: none yet
	err    error   // of the last look-up, if that failed
	fresh  int64   // until when the policy, or the error, is used without asking again
	stale  int64   // until when the policy is used while the look-up fails
	asked  chan struct{}
}

// Cached returns limits in front of others that take their time, such as a database.
// Each key is looked up by one caller at a time: the first to find its answer too old.
// The others have the old answer meanwhile; if there is none they wait, each no longer
// than his context allows. An answer that cannot be had anew stays in use for MaxStale.
// The error joins all faults of the arguments.
//
// A look-up has as long as its caller's decision, [DefaultTimeout]. Limits that take longer
// are never known: set [Config].Timeout to more than they take, and Fallback for when they
// take even longer.
func Cached(limits Limits, c CacheConfig) (*Cache, error) {
	var faults []error
	if isNil(limits) {
		faults = append(faults, &LimitError{Field: "limits", Value: "nil", Want: "must be given, such as a ratelimit.LimitsFunc"})
	}
	for field, d := range map[string]time.Duration{"TTL": c.TTL, "MaxStale": c.MaxStale, "RetryAfter": c.RetryAfter} {
		if d < 0 {
			faults = append(faults, &LimitError{Field: "CacheConfig." + field, Value: d, Want: "must not be negative"})
		}
	}
	if c.MaxKeys < 0 {
		faults = append(faults, &LimitError{Field: "CacheConfig.MaxKeys", Value: c.MaxKeys, Want: "must not be negative; 0 means 100000"})
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
	cache := &Cache{limits: limits, config: c, start: time.Now(), seed: maphash.MakeSeed()}
	for i := range cache.shards {
		cache.shards[i].answers = make(map[string]*cacheAnswer)
	}
	return cache, nil
}

func orElse(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

// Format prints the name of the type: the keys in it are secret.
func (c *Cache) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("*ratelimit.Cache")) }

// now is in nanoseconds since the cache was made.
func (c *Cache) now() int64 { return int64(time.Since(c.start)) }

func (c *Cache) shard(key string) *cacheShard {
	return &c.shards[maphash.String(c.seed, key)%cacheShards]
}

// PolicyFor returns the answer that is known of the key, or looks it up. An answer that
// is known is returned without an allocation.
func (c *Cache) PolicyFor(ctx context.Context, key string) (*Policy, error) {
	s, now := c.shard(key), c.now()
	s.mu.RLock()
	if a := s.answers[key]; a != nil && now < a.fresh {
		p, err := a.policy, a.err
		s.mu.RUnlock()
		return c.answer(p, err)
	}
	s.mu.RUnlock()
	return c.ask(ctx, s, key)
}

// answer falls back where nothing is known.
func (c *Cache) answer(p *Policy, err error) (*Policy, error) {
	switch {
	case p != nil:
		return p, nil
	case c.config.Fallback != nil:
		return c.config.Fallback, nil
	default:
		return nil, err
	}
}

// ask looks the key up, unless somebody does already.
func (c *Cache) ask(ctx context.Context, s *cacheShard, key string) (*Policy, error) {
	for {
		s.mu.Lock()
		now := c.now()
		a := s.answers[key]
		if a == nil {
			a = c.add(s, key, now)
		}
		asked, p, err := a.asked, a.policy, a.err
		if now >= a.stale {
			p = nil
		}
		switch {
		case now < a.fresh:
			s.mu.Unlock()
			return c.answer(p, err)
		case asked == nil:
			a.asked = make(chan struct{})
			s.mu.Unlock()
			return c.lookUp(ctx, s, key, a)
		}
		s.mu.Unlock()
		if p != nil {
			return p, nil
		}
		select {
		case <-asked:
		case <-ctx.Done():
			return c.answer(nil, ctx.Err())
		}
	}
}

// lookUp asks the limits, and lets those know who wait.
func (c *Cache) lookUp(ctx context.Context, s *cacheShard, key string, a *cacheAnswer) (p *Policy, err error) {
	defer func() {
		if v := recover(); v != nil {
			p, err = nil, newPanicError(v)
		}
		if err == nil {
			if fault := checkPolicy(p); fault != nil {
				err = fault
			}
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		now := c.now()
		close(a.asked)
		a.asked = nil
		switch {
		case err == nil:
			a.policy, a.err = p, nil
			a.fresh, a.stale = now+int64(c.config.TTL), now+int64(c.config.MaxStale)
			return
		case now >= a.stale:
			a.policy = nil
		}
		// Whoever gave up tells nothing of the others' answer. But where there is another
		// one to go by, a look-up that took too long is not for each caller to try.
		late := errors.Is(ctx.Err(), context.DeadlineExceeded) && (a.policy != nil || c.config.Fallback != nil)
		if ctx.Err() == nil || late {
			a.err, a.fresh = err, now+int64(c.config.RetryAfter)
		}
		if p, err = c.answer(a.policy, err); p != nil {
			err = nil
		}
	}()
	return c.limits.PolicyFor(ctx, key)
}

// add makes room for a key: whose answers are over go first, and then any.
func (c *Cache) add(s *cacheShard, key string, now int64) *cacheAnswer {
	if most := max(c.config.MaxKeys/cacheShards, 1); len(s.answers) >= most {
		if victim, ok := s.victim(now); ok {
			delete(s.answers, victim)
		}
	}
	a := new(cacheAnswer)
	s.answers[key] = a
	return a
}

// victim returns a key that may go; none, if all are being looked up.
func (s *cacheShard) victim(now int64) (key string, ok bool) {
	const tries = 8
	n := 0
	for k, a := range s.answers { // in random order
		if a.asked != nil {
			continue
		}
		key, ok = k, true
		if n++; now >= a.fresh || n == tries {
			break
		}
	}
	return key, ok
}
