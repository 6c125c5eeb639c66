package chaos_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/redisstore"
)

// TestRestart: Redis is killed and comes back, with or without its data.
func TestRestart(t *testing.T) {
	for _, keeps := range []bool{true, false} {
		t.Run(fmt.Sprintf("keeps its data %v", keeps), func(t *testing.T) {
			var options []string
			if keeps {
				options = []string{"--appendonly", "yes", "--appendfsync", "no"}
			}
			watch, server := startWatch(t), chaos.StartServer(t, options...)
			l := startLoad(t, storeAt(t, server), store.DefaultTimeout, countable, []string{"key"}, 2, time.Millisecond)
			l.watch = watch
			time.Sleep(300 * time.Millisecond)
			killed := time.Now()
			server.Kill()
			if state := server.State(); state != 0 {
				t.Errorf("the process is in state %q after SIGKILL", state)
			}
			time.Sleep(300 * time.Millisecond)
			server.Restart()
			restarted := time.Now()
			l.untilBack(t, killed, "key")
			l.end()
			during := l.between(killed, time.Time{})
			t.Logf("back %v after the restart; %v", (l.back(killed, "key") - restarted.Sub(killed)).Round(time.Millisecond), during)
			watch.wantNoErrors(t, l.between(time.Time{}, killed))
			wantClasses(t, during, redisstore.ClassConnect, redisstore.ClassLost, redisstore.ClassLoading, store.ClassTimeout)
			if back := l.back(killed, "key") - restarted.Sub(killed); back > reconnect+watch.within(300*time.Millisecond) {
				t.Errorf("back %v after the restart", back)
			}
			watch.wantInBudget(t, during.took)
			// A call whose answer was lost or late may have been charged.
			admitted, owes := l.windows["key"].tokens(), charged(t, patientStore(t, server), "key", countable)
			all, after := l.all(), during.admitted
			lost := all.errors[redisstore.ClassLost] + all.errors[store.ClassTimeout]
			if keeps && (owes < admitted || owes > admitted+lost) {
				t.Errorf("%d calls were admitted, and %d charged; %d were lost", admitted, owes, lost)
			}
			if !keeps && (owes == 0 || owes > after+lost) {
				t.Errorf("since the empty restart %d calls were admitted, and %d charged", after, owes)
			}
		})
	}
}

// TestLoading: while Redis reads its data, each call gets an error of class loading.
func TestLoading(t *testing.T) {
	watch, server := startWatch(t), chaos.StartServer(t, "--appendonly", "yes")
	backend := storeAt(t, server)
	p := policyOf(t, countable)
	take(t, patientStore(t, server), "key", p, 1)
	for i := range 2000 {
		server.Do("SET", i, strings.Repeat("v", 300))
	}
	server.Do("CONFIG", "SET", "rdbcompression", "no") // it serves clients after so many bytes
	server.Do("CONFIG", "SET", "save", "3600 1")
	server.Do("SAVE")
	server.Do("CONFIG", "SET", "appendonly", "no")
	server.Stop()
	// Loading takes a millisecond for each key, and Redis serves clients after each kilobyte.
	server.Restart("--appendonly", "no", "--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024")
	loading, start := 0, time.Now()
	var took []time.Duration
	chaos.Until(t, 20*time.Second, "Redis has read its data", func() bool {
		before := time.Now()
		_, err := tryTake(t.Context(), backend, "key", p, 0)
		if err == nil {
			return true
		}
		if class := store.ErrorClass(err); class == redisstore.ClassLoading {
			loading++
		} else if class != store.ClassTimeout && class != redisstore.ClassConnect {
			t.Errorf("class %q, %v", class, err)
		}
		took = append(took, time.Since(before))
		return false
	})
	watch.wantInBudget(t, took)
	t.Logf("%d times loading, in %v", loading, time.Since(start))
	if loading == 0 {
		t.Errorf("no answer was of class %q", redisstore.ClassLoading)
	}
	if n := charged(t, patientStore(t, server), "key", countable); n != 1 {
		t.Errorf("%d tokens are charged after the restart; want 1", n)
	}
}
