package redisstore

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/ratelimit"
)

// Config is what [New] can be told. Its zero value is ready for use.
type Config struct {
	// Prefix begins the name of every key in Redis: up to 64 bytes of printable
	// ASCII, without spaces or braces. "" means "keyrate". Stores with the same
	// prefix, on the same Redis, share their buckets.
	Prefix string
	// Secret keys the hashes that stand for API keys in Redis. Without it they are
	// plain SHA-256: whoever can read Redis, and guess an API key, can see that it is
	// in use. It should be 32 random bytes, must have at least 16, and must be the same
	// in all processes that share limits. Another secret is a new start: all buckets are
	// full.
	Secret []byte
	// TrustClient accepts a client of a type whose options cannot be read. It must
	// heed the deadline of a context, and send no command twice whose NoRetry says so.
	TrustClient bool
	// OnForeign, if not nil, is told how many values a decision found that were not of
	// this package; they have been overwritten, as full buckets. It is called by many
	// goroutines, and must be quick. If it panics, the decision stands.
	OnForeign func(n int)
}

const defaultPrefix = "keyrate"

// A Store is a [ratelimit.Store] in Redis. Make one with [New]; the zero Store is of
// no use. It is safe for concurrent use and has nothing to close: the client is the
// caller's.
type Store struct {
	client    redis.UniversalClient
	oneServer bool // all keys are on one server, so that one script call may name several
	names     *names
	lanes     *lanes
	desk      desk
	slots     slots
	look      *ratelimit.Policy // of what Check looks at
	onForeign func(n int)
	foreign   atomic.Int64 // values found that were not of this package
	longest   atomic.Int64 // how long decisions may take, the longest of them, in nanoseconds
	reloaded  atomic.Int64 // when the topology was last asked for, in Unix nanoseconds
}

// New returns a store on client, which stays the caller's to close. It does no I/O:
// Redis may be down. It refuses a client with which a decision could hang, with an
// error that shows the right options; [NewClient] has them set. The error joins all
// faults of the arguments.
func New(client redis.UniversalClient, c Config) (*Store, error) {
	if c.Prefix == "" {
		c.Prefix = defaultPrefix
	}
	look, err := ratelimit.NewPolicy(ratelimit.PerSecond(1))
	if err := errors.Join(err, checkClient(client, c.TrustClient), checkPrefix(c.Prefix), checkSecret(c.Secret)); err != nil {
		return nil, err
	}
	s := &Store{client: client, names: newNames(c.Prefix, c.Secret), look: look, onForeign: c.OnForeign}
	_, s.oneServer = client.(*redis.Client)
	s.lanes = newLanes(client, s.fly)
	return s, nil
}

// SelfTimed tells the limiter that every call ends within its Timeout.
func (s *Store) SelfTimed() {}

// Take implements [ratelimit.Store]. Its errors are [*ratelimit.StoreError]s. After
// one, the call may have been charged, once at most.
func (s *Store) Take(ctx context.Context, r ratelimit.Request) (ratelimit.Decision, error) {
	if r.Policy == nil || r.Policy.Len() == 0 {
		return ratelimit.Decision{}, errNoPolicy
	}
	if err := ctx.Err(); err != nil {
		return ratelimit.Decision{}, failure(fmt.Errorf("%w: %w", errQueued, err))
	}
	if t := int64(budget(r.Timeout)); t > s.longest.Load() {
		s.longest.Store(t)
	}
	return s.take(ctx, r)
}

// take is Take of a request that somebody else need not have made.
func (s *Store) take(ctx context.Context, r ratelimit.Request) (ratelimit.Decision, error) {
	c := s.desk.call(ctx, r, s.names.tag(r.Key))
	return s.lanes.of(ctx, c.tag).take(ctx, c)
}

var errNoPolicy = &ratelimit.StoreError{Class: ratelimit.ClassOther, NotCharged: true, Err: errors.New("redisstore: the policy is nil, zero or ratelimit.Unlimited; make one with ratelimit.NewPolicy")}

// Partition implements [ratelimit.Partitioned]: of a Cluster it is the primary, of a
// Ring the shard, by the name that Check gives it.
func (s *Store) Partition(key string) string {
	if s.lanes.server == nil {
		return ""
	}
	return s.lanes.of(context.Background(), s.names.tag(key)).name
}

// resetTimeout is how long an operator waits who has not said so. It is no decision:
// nobody's request waits for it.
const resetTimeout = time.Second

// Reset implements [ratelimit.Store]. It wins over debts that other processes know
// of: in place of the buckets it leaves the instant of the reset, for one refill. It
// ends with its context, or after a second if that has no deadline. Its errors are
// [*ratelimit.StoreError]s; after one, the buckets may have been filled.
func (s *Store) Reset(ctx context.Context, key string, p *ratelimit.Policy) (err error) {
	defer func() {
		if recover() != nil {
			err = errPanic
		}
	}()
	if p == nil || p.Len() == 0 {
		return errNoPolicy
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, resetTimeout)
		defer cancel()
	}
	if err := ctx.Err(); err != nil {
		return failure(err)
	}
	tag := s.names.tag(key)
	var keys, args []any
	for i := range p.Len() {
		b := p.Bucket(i)
		keys = append(keys, bucket(tag, b))
		args = append(args, b.Capacity().Duration().Microseconds())
	}
	if _, err := s.run(ctx, resetScript, keys, args); err != nil {
		s.failed(err)
		return failure(s.explain(err))
	}
	return nil
}
