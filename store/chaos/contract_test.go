package chaos_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/redisstore"
	"github.com/keyrate/keyrate/store/storetest"
)

// The whole contract on each kind of set-up. The scripts run on real servers, with a clock
// that the suite moves.
func TestContractStandalone(t *testing.T) { contract(t, chaos.StartServer(t)) }

func TestContractSentinel(t *testing.T) { contract(t, chaos.StartSentinel(t)) }

func TestContractCluster(t *testing.T) { contract(t, chaos.StartCluster(t)) }

var stores atomic.Int64

func contract(t *testing.T, at any) {
	t.Run("steered clock", func(t *testing.T) {
		var clock *chaos.Clock
		storetest.Run(t, storetest.Harness{
			New: func(t *testing.T) store.Store {
				clock = newClock(t)
				client := patientClient(t, at)
				clock.Steer(client)
				return newStore(t, client, redisstore.Config{Prefix: fmt.Sprintf("contract%d", stores.Add(1))})
			},
			Advance: func(_ *testing.T, d time.Duration) { clock.Advance(d) },
			SetBack: func(_ *testing.T, d time.Duration) { clock.Advance(-d) },

			BriefReset: true,
		})
	})
	t.Run("real clock", func(t *testing.T) { realClock(t, patientStore(t, at)) })
}

// realClock checks the part of the contract that is visible in real time: with the
// unchanged scripts, and keys that expire.
func realClock(t *testing.T, backend store.Store) {
	if err := store.Probe(t.Context(), backend, "", patience); err != nil {
		t.Errorf("Prove returned %v", err)
	}
	for _, limit := range []ratelimit.Limit{
		ratelimit.PerSecond(10), ratelimit.PerSecond(3).WithBurst(2), {Rate: 7, Period: 900 * time.Millisecond, Burst: 3}, {Rate: 1, Period: 190 * time.Millisecond},
	} {
		t.Run(limit.String(), func(t *testing.T) {
			t.Parallel()
			p, key := policyOf(t, limit), "real "+limit.String()
			burst := p[0].Burst()
			windows := newWindows(limit)
			for range 2 { // from full to empty, and full again
				for i := range burst {
					d := take(t, backend, key, p, 1)
					if !d.Allowed {
						t.Fatalf("call %d of a burst of %d was denied", i+1, burst)
					}
					windows.add(d.Now, 1)
				}
				for range 4 { // a caller waits as long as the debt says, and is admitted
					d := take(t, backend, key, p, 1)
					wait := p[0].RetryAfter(d.Debts[0], 1)
					if d.Allowed {
						windows.add(d.Now, 1)
						continue
					}
					time.Sleep(wait)
					if d = take(t, backend, key, p, 1); !d.Allowed {
						t.Fatalf("denied after the wait of %v that follows from the debt; the debt is %v", wait, d.Debts[0])
					}
					windows.add(d.Now, 1)
				}
				d := take(t, backend, key, p, 0)
				time.Sleep(d.Debts[0].Duration() + 2*time.Millisecond)
				if d = take(t, backend, key, p, 0); d.Debts[0] != (gcra.Debt{}) {
					t.Errorf("after the refill the debt is %v", d.Debts[0])
				}
			}
			windows.check(t, key)
		})
	}
}

// take asks for a decision and fails the test on an error.
func take(t testing.TB, backend store.Store, key string, p []store.Limit, cost int) store.Decision {
	t.Helper()
	d, err := backend.Take(t.Context(), store.Request{Key: key, Limits: p, Cost: cost, Timeout: patience})
	if err != nil {
		t.Errorf("Take returned an error: %v", err)
	}
	return d
}

// tryTake is take with the default timeout, and returns the error.
func tryTake(ctx context.Context, backend store.Store, key string, p []store.Limit, cost int) (store.Decision, error) {
	return backend.Take(ctx, store.Request{Key: key, Limits: p, Cost: cost, Timeout: store.DefaultTimeout})
}
