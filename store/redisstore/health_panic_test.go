package redisstore

import (
	"context"
	"net"
	"runtime"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror"
)

// exploding is a hook that panics, or ends its goroutine, on a command.
type exploding struct {
	command string // "" means all
	with    func()
}

func (h exploding) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h exploding) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, c redis.Cmder) error {
		h.look(c)
		return next(ctx, c)
	}
}

func (h exploding) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, all []redis.Cmder) error {
		for _, c := range all {
			h.look(c)
		}
		return next(ctx, all)
	}
}

func (h exploding) look(c redis.Cmder) {
	if h.command == "" || c.Name() == h.command {
		h.with()
	}
}

// TestCheckRecovers: if a hook panics on any command of the health check, that part has
// class panic, also through a mirror.
func TestCheckRecovers(t *testing.T) {
	server := miniredis.RunT(t)
	single := func() redis.UniversalClient {
		return redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true, MaxRetries: -1})
	}
	cluster := func() redis.UniversalClient {
		return redis.NewClusterClient(&redis.ClusterOptions{ContextTimeoutEnabled: true, ClusterSlots: func(context.Context) ([]redis.ClusterSlot, error) {
			return []redis.ClusterSlot{{Start: 0, End: 16383, Nodes: []redis.ClusterNode{{Addr: server.Addr()}}}}, nil
		}})
	}
	for _, test := range []struct {
		name   string
		client func() redis.UniversalClient
		hook   exploding
	}{
		{"INFO", single, exploding{"info", func() { panic("canary") }}},
		{"EVALSHA", single, exploding{"evalsha", func() { panic("canary") }}},
		{"everything", single, exploding{"", func() { panic("canary") }}},
		{"INFO, with an error that panics", single, exploding{"info", func() { panic((*net.OpError)(nil)) }}},
		{"INFO ends the goroutine", single, exploding{"info", runtime.Goexit}},
		{"EVALSHA of a Cluster", cluster, exploding{"evalsha", func() { panic("canary") }}},
	} {
		t.Run(test.name, func(t *testing.T) {
			client := test.client()
			defer client.Close()
			client.AddHook(test.hook)
			s := newStore(t, client, Config{})
			s.longest.Store(int64(patience)) // for slow machines
			m, err := mirror.New(s, mirror.Config{})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			for name, backend := range map[string]store.Store{"redisstore": s, "mirror": m} {
				l, err := ratelimit.New(backend, ratelimit.PerSecond(5), ratelimit.Config{})
				if err != nil {
					t.Fatal(err)
				}
				h := l.Check(t.Context())
				if len(h.Parts) == 0 || h.Parts[0].OK || h.Parts[0].Class != store.ClassPanic || h.Parts[0].Name == "" {
					t.Errorf("%s: %+v; want class panic of the first part", name, h)
				}
				if name == "redisstore" && h.Status != store.StatusFailed {
					t.Errorf("%s: %+v; want it to fail", name, h)
				}
			}
		})
	}
}

// TestCheckRecoversTopology: if the client panics while it asks for the topology, the
// class is panic, too.
func TestCheckRecoversTopology(t *testing.T) {
	client := redis.NewClusterClient(&redis.ClusterOptions{ContextTimeoutEnabled: true, ClusterSlots: func(context.Context) ([]redis.ClusterSlot, error) {
		panic("canary")
	}})
	defer client.Close()
	h := newStore(t, client, Config{}).Check(t.Context())
	if h.Status != store.StatusFailed || len(h.Parts) != 1 || h.Parts[0].Class != store.ClassPanic || strings.Contains(h.Parts[0].Name, "canary") {
		t.Errorf("%+v; want class panic", h)
	}
}
