package chaos_test

import (
	"testing"
	"time"

	"github.com/keyrate/keyrate/store/chaos"
)

// TestFaultFlushed: another client empties Redis every second. Callers gain only the calls
// that were under way at that moment.
func TestFaultFlushed(t *testing.T) {
	inPeace(t, func(t *testing.T) (*bout, wants) {
		server := chaos.StartServer(t)
		b := flushed(t, server, startChain(t, chainConfig{At: server}), "FLUSHALL every second", 1)
		return b, wants{Slowest: budget, Stays: true, Ledger: server}
	})
}

// TestFaultFlushedAfar: the same with longer round trips, so that some calls are under way
// each time, four of a key at once.
func TestFaultFlushedAfar(t *testing.T) {
	t.Parallel()
	inPeace(t, func(t *testing.T) (*bout, wants) {
		server := chaos.StartServer(t)
		proxy := chaos.StartProxy(t, server.Addr, 1)
		proxy.Delay(3 * time.Millisecond) // a connection takes three round trips, and the first call waits for it
		b := flushed(t, server, startChain(t, chainConfig{At: proxy}), "FLUSHALL every second, 6 ms away, in fours", 4)
		under := 0
		for _, n := range b.extra() {
			under += n
		}
		if under == 0 {
			b.lacks("nothing was under way when Redis was emptied: too little for a proof")
		}
		return b, wants{Slowest: budget, Stays: true, Ledger: server}
	})
}

// flushed empties Redis every second, for ten.
func flushed(t *testing.T, server *chaos.Server, c *chain, name string, together int) *bout {
	t.Helper()
	b := startBoutOf(t, "4", name, c, together)
	empty := 0
	b.begin(func() {
		for i := range 10 {
			b.lose(func() { server.Do("FLUSHALL") })
			if server.Do("DBSIZE") == int64(0) {
				empty++
			}
			time.Sleep(time.Second + time.Duration(7*i)*time.Millisecond) // not in step with the requests
		}
	})
	b.end(func() {})
	b.finish()
	if n := server.Calls("flushall"); n != 10 || empty == 0 {
		b.lacks("Redis was emptied %d times, and was empty %d times", n, empty)
	}
	return b
}

// TestFaultScriptsFlushed: another client flushes all scripts, every millisecond.
func TestFaultScriptsFlushed(t *testing.T) {
	inPeace(t, func(t *testing.T) (*bout, wants) {
		server := chaos.StartServer(t)
		b := startBout(t, "5", "SCRIPT FLUSH every ms", chainConfig{At: server})
		b.begin(func() {
			tick := time.NewTicker(time.Millisecond)
			defer tick.Stop()
			for start := time.Now(); time.Since(start) < 5*time.Second; <-tick.C {
				server.Do("SCRIPT", "FLUSH")
			}
		})
		b.end(func() {})
		b.finish()
		if flushes, missing := server.Calls("script|flush"), server.Errors("NOSCRIPT"); flushes < 1000 || missing < 50 {
			b.lacks("the scripts were flushed %d times, and missing %d times: too few for a proof", flushes, missing)
		} else {
			t.Logf("the scripts were flushed %d times, and missing %d times", flushes, missing)
		}
		return b, wants{Slowest: budget, Stays: true, Ledger: server}
	})
}
