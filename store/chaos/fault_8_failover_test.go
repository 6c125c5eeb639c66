package chaos_test

import (
	"testing"
	"time"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/redisstore"
)

// TestFaultFailover: the primary is killed, or hangs, until three Sentinels have promoted
// another one. Callers are not affected.
func TestFaultFailover(t *testing.T) {
	for _, fault := range []struct {
		name  string
		do    func(*chaos.Server)
		state byte // of the process, the witness
	}{
		{"Sentinel failover, the primary killed", (*chaos.Server).Kill, 0},
		{"Sentinel failover, the primary hung", (*chaos.Server).Hang, 'T'},
	} {
		t.Run(fault.name, func(t *testing.T) {
			inPeace(t, func(t *testing.T) (*bout, wants) {
				sentinel := chaos.StartSentinel(t)
				primary := sentinel.Servers[0]
				b := startBout(t, "8", fault.name, chainConfig{At: sentinel})
				// The new primary may not have received calls that were under way.
				b.begin(func() { b.lose(func() { fault.do(primary) }) })
				o := &outage{fire: b.fire, keys: b.fire.keys, began: time.Now()}
				var next *chaos.Server
				chaos.Until(t, 20*time.Second, "a replica is the primary", func() bool {
					next = promoted(sentinel, primary)
					return next != nil
				})
				o.ended = time.Now()
				b.end(func() {})
				b.finish()
				if state := primary.State(); state != fault.state {
					b.lacks("the old primary is in state %q; want %q", state, fault.state)
				}
				if role := next.Role(); role != "master" {
					b.lacks("the new primary is a %q", role)
				}
				t.Logf("a replica is the primary after %v, and decides after %v", o.ended.Sub(o.began).Round(time.Millisecond), b.back.Sub(b.fault).Round(time.Millisecond))
				o.wantLocal(b)
				b.well = b.fault // the fault does not end: the time to come back counts from its beginning
				return b, wants{
					Slowest: budget, Extra: b.fire.fates(), Back: 4 * time.Second, Goroutines: 50, Ledger: next,
					Classes: []string{redisstore.ClassConnect, redisstore.ClassLost, redisstore.ClassReadOnly, store.ClassTimeout},
				}
			})
		})
	}
}

// promoted returns the server that has become the primary in place of another, or nil. It
// does not ask the old one, which may not answer.
func promoted(s *chaos.Sentinel, old *chaos.Server) *chaos.Server {
	for _, one := range s.Servers {
		if one != old && one.Role() == "master" {
			return one
		}
	}
	return nil
}
