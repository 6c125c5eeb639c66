package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/ratelimit"
)

// slots is what a store on one address has learned of hash slots behind it. Hosted
// services hide a cluster so: its address answers for every key, but a script call
// may only name keys of one slot. The zero value has learned nothing: batches share
// script calls.
type slots struct {
	split atomic.Bool            // a script call per API key
	moved atomic.Pointer[string] // a bucket that another node has: the address is one node of a Cluster
}

// errNode is the fault of a client that cannot reach all slots.
var errNode = errors.New("redisstore: the server is one node of a Redis Cluster, and the client knows only this one; add cluster=true to the URL of redisstore.NewClient, or pass a redis.ClusterClient")

// errNoCluster is the reverse.
var errNoCluster = errors.New("redisstore: the client is one of a Redis Cluster, and the server is none; remove cluster=true, or all hosts but one, from the URL of redisstore.NewClient, or pass a redis.Client")

// explain adds to an error of Redis what to change, if it is the choice of the client.
func (s *Store) explain(err error) error {
	switch {
	case s.oneServer && isElsewhere(err):
		return fmt.Errorf("%w: %w", errNode, err)
	case !s.oneServer && isReply(err, isNoCluster):
		return fmt.Errorf("%w: %w", errNoCluster, err)
	}
	return err
}

// noCluster begins the answer of a single server to a command about clusters.
const noCluster = "ERR This instance has cluster support disabled"

func isNoCluster(text string) bool { return strings.HasPrefix(text, noCluster) }

// isCrossSlot reports whether a script call was rejected because its keys are not in
// one slot. Nothing was executed then.
func isCrossSlot(err error) bool { return isReply(err, saysCrossSlot) }

// saysCrossSlot knows Redis, Valkey and Redis Enterprise by the code, and proxies of
// hosted services by the words that they share.
func saysCrossSlot(text string) bool {
	text = strings.ToLower(text)
	return strings.HasPrefix(text, "crossslot") || strings.HasPrefix(text, "err crossslot") ||
		strings.Contains(text, "cross-slot") || strings.Contains(text, "same slot") || strings.Contains(text, "same hash slot")
}

// isElsewhere reports whether another node of a Cluster has the key.
func isElsewhere(err error) bool {
	return isReply(err, func(text string) bool {
		return strings.HasPrefix(text, "MOVED ") || strings.HasPrefix(text, "ASK ")
	})
}

// isReply reports whether err is an error that Redis gave, and its text is so.
func isReply(err error, is func(text string) bool) bool {
	reply, ok := errors.AsType[redis.Error](err)
	return ok && is(reply.Error())
}

// learn remembers a bucket that another node has.
func (s *Store) learn(f flight, err error) {
	if s.oneServer && isElsewhere(err) {
		if name, ok := f.keys[0].(string); ok {
			s.slots.moved.CompareAndSwap(nil, &name)
		}
	}
}

// reaches returns an error while some buckets are known to be on a node that the
// client cannot reach. Then no key is decided: to decide some of them would look like a
// store that fails and recovers many times a second. It asks again before each batch, so
// that a node which gets all slots is used at once.
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
	return &ratelimit.StoreError{Class: class, Err: s.explain(err), NotCharged: true}
}
