package chaos_test

import (
	"testing"
	"time"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
)

// TestFaultBadLineInFours: one request and one reply in eight are lost, with four calls of a
// key under way at once. Redis decides some of them, and the node decides others. All of
// them count.
func TestFaultBadLineInFours(t *testing.T) {
	t.Parallel()
	inPeace(t, func(t *testing.T) (*bout, wants) {
		server := chaos.StartServer(t)
		proxy := chaos.StartProxy(t, server.Addr, 1)
		proxy.Delay(2 * time.Millisecond)
		b := startBoutOf(t, "13", "one in eight is lost each way, in fours", startChain(t, chainConfig{At: proxy}), 4)
		b.begin(func() { proxy.Lose(8, 8) })
		time.Sleep(6 * time.Second)
		b.end(func() { proxy.Lose(0, 0) })
		b.finish()
		mixed := b.mixed()
		requests, replies := proxy.Lost()
		t.Logf("%d requests and %d replies were lost; %d groups were decided by Redis in part, and in part without it", requests, replies, mixed)
		if requests < 10 || replies < 10 || mixed < 3 {
			b.lacks("that is too few for a proof")
		}
		return b, wants{Slowest: budget, Back: 2 * time.Second, Goroutines: 50, Ledger: server, Twice: true}
	})
}

// mixed returns the number of groups of requests sent together that were decided in part
// by Redis and in part by the node.
func (b *bout) mixed() (n int) {
	all := b.fire.all()
	for at := 0; at+b.fire.together <= len(all); at += b.fire.together {
		backend, alone := false, false
		for _, one := range all[at : at+b.fire.together] {
			backend = backend || one.from(store.FromStore)
			alone = alone || one.from(store.FromShare)
		}
		if backend && alone {
			n++
		}
	}
	return n
}
