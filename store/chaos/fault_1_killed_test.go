package chaos_test

import (
	"testing"
	"time"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/redisstore"
)

// TestFaultKilled: Redis is killed and comes back, with or without its data. Callers are not
// affected, and are admitted as much as before.
func TestFaultKilled(t *testing.T) {
	for _, c := range []struct {
		row, name string
		options   []string
		empty     bool
	}{
		{"1", "killed, comes back with its data", []string{"--appendonly", "yes", "--appendfsync", "no"}, false},
		{"2", "killed, comes back empty", nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			inPeace(t, func(t *testing.T) (*bout, wants) {
				server := chaos.StartServer(t, c.options...)
				b := startBout(t, c.row, c.name, chainConfig{At: server})
				server.Do("SET", "witness", "1")
				b.begin(func() {
					if !c.empty {
						server.Kill()
						return
					}
					b.lose(server.Kill)
				})
				if state := server.State(); state != 0 {
					t.Errorf("the process is in state %q after SIGKILL", state)
				}
				time.Sleep(time.Second)
				b.end(func() { server.Restart() })
				if got, want := server.Do("EXISTS", "witness") == int64(0), c.empty; got != want {
					t.Errorf("Redis came back empty: %v; want %v", got, want)
				}
				b.finish()
				return b, wants{
					Slowest: budget, Local: 100 * time.Millisecond, Back: 2 * time.Second, Goroutines: 50, Ledger: server,
					Classes: []string{redisstore.ClassConnect, redisstore.ClassLost, redisstore.ClassLoading, store.ClassTimeout},
				}
			})
		})
	}
}
