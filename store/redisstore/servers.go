package redisstore

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// lanes keep calls to one server apart from those to another: while one hangs, its
// flights do too, and must not hold up the rest. Standalone and Sentinel have one
// lane, a Cluster has one for each primary, a Ring one for each shard.
//
// Which server it is, is the client's guess and may be outdated: then the client
// follows the redirection, and the call lands all the same.
type lanes struct {
	fly    func(ctx context.Context, calls []*call)
	server func(ctx context.Context, tag string) (*redis.Client, error) // nil: there is but one

	one      flights
	routed   atomic.Bool // the client knows the topology, and need not ask for it
	mu       sync.RWMutex
	byServer map[string]*flights // by address; never more than a Cluster has had servers
}

func newLanes(client redis.UniversalClient, fly func(ctx context.Context, calls []*call)) *lanes {
	l := &lanes{fly: fly, byServer: map[string]*flights{}}
	l.one.fly = func(ctx context.Context, calls []*call) {
		fly(ctx, calls)
		// The first decision may have to load the topology, on its own time and once.
		if !l.routed.Load() && calls[0].err == nil {
			l.routed.Store(true)
		}
	}
	switch client := client.(type) {
	case *redis.ClusterClient:
		l.server = client.MasterForKey
	case *redis.Ring:
		l.server = func(_ context.Context, tag string) (*redis.Client, error) { return client.GetShardClientForKey(tag) }
	}
	return l
}

// of returns the lane of the key whose names begin with tag.
func (l *lanes) of(ctx context.Context, tag string) *flights {
	if l.server == nil || !l.routed.Load() {
		return &l.one
	}
	server, err := l.server(ctx, tag)
	if err != nil {
		return &l.one
	}
	l.mu.RLock()
	lane := l.byServer[address(server)]
	l.mu.RUnlock()
	if lane != nil {
		return lane
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if lane = l.byServer[address(server)]; lane == nil {
		lane = &flights{name: partName(server), fly: l.fly}
		l.byServer[address(server)] = lane
	}
	return lane
}

// partName is what a server of several is called in Check, and by Partition.
func partName(server *redis.Client) string { return "redis " + address(server) }

// address names a server; nil, which is whatever one there is, is "".
func address(server *redis.Client) string {
	if server == nil {
		return ""
	}
	return server.Options().Addr
}
