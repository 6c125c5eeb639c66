package chaos_test

import (
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/redisstore"
)

// TestFaultRejected: Redis answers, even pings, but rejects decisions. The program and the
// health check get the class of its error.
func TestFaultRejected(t *testing.T) {
	for _, c := range []struct {
		row, name string
		class     string
		begin     func(t *testing.T, b *bout, s *chaos.Server)
		witness   func(t *testing.T, s *chaos.Server) // checks the fault while it lasts
		end       func(b *bout, s *chaos.Server)
		wants     wants
	}{
		{
			row: "6", name: "out of memory, noeviction", class: redisstore.ClassMemory,
			begin:   func(_ *testing.T, _ *bout, s *chaos.Server) { s.Do("CONFIG", "SET", "maxmemory", 1) },
			witness: func(t *testing.T, s *chaos.Server) { wantErrors(t, s, "OOM") },
			end:     func(_ *bout, s *chaos.Server) { s.Do("CONFIG", "SET", "maxmemory", 0) },
			wants:   wants{Back: time.Second, Few: 3},
		},
		{
			row: "7", name: "the primary becomes a replica", class: redisstore.ClassReadOnly,
			begin: func(t *testing.T, b *bout, s *chaos.Server) {
				other := chaos.StartServer(t, "--repl-diskless-load", "disabled")
				// It takes over the data of its new primary, which has none.
				b.lose(func() {
					s.Do("REPLICAOF", "127.0.0.1", other.Port)
					chaos.Until(t, 10*time.Second, "it has synchronized", func() bool { return s.Info("master_link_status") == "up" })
				})
			},
			witness: func(t *testing.T, s *chaos.Server) {
				if role := s.Role(); role != "slave" {
					t.Errorf("its role is %q; want slave", role)
				}
				wantErrors(t, s, "READONLY")
			},
			end:   func(_ *bout, s *chaos.Server) { s.Do("REPLICAOF", "NO", "ONE") },
			wants: wants{Back: 2 * time.Second, Few: 3},
		},
		{
			row: "7", name: "too few replicas", class: redisstore.ClassReadOnly,
			begin:   func(_ *testing.T, _ *bout, s *chaos.Server) { s.Do("CONFIG", "SET", "min-replicas-to-write", 1) },
			witness: func(t *testing.T, s *chaos.Server) { wantErrors(t, s, "NOREPLICAS") },
			end:     func(_ *bout, s *chaos.Server) { s.Do("CONFIG", "SET", "min-replicas-to-write", 0) },
			wants:   wants{Back: 2 * time.Second, Few: 3},
		},
		{
			row: "12", name: "busy with another client's script", class: redisstore.ClassBusy,
			begin: func(t *testing.T, _ *bout, s *chaos.Server) {
				s.Do("CONFIG", "SET", "lua-time-limit", 1)
				go s.Try("EVAL", "while true do end", 0) //nolint:errcheck // it is killed
				chaos.Until(t, 5*time.Second, "Redis is busy", func() bool {
					_, err := s.Try("TIME")
					return err != nil && strings.HasPrefix(err.Error(), "BUSY")
				})
			},
			witness: func(*testing.T, *chaos.Server) {},
			end: func(b *bout, s *chaos.Server) {
				s.Do("SCRIPT", "KILL")
				chaos.Until(b.t, 5*time.Second, "Redis answers", func() bool { return s.Info("redis_version") != "" })
				wantErrors(b.t, s, "BUSY")
			},
			wants: wants{Back: 2 * time.Second, Few: 3},
		},
		{
			row: "12", name: "CLIENT PAUSE WRITE", class: store.ClassTimeout,
			begin: func(_ *testing.T, _ *bout, s *chaos.Server) { s.Do("CLIENT", "PAUSE", 60_000, "WRITE") },
			witness: func(t *testing.T, s *chaos.Server) {
				if s.Do("PING") != "PONG" {
					t.Error("Redis does not answer a ping")
				}
				chaos.Until(t, 5*time.Second, "a client waits", func() bool { return s.Info("blocked_clients") != "0" })
			},
			end:   func(_ *bout, s *chaos.Server) { s.Do("CLIENT", "UNPAUSE") },
			wants: wants{Back: 2 * time.Second, Few: 3},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			inPeace(t, func(t *testing.T) (*bout, wants) {
				server := chaos.StartServer(t)
				b := startBout(t, c.row, c.name, chainConfig{At: server})
				b.begin(func() { c.begin(t, b, server) })
				time.Sleep(1500 * time.Millisecond)
				b.wantNamed(c.class)
				time.Sleep(500 * time.Millisecond)
				c.witness(t, server)
				b.end(func() { c.end(b, server) })
				b.finish()
				chaos.Until(t, time.Second, "the health check says 200 and ok", func() bool {
					h := b.chain.health(t)
					return h.Code == 200 && h.Status == string(store.StatusOK)
				})
				c.wants.Slowest, c.wants.Local, c.wants.Goroutines, c.wants.Ledger = budget, 100*time.Millisecond, 50, server
				c.wants.Classes = []string{c.class}
				return b, c.wants
			})
		})
	}
}

// wantErrors checks that a server has answered with an error.
func wantErrors(t testing.TB, s *chaos.Server, name string) {
	t.Helper()
	if n := s.Errors(name); n < 10 {
		t.Errorf("the server has answered %s %d times; want 10", name, n)
	}
}

// wantNamed fails the test unless the health check says that decisions are made
// without the shared store, and names the class.
func (b *bout) wantNamed(class string) {
	b.t.Helper()
	chaos.Until(b.t, time.Second, "the health check says 200, degraded, and class "+class, func() bool {
		return healthy(b.chain.health(b.t), class)
	})
}

// healthy reports whether a health check says that all is well.
func healthy(h healthAnswer, class string) bool {
	return h.Code == 200 && h.Status == string(store.StatusDegraded) && h.names(class)
}
