package chaos_test

import (
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/redisstore"
)

// TestRejections: Redis answers with an error instead of a decision. Each has a class, is
// quick and charges nothing, and decisions are made again as soon as its cause is gone.
func TestRejections(t *testing.T) {
	for _, fault := range []struct {
		name  string
		class string
		begin func(t *testing.T, s *chaos.Server)
		end   func(t *testing.T, s *chaos.Server)
	}{
		{
			"becomes a replica", redisstore.ClassReadOnly,
			func(t *testing.T, s *chaos.Server) {
				s.Do("REPLICAOF", "127.0.0.1", chaos.StartServer(t, "--repl-diskless-load", "disabled").Port)
				if role := s.Role(); role != "slave" {
					t.Errorf("its role is %q", role)
				}
				// It answers no client while it loads what it has copied.
				chaos.Until(t, 10*time.Second, "it has synchronized", func() bool { return s.Info("master_link_status") == "up" })
			},
			// As a replica it has taken over the data of its new primary, which has none.
			func(_ *testing.T, s *chaos.Server) { s.Do("REPLICAOF", "NO", "ONE") },
		},
		{
			"too few replicas", redisstore.ClassReadOnly,
			func(_ *testing.T, s *chaos.Server) { s.Do("CONFIG", "SET", "min-replicas-to-write", 1) },
			func(t *testing.T, s *chaos.Server) {
				s.Do("CONFIG", "SET", "min-replicas-to-write", 0)
				wantErrorStat(t, s, "NOREPLICAS")
			},
		},
		{
			"out of memory", redisstore.ClassMemory,
			func(_ *testing.T, s *chaos.Server) { s.Do("CONFIG", "SET", "maxmemory", 1) },
			func(t *testing.T, s *chaos.Server) {
				s.Do("CONFIG", "SET", "maxmemory", 0)
				wantErrorStat(t, s, "OOM")
			},
		},
		{
			"busy with another client's script", redisstore.ClassBusy,
			func(t *testing.T, s *chaos.Server) {
				s.Do("CONFIG", "SET", "lua-time-limit", 1)
				go s.Try("EVAL", "while true do end", 0) //nolint:errcheck // it is killed
				chaos.Until(t, 5*time.Second, "Redis is busy", func() bool {
					_, err := s.Try("TIME")
					return err != nil && strings.HasPrefix(err.Error(), "BUSY")
				})
			},
			func(t *testing.T, s *chaos.Server) {
				s.Do("SCRIPT", "KILL")
				wantErrorStat(t, s, "BUSY")
			},
		},
		{
			"pauses writes", store.ClassTimeout,
			func(_ *testing.T, s *chaos.Server) { s.Do("CLIENT", "PAUSE", 60_000, "WRITE") },
			func(_ *testing.T, s *chaos.Server) { s.Do("CLIENT", "UNPAUSE") },
		},
		{
			"wants a password now", redisstore.ClassAccess,
			func(_ *testing.T, s *chaos.Server) {
				s.Do("ACL", "SETUSER", "keeper", "on", ">secret", "+@all", "~*")
				s.Do("ACL", "SETUSER", "default", "-evalsha", "-eval")
			},
			func(t *testing.T, s *chaos.Server) {
				s.Do("ACL", "SETUSER", "default", "+@all")
				wantErrorStat(t, s, "NOPERM")
			},
		},
	} {
		t.Run(fault.name, func(t *testing.T) {
			watch, server := startWatch(t), chaos.StartServer(t)
			backend := storeAt(t, server)
			p := policyOf(t, countable)
			for range 3 {
				if d := take(t, patientStore(t, server), "key", p, 1); !d.Allowed {
					t.Fatalf("before: %+v", d)
				}
			}
			fault.begin(t, server)
			rejected := 0
			var took []time.Duration
			for range 10 {
				start := time.Now()
				d, err := tryTake(t.Context(), backend, "key", p, 1)
				if class := store.ErrorClass(err); d.Allowed || class != fault.class {
					t.Errorf("allowed=%v, class %q, %v; want class %q", d.Allowed, class, err, fault.class)
				}
				took = append(took, time.Since(start))
				if err != nil {
					rejected++
				}
			}
			watch.wantInBudget(t, took)
			fault.end(t, server)
			back := chaos.Until(t, 2*time.Second, "a decision is made", func() bool {
				_, err := tryTake(t.Context(), backend, "key", p, 0)
				return err == nil
			})
			if back > chaos.Patience(300*time.Millisecond) {
				t.Errorf("back after %v", back)
			}
			most := 3
			if fault.class == store.ClassTimeout {
				most += rejected // these timed out, and may be charged after the pause
			}
			if n := charged(t, patientStore(t, server), "key", countable); n > most {
				t.Errorf("%d tokens were charged; want %d at most", n, most)
			}
		})
	}
}

// wantErrorStat checks that a server has answered with an error.
func wantErrorStat(t *testing.T, s *chaos.Server, name string) {
	t.Helper()
	chaos.Until(t, 5*time.Second, "it answers", func() bool { return s.Info("redis_version") != "" })
	if n := s.Errors(name); n < 10 {
		t.Errorf("the server has answered %s %d times; want 10", name, n)
	}
}
