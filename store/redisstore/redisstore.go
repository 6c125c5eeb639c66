package redisstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// Config configures [New]. The zero value is ready to use.
type Config struct {
	// Prefix begins the name of every key in Redis: up to 64 bytes of printable
	// ASCII, without spaces or braces. "" means "keyrate". Stores with the same
	// prefix, on the same Redis, share their buckets.
	Prefix string
	// Secret keys the hashes that stand for API keys in Redis. Without a Secret they
	// are plain SHA-256: anyone who can read Redis and guess an API key can see that it
	// is in use. Secret should be 32 random bytes, must have at least 16, and must be
	// the same on all nodes that share limits. With another Secret all buckets are full
	// again.
	Secret []byte
	// TrustClient accepts a client of a type whose options cannot be read. It must
	// heed the deadline of a context, and must not send a command twice whose NoRetry
	// returns true.
	TrustClient bool
	// OnForeign, if not nil, is called with the number of values that a decision found
	// and this package has not written. The decision counts them as full buckets and
	// overwrites them. OnForeign is called by many goroutines and must be quick. If it
	// panics, the decision stands.
	OnForeign func(n int)
}

const defaultPrefix = "keyrate"

// A Store is a [store.Store] in Redis. Make one with [New]; the zero Store answers every
// request with an error. A Store is safe for concurrent use and has nothing to close: the caller owns the client.
type Store struct {
	client    redis.UniversalClient
	oneServer bool // all keys are on one server, so one script call may name several
	names     *names
	servers   *servers
	calls     sync.Pool // of *call
	slots     slots
	probes    []store.Limit // for the batch of a probe
	onForeign func(n int)
	foreign   atomic.Int64 // number of foreign values found
	longest   atomic.Int64 // the longest Timeout of a decision, in nanoseconds
}

// New returns a store on client, which the caller closes. It does no I/O: Redis may be
// down. It rejects a client with which a decision could hang, with an error that shows
// the right options; [NewClient] sets them. The error joins all faults of the arguments.
func New(client redis.UniversalClient, c Config) (*Store, error) {
	if c.Prefix == "" {
		c.Prefix = defaultPrefix
	}
	rate, rateErr := gcra.NewRate(1, time.Second, 1)
	probe, err := store.NewLimit("default", rate)
	if err := errors.Join(rateErr, err, checkClient(client, c.TrustClient), checkPrefix(c.Prefix), checkSecret(c.Secret)); err != nil {
		return nil, err
	}
	s := &Store{client: client, names: newNames(c.Prefix, c.Secret), probes: []store.Limit{probe}, onForeign: c.OnForeign}
	_, s.oneServer = client.(*redis.Client)
	s.servers = newServers(client, s.send)
	return s, nil
}

// Validate returns an error for the zero Store.
func (s *Store) Validate() error {
	if s.servers == nil {
		return errZero.Err
	}
	return nil
}

// SelfTimed marks the store as one whose calls all end within their Timeout.
func (s *Store) SelfTimed() {}

// Take implements [store.Store]. Its errors are [*store.Error]s. After an error the call may
// have been charged, at most once. Settlements of r.Release are sent in the same script call;
// they share its error.
func (s *Store) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	if err := s.takes(ctx, &r); err != nil {
		for i := range r.Release {
			r.Release[i].Err = err
		}
		return store.Decision{}, err
	}
	if t := int64(budget(r.Timeout)); t > s.longest.Load() {
		s.longest.Store(t)
	}
	return s.take(ctx, r)
}

// takes returns an error for a request that is not sent.
func (s *Store) takes(ctx context.Context, r *store.Request) error {
	if len(r.Limits) == 0 || len(r.Limits) > store.MaxLimits {
		return errLimits
	}
	if s.servers == nil {
		return errZero
	}
	if err := ctx.Err(); err != nil {
		return failure(fmt.Errorf("%w: %w", errQueued, err))
	}
	if r.Hold == nil && r.Cost > 0 {
		for i := range r.Limits {
			if r.Limits[i].Loan() {
				return errNoHold
			}
		}
	}
	return nil
}

func (s *Store) take(ctx context.Context, r store.Request) (store.Decision, error) {
	c := newCall(ctx, &s.calls, r, s.names.owner(r.Home, r.Key))
	var sent []*store.Settlement
	if len(r.Release) > 0 {
		sent = s.release(ctx, &r, c)
	}
	o := s.servers.batcher(ctx, c.tag).take(ctx, c)
	if r.Hold != nil {
		r.Hold.Names, r.Hold.Leased = o.names, o.leased
	}
	if len(sent) > 0 {
		released(sent, &o)
	}
	return o.Decision, o.err
}

// timeout returns how long one step of a check may take: as long as the most patient
// decision so far.
func (s *Store) timeout() time.Duration {
	return max(time.Duration(s.longest.Load()), store.DefaultTimeout)
}

// Partition implements [store.Partitioned]. It returns the name that Check gives to
// the primary of a Cluster or the shard of a Ring that has the buckets of a key.
func (s *Store) Partition(home, key string) string {
	if s.servers.find == nil {
		return ""
	}
	return s.servers.batcher(context.Background(), s.names.owner(home, key).slot()).part
}

// resetTimeout is the time of a Reset without a deadline. No request waits for it.
const resetTimeout = time.Second

// Reset implements [store.Store]. It wins over debts that other nodes remember: it
// replaces each bucket by the time of the reset, for one refill. It ends with its context,
// or after a second if that has no deadline. Its errors are [*store.Error]s;
// after one, the buckets may have been filled.
func (s *Store) Reset(ctx context.Context, r store.Request) error {
	if len(r.Limits) == 0 || len(r.Limits) > store.MaxLimits {
		return errLimits
	}
	if s.servers == nil {
		return errZero
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, resetTimeout)
		defer cancel()
	}
	if err := ctx.Err(); err != nil {
		return failure(err)
	}
	owner := s.names.owner(r.Home, r.Key)
	var keys, args []any
	for i := range r.Limits {
		keys = append(keys, owner.bucket(&r.Limits[i]))
		// As long as a debt could be left from before, or a hold be settled.
		args = append(args, max(r.Limits[i].Capacity().Duration().Microseconds(), 2*gcra.Long.Length()))
	}
	var err error
	switch panicked := store.Try(func() { _, err = s.run(ctx, resetScript, keys, args) }); {
	case panicked != nil:
		return errPanic
	case err != nil:
		s.servers.reload(err)
		return failure(s.explain(err))
	}
	return nil
}
