package redisstore

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/store"
)

// slots is what a store on one address has learned about hash slots behind it. Hosted
// services hide a cluster this way: one address answers for every key, but a script call
// may name keys of one slot only. The zero value has learned nothing: script calls serve
// batches of several keys.
type slots struct {
	split atomic.Bool            // each API key needs a script call of its own
	moved atomic.Pointer[string] // a bucket on another node: the address is one node of a Cluster
}

var (
	errNode      = errors.New("redisstore: the server is one node of a Redis Cluster, and the client knows only this one; add cluster=true to the URL of redisstore.NewClient, or pass a redis.ClusterClient")
	errNoCluster = errors.New("redisstore: the client is for a Redis Cluster, and the server is not one; remove cluster=true, or all hosts but one, from the URL of redisstore.NewClient, or pass a redis.Client")
)

// explain adds what to change to an error of Redis, if the client is of the wrong type.
func (s *Store) explain(err error) error {
	switch {
	case s.oneServer && isElsewhere(err):
		return fmt.Errorf("%w: %w", errNode, err)
	case !s.oneServer && isNoCluster(err):
		return fmt.Errorf("%w: %w", errNoCluster, err)
	}
	return err
}

// learn remembers a bucket that another node has.
func (s *Store) learn(b batch, err error) {
	if s.oneServer && isElsewhere(err) {
		if name, ok := b.keys[0].(string); ok {
			s.slots.moved.CompareAndSwap(nil, &name)
		}
	}
}

// reaches returns an error while a bucket is known to be on a node that the client cannot
// reach. Then no key is decided: a store that decides some of them would seem to fail and
// recover many times a second. It asks again before each send, so that a node that gets
// all slots is used at once.
func (s *Store) reaches(ctx context.Context) error {
	name := s.slots.moved.Load()
	if name == nil {
		return nil
	}
	err := s.client.Get(ctx, *name).Err()
	if _, answered := errors.AsType[redis.Error](err); err == nil || answered && !isElsewhere(err) {
		s.slots.moved.CompareAndSwap(name, nil)
		return nil
	}
	class, _ := classify(err)
	return &store.Error{Class: class, Err: s.explain(err), NotCharged: true}
}
