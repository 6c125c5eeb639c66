package chaos_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/redisstore"
)

// TestFaultBadLine: the network to Redis is bad. No call takes longer than its budget, and
// none is charged twice.
func TestFaultBadLine(t *testing.T) {
	for _, c := range []struct {
		name     string
		client   func(t testing.TB, addr string) redis.UniversalClient
		begin    func(*chaos.Proxy)
		end      func(*chaos.Proxy)
		witness  func(b *bout, p *chaos.Proxy)
		switches bool // Redis counts as down
	}{
		{
			name: "latency of 30 ms, and a pool of 2", client: twoConnections,
			begin:   func(p *chaos.Proxy) { p.Delay(15 * time.Millisecond) },
			end:     func(p *chaos.Proxy) { p.Delay(0) },
			witness: func(b *bout, _ *chaos.Proxy) { b.wantTrips(30 * time.Millisecond) },
		},
		{
			name:    "latency of 150 ms",
			begin:   func(p *chaos.Proxy) { p.Delay(75 * time.Millisecond) },
			end:     func(p *chaos.Proxy) { p.Delay(0) },
			witness: func(b *bout, _ *chaos.Proxy) { b.wantTrips(store.DefaultTimeout) }, switches: true,
		},
		{
			name:  "one byte, and then a reset",
			begin: func(p *chaos.Proxy) { p.Reset(1) },
			end:   func(p *chaos.Proxy) { p.Reset(0) },
			witness: func(b *bout, p *chaos.Proxy) {
				if n := p.Resets(); n < 10 {
					b.lacks("%d connections were reset; want 10", n)
				}
			},
			switches: true,
		},
		{
			name:    "one reply in three is lost",
			begin:   func(p *chaos.Proxy) { p.Lose(0, 3) },
			end:     func(p *chaos.Proxy) { p.Lose(0, 0) },
			witness: func(b *bout, p *chaos.Proxy) { b.wantLost(p) },
		},
		{
			name:    "1 KB a second",
			begin:   func(p *chaos.Proxy) { p.Throttle(1 << 10) },
			end:     func(p *chaos.Proxy) { p.Throttle(0) },
			witness: func(b *bout, _ *chaos.Proxy) { b.wantTrips(store.DefaultTimeout) }, switches: true,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			inPeace(t, func(t *testing.T) (*bout, wants) {
				server := chaos.StartServer(t)
				proxy := chaos.StartProxy(t, server.Addr, 1)
				config := chainConfig{At: proxy}
				if c.client != nil {
					config.Client = c.client(t, proxy.Addr)
				}
				b := startBout(t, "13", c.name, config)
				b.begin(func() { c.begin(proxy) })
				time.Sleep(3 * time.Second)
				c.witness(b, proxy)
				b.end(func() { c.end(proxy) })
				b.finish()
				w := wants{Slowest: budget, Back: 2 * time.Second, Goroutines: 50, Ledger: server}
				if c.switches {
					w.Local, w.Classes = 100*time.Millisecond, []string{store.ClassTimeout, redisstore.ClassLost, redisstore.ClassConnect}
				}
				return b, w
			})
		})
	}
}

// wantTrips checks that the line was slow: no trip during the fault was quicker.
func (b *bout) wantTrips(least time.Duration) {
	quick := b.chain.tap.count(func(one trip) bool {
		return one.sent.After(b.fault) && one.class == "" && one.came.Sub(one.sent) < least
	})
	if all := b.chain.tap.count(func(one trip) bool { return one.sent.After(b.fault) }); quick > 0 || all < 3 {
		b.lacks("of %d trips %d took less than %v; want none of 3 at least", all, quick, least)
	}
}

// wantLost checks that replies were lost.
func (b *bout) wantLost(p *chaos.Proxy) {
	if _, replies := p.Lost(); replies < 10 {
		b.lacks("%d replies were lost; want 10", replies)
	}
}

// twoConnections returns a client with the usual options but a pool of two.
func twoConnections(t testing.TB, addr string) redis.UniversalClient {
	t.Helper()
	const d = store.DefaultTimeout
	client := redis.NewClient(&redis.Options{
		Addr: addr, ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1, PoolSize: 2, MaxActiveConns: 2, MinIdleConns: 2,
		ReadTimeout: d, WriteTimeout: d, DialTimeout: d, PoolTimeout: d,
	})
	t.Cleanup(func() { _ = client.Close() })
	return client
}
