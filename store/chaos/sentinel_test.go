package chaos_test

import (
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/redisstore"
)

// TestSentinelFailover: the primary is killed, or hangs. Until the Sentinels have promoted
// another one, calls get errors with a class, within their budget. Then decisions are made
// again.
func TestSentinelFailover(t *testing.T) {
	for _, fault := range []struct {
		name  string
		do    func(*chaos.Server)
		state byte // of the process during the fault
	}{
		{"killed", (*chaos.Server).Kill, 0},
		{"hung", (*chaos.Server).Hang, 'T'},
	} {
		t.Run(fault.name, func(t *testing.T) {
			watch, sentinel := startWatch(t), chaos.StartSentinel(t)
			backend := storeAt(t, sentinel)
			keys := keysNamed("key", 5)
			limit := ratelimit.PerSecond(20)
			l := startLoad(t, backend, store.DefaultTimeout, limit, keys, 1, 12*time.Millisecond)
			l.watch = watch
			time.Sleep(time.Second)
			primary := sentinel.Servers[0]
			at := time.Now()
			fault.do(primary)
			if state := primary.State(); state != fault.state {
				t.Fatalf("the primary is in state %q; want %q", state, fault.state)
			}
			failover := chaos.Until(t, 20*time.Second, "there is another primary", func() bool {
				now := sentinel.Primary()
				return now != nil && now != primary
			})
			l.untilBack(t, at, keys...)
			time.Sleep(time.Second)
			l.end()

			during := l.between(at, time.Time{})
			back := time.Duration(0)
			for _, key := range keys {
				back = max(back, l.back(at, key))
			}
			t.Logf("another primary after %v, the last key was back after %v; %v", failover.Round(time.Millisecond), back.Round(time.Millisecond), during)
			watch.wantNoErrors(t, l.between(time.Time{}, at))
			wantClasses(t, during, redisstore.ClassConnect, redisstore.ClassLost, store.ClassTimeout, redisstore.ClassReadOnly)
			if most := failover + reconnect + watch.within(1500*time.Millisecond); back > most {
				t.Errorf("back after %v; want at most %v, 2.5 s after there was another primary", back, most)
			}
			watch.wantInBudget(t, during.took)
			for _, key := range keys {
				// What the new primary had not received yet is lost: at most a burst.
				if over := l.windows[key].worst(); over > int64(limit.Rate) {
					t.Errorf("key %s: %d tokens too many", key, over)
				}
			}
			if admitted := l.between(at.Add(back), time.Time{}).admitted; admitted < len(keys)*limit.Rate {
				t.Errorf("%d calls were admitted after the failover; want at least %d", admitted, len(keys)*limit.Rate)
			}
		})
	}
}
