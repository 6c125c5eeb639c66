package chaos_test

import (
	"slices"
	"testing"
	"time"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/redisstore"
)

// TestFaultStart: a program starts while Redis is down, hangs or reads its data. It decides
// from the first request on, and with Redis as soon as that can decide.
func TestFaultStart(t *testing.T) {
	for _, c := range []struct {
		name    string
		begin   func(*chaos.Server)
		witness func(*testing.T, *chaos.Server)
		end     func(testing.TB, *chaos.Server)
	}{
		{
			"starts while Redis is down",
			func(s *chaos.Server) { s.Kill() },
			func(t *testing.T, s *chaos.Server) { wantState(t, s, 0) },
			func(_ testing.TB, s *chaos.Server) { s.Restart() },
		},
		{
			"starts while Redis hangs",
			func(s *chaos.Server) { s.Hang() },
			func(t *testing.T, s *chaos.Server) { wantState(t, s, 'T') },
			func(_ testing.TB, s *chaos.Server) { s.Resume() },
		},
		{
			"starts while Redis reads its data",
			func(s *chaos.Server) {
				fill(s)
				s.Kill()
				restartLoading(s)
			},
			func(t *testing.T, s *chaos.Server) { wantState(t, s, 'S', 'R') },
			untilLoaded,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			inPeace(t, func(t *testing.T) (*bout, wants) {
				server := chaos.StartServer(t)
				c.begin(server)
				b := startIll(t, "18", c.name, startChain(t, chainConfig{At: server}), 1)
				time.Sleep(1200 * time.Millisecond)
				c.witness(t, server)
				b.end(func() { c.end(t, server) })
				b.finish()
				first := b.fire.all()[0]
				total, stalled := first.took()
				t.Logf("the first decision took %v", total)
				if limit := chaos.Patience(store.DefaultTimeout+10*time.Millisecond) + 2*stalled; total > limit || !first.from(store.FromShare) {
					t.Errorf("the first decision took %v, local: %v; want a local one within %v", total, first.from(store.FromShare), limit)
				}
				return b, wants{
					Slowest: budget, Local: 100 * time.Millisecond, Back: 2 * time.Second, Goroutines: 50, Ledger: server,
					Classes: []string{redisstore.ClassConnect, redisstore.ClassLoading, store.ClassTimeout},
				}
			})
		})
	}
}

func wantState(t *testing.T, s *chaos.Server, states ...byte) {
	t.Helper()
	if got := s.State(); !slices.Contains(states, got) {
		t.Errorf("the process is in state %q; want one of %q", got, states)
	}
}
