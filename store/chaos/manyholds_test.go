package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
)

// TestManyHolds: 1,000 callers hold and settle for 100 keys. At no instant is more spent and
// held than the limits permit. At the end nothing is held, and what was charged is the sum of
// the prices, to the token.
func TestManyHolds(t *testing.T) {
	const callers, keys = 1000, 100
	seed := seedOf(t)
	rounds := full(50, 1000) // of each caller
	server := chaos.StartServer(t)
	backend := patientStore(t, server)
	// Of even keys calls at once are scarce, of odd ones tokens.
	wide := policyOf(t, ratelimit.PerHour(1).WithBurst(8*callers/keys*rounds), calls(6))
	tight := policyOf(t, ratelimit.PerHour(1).WithBurst(40), calls(1000))
	type bucket struct {
		limits       []store.Limit
		out, running atomic.Int64 // held: tokens and calls
		spent, late  atomic.Int64 // prices, and what was held where the hold had ended by itself
		held, denied atomic.Int64 // answers
	}
	buckets := make([]bucket, keys)
	for i := range buckets {
		buckets[i].limits = [][]store.Limit{wide, tight}[i%2]
	}
	start := time.Now()
	var all sync.WaitGroup
	for caller := range callers {
		all.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(caller)))
			key := fmt.Sprint("key ", caller%keys)
			b := &buckets[caller%keys]
			burst, most := b.limits[0].Burst(), b.limits[1].Burst()
			for round := range rounds {
				n := 1 + random.IntN(7)
				l, err := hold(t.Context(), backend, key, b.limits, n, patience)
				if err != nil {
					t.Error(err)
					return
				}
				if d := l.decision; d.Held[0] > b.limits[0].Remaining(d.Debts[0]) || d.Held[1] > most {
					t.Errorf("%s: %d tokens are held with %d spent, and %d calls are running; the limits are %d and %d", key, d.Held[0], owed(d, 0), d.Held[1], burst, most)
				}
				if !l.decision.Allowed {
					b.denied.Add(1)
					continue
				}
				b.held.Add(1)
				if out, running := b.out.Add(int64(n)), b.running.Add(1); out+b.spent.Load() > int64(burst) || running > int64(most) {
					t.Errorf("%s: %d tokens are out with %d spent, and %d calls are running; the limits are %d and %d", key, out, b.spent.Load(), running, burst, most)
				}
				price := random.IntN(n + 1)
				if caller%2 == 1 && round != caller/keys { // little is spent, so that there is room to the end
					price = 0
				}
				b.running.Add(-1)
				b.out.Add(int64(-n))
				if err := l.settle(t.Context(), backend, price, patience); err != nil || l.Lost > 0 {
					t.Errorf("a settlement lost %d, %v", l.Lost, err)
				}
				b.spent.Add(int64(price))
				if time.Since(l.sent) > shortHold*95/100 {
					b.late.Add(int64(n - price))
				}
			}
		})
	}
	all.Wait()
	took := time.Since(start)
	var held, denied, late int64
	for i := range buckets {
		b := &buckets[i]
		d := take(t, backend, fmt.Sprint("key ", i), b.limits, 0)
		if d.Held != [store.MaxLimits]int{} {
			t.Errorf("key %d: %v are held at the end", i, d.Held[:2])
		}
		if n, spent := int64(owed(d, 0)), b.spent.Load(); n < spent || n > spent+b.late.Load() || spent == 0 {
			t.Errorf("key %d: %d tokens were charged, for prices of %d", i, n, spent)
		}
		if b.denied.Load() == 0 || b.held.Load() < int64(rounds) {
			t.Errorf("key %d: %d holds and %d denials: too few for a proof", i, b.held.Load(), b.denied.Load())
		}
		held, denied, late = held+b.held.Load(), denied+b.denied.Load(), late+b.late.Load()
	}
	t.Logf("%d holds and %d denials in %v, %.0f calls/s, in %s s of Redis' CPU; %d tokens were held for too long", held, denied, took.Round(time.Millisecond), float64(2*held+denied)/took.Seconds(), server.Info("used_cpu_user"), late)
}
