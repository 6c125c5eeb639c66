package chaos_test

import (
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/redisstore"
)

// TestFaultLoading: Redis restarts and reads its data for seconds.
func TestFaultLoading(t *testing.T) {
	t.Parallel()
	inPeace(t, func(t *testing.T) (*bout, wants) {
		server := chaos.StartServer(t)
		fill(server)
		b := startBout(t, "12", "restarted, reads its data for 2 s", chainConfig{At: server})
		b.begin(func() {
			b.lose(func() {
				server.Do("SAVE")
				server.Kill()
			})
			restartLoading(server)
		})
		time.Sleep(500 * time.Millisecond)
		b.wantNamed(redisstore.ClassLoading)
		b.end(func() { untilLoaded(t, server) })
		b.finish()
		return b, wants{
			Slowest: budget, Local: 100 * time.Millisecond, Back: 2 * time.Second, Goroutines: 50, Ledger: server,
			Classes: []string{redisstore.ClassConnect, redisstore.ClassLost, redisstore.ClassLoading},
		}
	})
}

// fill stores data that a server reads when it restarts.
func fill(server *chaos.Server) {
	for i := range 2000 {
		server.Do("SET", i, strings.Repeat("v", 300))
	}
	server.Do("CONFIG", "SET", "rdbcompression", "no") // it serves clients after so many bytes
	server.Do("SAVE")
}

// restartLoading restarts a server after fill. Loading takes a millisecond for each key, and
// Redis serves clients after each kilobyte.
func restartLoading(server *chaos.Server) {
	server.Restart("--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024")
}

// untilLoaded waits until a server has read its data.
func untilLoaded(t testing.TB, server *chaos.Server) {
	t.Helper()
	if _, err := server.Try("DBSIZE"); err == nil || !strings.HasPrefix(err.Error(), "LOADING") {
		t.Errorf("Redis says %v; want that it is loading", err)
	}
	chaos.Until(t, 20*time.Second, "Redis has read its data", func() bool {
		_, err := server.Try("DBSIZE")
		return err == nil
	})
	if n := server.Errors("LOADING"); n < 10 {
		t.Errorf("Redis has said that it is loading %d times; want 10", n)
	}
}

// cutAll closes all connections to a server, every 20 ms, and returns their number.
func cutAll(server *chaos.Server, during time.Duration) (cut int) {
	for start := time.Now(); time.Since(start) < during; time.Sleep(20 * time.Millisecond) {
		n, _ := server.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").(int64)
		cut += int(n)
	}
	return cut
}

// TestFaultConnectionsCut: another client closes all connections, every 20 ms.
func TestFaultConnectionsCut(t *testing.T) {
	t.Parallel()
	inPeace(t, func(t *testing.T) (*bout, wants) {
		server := chaos.StartServer(t)
		proxy := chaos.StartProxy(t, server.Addr, 1)
		proxy.Delay(2 * time.Millisecond) // so that some calls are under way at any time
		b := startBout(t, "12", "CLIENT KILL every 20 ms", chainConfig{At: proxy})
		cut := 0
		b.begin(func() { cut = cutAll(server, 4*time.Second) })
		b.end(func() {})
		b.finish()
		lost := b.chain.tap.count(func(one trip) bool { return one.class == redisstore.ClassLost })
		t.Logf("%d connections were cut, and %d calls lost with them", cut, lost)
		// NewClient keeps no idle connections: only a call makes one that can be closed.
		if cut < 20 || lost == 0 {
			b.lacks("%d connections were cut, and %d calls lost with them: too few for a proof", cut, lost)
		}
		for _, class := range named(b.chain.transitions()) {
			if class != redisstore.ClassLost && class != redisstore.ClassConnect && class != store.ClassTimeout {
				b.lacks("OnChange named the class %q", class)
			}
		}
		// The next call usually succeeds, so OnChange may not be called at all.
		return b, wants{Slowest: budget, Back: 2 * time.Second, Goroutines: 50, Ledger: server}
	})
}
