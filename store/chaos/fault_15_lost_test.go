package chaos_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/redisstore"
)

// An accessFault takes away access to Redis and restores it.
type accessFault struct {
	client redis.UniversalClient
	server *chaos.Server
	begin  func()
	end    func()
	seen   func() int // how often the fault occurred
}

// TestFaultAccessLost: the program loses access to its Redis when an operator rotates the
// password, replaces the certificate or breaks the name server, and new connections are
// needed. When that is repaired, Redis decides again.
func TestFaultAccessLost(t *testing.T) {
	for _, c := range []struct {
		name    string
		classes []string // OnChange names one of these, and so does the health check
		back    time.Duration
		prepare func(t *testing.T) accessFault
	}{
		{"the password is rotated, and back", []string{redisstore.ClassAccess}, time.Second, func(t *testing.T) (f accessFault) {
			s := chaos.StartServer(t)
			s.Do("ACL", "SETUSER", "app", "on", ">old", "+@all", "~*")
			f.server, f.client = s, newClient(t, urlOf(s.Addr, "app", "old"))
			f.begin = func() {
				s.Do("ACL", "SETUSER", "app", "resetpass", ">new")
				s.Do("CLIENT", "KILL", "USER", "app")
			}
			f.end = func() { s.Do("ACL", "SETUSER", "app", ">old") }
			f.seen = func() int { return s.Errors("WRONGPASS") }
			return f
		}},
		{"the password is rotated, the program gets it late", []string{redisstore.ClassAccess}, time.Second, func(t *testing.T) (f accessFault) {
			s := chaos.StartServer(t)
			s.Do("ACL", "SETUSER", "app", "on", ">old", "+@all", "~*")
			before, after := "old", "new"
			var password atomic.Pointer[string]
			password.Store(&before)
			f.server, f.client = s, clientOf(t, s.Addr, func(o *redis.Options) {
				o.CredentialsProvider = func() (string, string) { return "app", *password.Load() }
			})
			f.begin = func() {
				s.Do("ACL", "SETUSER", "app", "resetpass", ">new")
				s.Do("CLIENT", "KILL", "USER", "app")
			}
			f.end = func() { password.Store(&after) }
			f.seen = func() int { return s.Errors("WRONGPASS") }
			return f
		}},
		// With TLS the client notices a closed connection only when it uses it.
		{"the certificate is another authority's", []string{redisstore.ClassConnect, redisstore.ClassLost}, time.Second, func(t *testing.T) (f accessFault) {
			ours, theirs := newAuthority(t, "ours"), newAuthority(t, "theirs")
			const host = "127.0.0.1"
			right, wrong := ours.issue(t, host, time.Now().Add(time.Hour)), theirs.issue(t, host, time.Now().Add(time.Hour))
			s := startSecured(t, right)
			f.server, f.client = s.Server, overTLS(t, s.TLS, ours.trust(host))
			f.begin = func() {
				s.present(t, wrong)
				hangUp(s.Server)
			}
			f.end = func() { s.present(t, right) }
			f.seen = func() int { return s.logged(t, "alert bad certificate") + s.logged(t, "alert unknown ca") }
			return f
		}},
		{"DNS says that there is no such name", []string{redisstore.ClassConnect}, reconnect + time.Second, renamed(nameUnknown)},
		{"DNS fails", []string{redisstore.ClassConnect}, reconnect + time.Second, renamed(nameFailing)},
		// Go waits 5 s for a name server, and concurrent look-ups of the name wait, too.
		{"DNS does not answer", []string{store.ClassTimeout, redisstore.ClassConnect}, 6 * time.Second, renamed(nameSilent)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			inPeace(t, func(t *testing.T) (*bout, wants) {
				fault := c.prepare(t)
				b := startBout(t, "15", c.name, chainConfig{Client: fault.client})
				b.begin(fault.begin)
				o := &outage{fire: b.fire, keys: b.fire.keys, began: time.Now()}
				time.Sleep(1500 * time.Millisecond)
				health := b.chain.health(t)
				seen := fault.seen()
				o.ended = time.Now()
				b.end(fault.end)
				b.finish()
				if seen < 2 {
					b.lacks("the fault occurred %d times; want 2", seen)
				}
				o.wantLocal(b)
				// First connections were lost; then the health check made new ones.
				if !slices.ContainsFunc(c.classes, func(class string) bool { return class != redisstore.ClassLost && seesThrough(health, class) == "" }) {
					b.lacks("%s", seesThrough(health, c.classes[0]))
				}
				if h := b.chain.health(t); h.Status != string(store.StatusOK) {
					b.lacks("at the end the health check says %+v", h)
				}
				return b, wants{Slowest: budget, Extra: b.fire.fates(), Back: c.back, Goroutines: 50, Ledger: fault.server, Classes: c.classes}
			})
		})
	}
}

// renamed returns a fault in which the name of a server cannot be resolved.
func renamed(mood int32) func(t *testing.T) accessFault {
	return func(t *testing.T) (f accessFault) {
		t.Helper()
		s, n := chaos.StartServer(t), startNameserver(t)
		f.server, f.client = s, byName(t, n, s.Port)
		f.begin = func() {
			n.mood.Store(mood)
			hangUp(s)
		}
		f.end = func() { n.mood.Store(nameKnown) }
		f.seen = func() int { return n.asked(mood) }
		return f
	}
}
