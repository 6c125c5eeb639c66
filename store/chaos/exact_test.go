package chaos_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/redisstore"
)

// TestExact: decisions are exact, with a clock of Redis that the test moves.
func TestExact(t *testing.T) {
	server := chaos.StartServer(t)
	for _, row := range []struct {
		name string
		test func(t *testing.T, backend *redisstore.Store, clock *chaos.Clock)
	}{
		{"100,000/s, burst 2, clock frozen", func(t *testing.T, backend *redisstore.Store, _ *chaos.Clock) {
			p, n := policyOf(t, ratelimit.PerSecond(100_000).WithBurst(2)), 0
			for range 500 {
				if take(t, backend, "frozen", p, 1).Allowed {
					n++
				}
			}
			wantInt(t, n, 2)
		}},
		{"3/s for 1e9 simulated seconds", func(t *testing.T, backend *redisstore.Store, clock *chaos.Clock) {
			p := policyOf(t, ratelimit.PerSecond(3).WithBurst(3_000_000))
			admitted, start, costs := int64(0), clock.Now(), 0
			for cost := 3_000_000; clock.Now()-start < 1e15; cost = 900_001 + costs*37%1000 {
				d := take(t, backend, "drift", p, cost)
				if !d.Allowed {
					clock.Advance(p[0].RetryAfter(d.Debts[0], cost))
					if d = take(t, backend, "drift", p, cost); !d.Allowed {
						t.Fatalf("after its wait a call got %+v", d)
					}
				}
				admitted += int64(cost)
				costs++
			}
			admitted += int64(p[0].Remaining(take(t, backend, "drift", p, 0).Debts[0]))
			if exact := 3_000_000 + 3*(clock.Now()-start)/1_000_000; admitted != exact || costs < 3000 {
				t.Errorf("%d tokens in %d µs, in %d calls; want %d", admitted, clock.Now()-start, costs, exact)
			}
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			clock, client := newClock(t), patientClient(t, server)
			clock.Steer(client)
			row.test(t, newStore(t, client, redisstore.Config{}), clock)
		})
	}
}

// TestRemaining: over 45,150 calls Remaining is exact.
func TestRemaining(t *testing.T) {
	server := chaos.StartServer(t)
	backend := patientStore(t, server)
	var calls, next atomic.Int64
	var callers sync.WaitGroup
	for range 32 {
		callers.Go(func() {
			for n := int(next.Add(1)); n <= 300; n = int(next.Add(1)) {
				l, err := ratelimit.New(backend, ratelimit.PerDay(n), ratelimit.Config{Timeout: patience})
				if err != nil {
					t.Error(err)
					return
				}
				for left := n - 1; left >= 0; left-- {
					calls.Add(1)
					if r := ask(t, l, fmt.Sprint("remaining ", n), 1); !r.Allowed || r.Remaining() != left {
						t.Errorf("at %d per day call %d got allowed=%v with %d remaining; want %d", n, n-left, r.Allowed, r.Remaining(), left)
						return
					}
				}
			}
		})
	}
	callers.Wait()
	wantInt(t, int(calls.Load()), 45_150)
}
