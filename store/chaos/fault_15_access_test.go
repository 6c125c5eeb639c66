package chaos_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/redisstore"
)

// TestFaultNoAccess: from the start the program cannot use its Redis because of a wrong
// configuration on one of the two sides. Each call is decided locally, within its budget,
// and the health check names the class.
func TestFaultNoAccess(t *testing.T) {
	ours, theirs := newAuthority(t, "ours"), newAuthority(t, "theirs")
	soon, past := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	const host = "127.0.0.1"
	// Each case returns the client, and a function that returns how often the fault occurred.
	for _, c := range []struct {
		name    string
		classes []string
		begin   func(t testing.TB) (redis.UniversalClient, func() int)
	}{
		// The first calls wait while the client reads the authorities of the host.
		{"TLS, an unknown authority", []string{redisstore.ClassConnect, store.ClassTimeout}, func(t testing.TB) (redis.UniversalClient, func() int) {
			s := startSecured(t, ours.issue(t, host, soon))
			return newClient(t, "rediss://"+s.TLS), func() int { return s.logged(t, "alert bad certificate") + s.logged(t, "alert unknown ca") }
		}},
		{"TLS, the wrong authority", []string{redisstore.ClassConnect}, func(t testing.TB) (redis.UniversalClient, func() int) {
			s := startSecured(t, ours.issue(t, host, soon))
			return overTLS(t, s.TLS, theirs.trust(host)), func() int { return s.logged(t, "alert bad certificate") + s.logged(t, "alert unknown ca") }
		}},
		{"TLS, a certificate out of date", []string{redisstore.ClassConnect}, func(t testing.TB) (redis.UniversalClient, func() int) {
			s := startSecured(t, ours.issue(t, host, past))
			return overTLS(t, s.TLS, ours.trust(host)), func() int { return s.logged(t, "alert bad certificate") + s.logged(t, "alert certificate expired") }
		}},
		{"TLS, another host's certificate", []string{redisstore.ClassConnect}, func(t testing.TB) (redis.UniversalClient, func() int) {
			s := startSecured(t, ours.issue(t, "redis.keyrate.test", soon))
			return overTLS(t, s.TLS, ours.trust(host)), func() int { return s.logged(t, "alert bad certificate") }
		}},
		{"no TLS, where Redis wants it", []string{redisstore.ClassConnect, redisstore.ClassLost}, func(t testing.TB) (redis.UniversalClient, func() int) {
			s := startSecured(t, ours.issue(t, host, soon))
			return newClient(t, "redis://"+s.TLS), func() int { return s.logged(t, "wrong version number") }
		}},
		{"TLS, where Redis has none", []string{redisstore.ClassConnect, store.ClassTimeout}, func(t testing.TB) (redis.UniversalClient, func() int) {
			s := startSecured(t, ours.issue(t, host, soon))
			// Redis takes the handshake for a command and waits for its end.
			return overTLS(t, s.Addr, ours.trust(host)), func() int { return s.logged(t, "cmd=NULL") }
		}},
		{"the wrong password", []string{redisstore.ClassAccess}, func(t testing.TB) (redis.UniversalClient, func() int) {
			s := chaos.StartServer(t)
			s.Do("ACL", "SETUSER", "app", "on", ">right", "+@all", "~*")
			return newClient(t, urlOf(s.Addr, "app", "wrong")), func() int { return s.Errors("WRONGPASS") }
		}},
		{"no password, where Redis wants one", []string{redisstore.ClassAccess}, func(t testing.TB) (redis.UniversalClient, func() int) {
			s := chaos.StartServer(t)
			s.Do("ACL", "SETUSER", "keeper", "on", ">secret", "+@all", "~*")
			s.Do("CONFIG", "SET", "requirepass", "secret")
			return newClient(t, "redis://"+s.Addr), func() int {
				keeper := newClient(t, urlOf(s.Addr, "keeper", "secret"))
				if keeper.Do(t.Context(), "PING").Err() != nil {
					return 0
				}
				return 10
			}
		}},
		{"DNS, no such name", []string{redisstore.ClassConnect}, unnamed(nameUnknown)},
		{"DNS, the name server fails", []string{redisstore.ClassConnect}, unnamed(nameFailing)},
		{"DNS, no answer", []string{redisstore.ClassConnect, store.ClassTimeout}, unnamed(nameSilent)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			machine().Replay(t, slow, func(t testing.TB) {
				client, witness := c.begin(t)
				chain := startChain(t, chainConfig{Client: client})
				load := startFire(t, chain, 1)
				time.Sleep(2 * time.Second)
				health := chain.health(t)
				load.end()
				if n := witness(); n < 2 {
					t.Errorf("the fault occurred %d times; want 2", n)
				}
				load.wantAnswered(t)
				load.wantExact(t, 1)
				load.report(t, "15", c.name)
				if n := (&outage{fire: load, keys: load.keys}).sources(time.Time{}, time.Time{}); n[store.FromStore] > 0 || n[store.FromShare] == 0 {
					t.Errorf("the sources of the decisions were %v", n)
				}
				for class, n := range chain.tap.classes() {
					if !slices.Contains(c.classes, class) {
						t.Errorf("%d trips had the class %q; want %q", n, class, c.classes)
					}
				}
				if len(named(chain.transitions())) == 0 {
					t.Error("OnChange was not called")
				}
				if !slices.ContainsFunc(c.classes, func(class string) bool { return seesThrough(health, class) == "" }) {
					t.Errorf("the health check says %+v; want that it is degraded, decides locally, and names a class of %q", health, c.classes)
				}
				if health.Code != http.StatusOK {
					t.Errorf("the health check answers %d", health.Code)
				}
			})
		})
	}
}

// unnamed returns a client for a server whose name cannot be resolved.
func unnamed(mood int32) func(t testing.TB) (redis.UniversalClient, func() int) {
	return func(t testing.TB) (redis.UniversalClient, func() int) {
		t.Helper()
		s, n := chaos.StartServer(t), startNameserver(t)
		n.mood.Store(mood)
		return byName(t, n, s.Port), func() int { return n.asked(mood) }
	}
}
