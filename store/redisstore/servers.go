package redisstore

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/store"
)

// servers has a batcher for each server that keeps buckets, so that a server that hangs
// holds up no calls to the others. There is one server with Standalone and Sentinel, one
// for each primary of a Cluster, and one for each shard of a Ring.
//
// Which server has a key is the client's guess. If it is outdated, the client follows the
// redirection, and the call is decided all the same.
type servers struct {
	client redis.UniversalClient
	send   func(ctx context.Context, calls []*call)
	find   func(ctx context.Context, tag string) (*redis.Client, error) // nil: there is one server

	one      batcher      // of the one server, or of all until the topology is known
	routed   atomic.Bool  // the client knows the topology
	reloaded atomic.Int64 // when the topology was last asked for, in Unix nanoseconds
	mu       sync.RWMutex
	batchers map[string]*batcher // by address; never more than a Cluster has had servers
}

func newServers(client redis.UniversalClient, send func(ctx context.Context, calls []*call)) *servers {
	s := &servers{client: client, send: send, batchers: map[string]*batcher{}}
	s.one.send = func(ctx context.Context, calls []*call) {
		send(ctx, calls)
		// The first decision may have to load the topology, once and in its own time.
		if !s.routed.Load() && calls[0].err == nil {
			s.routed.Store(true)
		}
	}
	switch client := client.(type) {
	case *redis.ClusterClient:
		s.find = client.MasterForKey
	case *redis.Ring:
		s.find = func(_ context.Context, tag string) (*redis.Client, error) { return client.GetShardClientForKey(tag) }
	}
	return s
}

// batcher returns the batcher of the server that has the buckets whose names begin with
// tag.
func (s *servers) batcher(ctx context.Context, tag string) *batcher {
	if s.find == nil || !s.routed.Load() {
		return &s.one
	}
	server, err := s.find(ctx, tag)
	if err != nil {
		return &s.one
	}
	s.mu.RLock()
	b := s.batchers[address(server)]
	s.mu.RUnlock()
	if b != nil {
		return b
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if b = s.batchers[address(server)]; b == nil {
		b = &batcher{part: s.part(server), send: s.send}
		s.batchers[address(server)] = b
	}
	return b
}

// part returns the name of a server in Check and, if there are several, in Partition.
func (s *servers) part(server *redis.Client) string {
	if s.find == nil {
		return "redis"
	}
	return "redis " + address(server)
}

// address returns the address of a server, and "" for nil.
func address(server *redis.Client) string {
	if server == nil {
		return ""
	}
	return server.Options().Addr
}

// all returns the servers that the client knows, ordered by address. A client whose
// servers cannot be listed has one, nil.
func (s *servers) all(ctx context.Context) (all []*redis.Client, err error) {
	var mu sync.Mutex
	add := func(_ context.Context, server *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, server)
		return nil
	}
	panicked := store.Try(func() {
		switch client := s.client.(type) {
		case *redis.Client:
			all = []*redis.Client{client}
		case *redis.ClusterClient:
			err = client.ForEachMaster(ctx, add)
		case *redis.Ring:
			err = client.ForEachShard(ctx, add)
		default:
			all = []*redis.Client{nil}
		}
	})
	if panicked != nil {
		return nil, errPanic
	}
	slices.SortFunc(all, func(a, b *redis.Client) int { return strings.Compare(address(a), address(b)) })
	return all, err
}

// reloadEvery is the shortest time between two requests for the topology of a Cluster. By
// itself the client asks once a minute, and not after a refused connection: a third of all
// keys then failed for a minute, although Redis had failed over within seconds.
const reloadEvery = 250 * time.Millisecond

// reload makes the client of a Cluster ask for the topology if err may mean that it has
// changed.
func (s *servers) reload(err error) {
	cluster, ok := s.client.(*redis.ClusterClient)
	if !ok {
		return
	}
	switch class, _ := classify(err); class {
	case ClassConnect, ClassLost, store.ClassTimeout, ClassCluster, ClassReadOnly:
	default:
		return
	}
	now, last := time.Now().UnixNano(), s.reloaded.Load()
	if now-last >= int64(reloadEvery) && s.reloaded.CompareAndSwap(last, now) {
		cluster.ReloadState(context.Background()) // on a goroutine of the client
	}
}
