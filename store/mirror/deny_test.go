package mirror_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror"
	"github.com/keyrate/keyrate/store/storetest"
)

// TestDeniesOnlyWhatTheSharedStoreWould: three nodes, trips of any length, clocks that tick
// at different moments. Whenever a node denies a request without asking, the test asks the
// shared store at the same instant: it must have no room either, and its debts must not be
// smaller than those of the denial.
func TestDeniesOnlyWhatTheSharedStoreWould(t *testing.T) {
	seed, err := storetest.Seed()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("KEYRATE_SEED=%#x", seed)
	histories := testkit.Count(8, 40)
	asked, own := 0, 0
	for i := range histories {
		synctest.Test(t, func(t *testing.T) {
			a, o := denyAlone(t, rand.New(rand.NewPCG(seed, uint64(i))))
			asked, own = asked+a, own+o
		})
	}
	t.Logf("%d requests asked the shared store, %d were denied without it", asked, own)
	if own < 25*histories || asked < 25*histories {
		t.Errorf("%d requests asked the shared store and %d were denied without it; want at least %d of each", asked, own, 25*histories)
	}
}

func denyAlone(t *testing.T, random *rand.Rand) (asked, own int) {
	shared := newFaulty()
	policies := [][]store.Limit{
		policy(t, ratelimit.PerSecond(5)),
		policy(t, ratelimit.PerSecond(3).WithBurst(4).Named("third")),
		policy(t, ratelimit.PerSecond(700).WithBurst(7).Named("quick"), ratelimit.PerMinute(70).Named("slow")),
		policy(t, ratelimit.PerMinute(70).Named("slow")),
		policy(t, ratelimit.PerSecond(20).WithBurst(5).Named("x"), ratelimit.PerMinute(70).Named("slow"), ratelimit.PerSecond(5)),
		policy(t, ratelimit.PerHour(7200).WithBurst(20).Named("y"), ratelimit.PerSecond(20).WithBurst(5).Named("x"), ratelimit.PerSecond(3).WithBurst(4).Named("third"), ratelimit.PerMinute(70).Named("slow")),
	}
	var mu sync.Mutex
	chance := func(n int64) int64 { // for many goroutines
		mu.Lock()
		defer mu.Unlock()
		return random.Int64N(n)
	}
	longest := 1 + chance([]int64{10, 1000, 100_000, int64(20 * time.Millisecond)}[chance(4)])
	shared.trip = func() time.Duration { return time.Duration(chance(longest)) }
	var wg sync.WaitGroup
	for range 3 {
		time.Sleep(time.Duration(chance(10_000))) // so that the clocks of the nodes tick apart
		node := newMirror(t, shared, mirror.Config{Nodes: 3})
		for range 3 {
			wg.Go(func() {
				for range 150 {
					time.Sleep(time.Duration(chance([]int64{1, 1000, 100_000, 10_000_000, 400_000_000}[chance(5)])))
					r := store.Request{Key: "key", Limits: policies[chance(int64(len(policies)))], Timeout: time.Second}
					r.Cost = int(chance(4))
					sent := false
					d, err := node.Take(context.WithValue(t.Context(), askedKey{}, &sent), r)
					if err != nil {
						t.Errorf("Take returned an error: %v", err)
						return
					}
					mu.Lock()
					if sent {
						asked++
					} else {
						own++
					}
					mu.Unlock()
					if sent {
						continue
					}
					if d.Allowed {
						t.Error("a request was admitted without the shared store")
					}
					truth, _ := shared.store.Take(t.Context(), store.Request{Key: shared.key("key"), Limits: r.Limits})
					room := true
					for i := range r.Limits {
						b := &r.Limits[i]
						room = room && b.RetryAfter(truth.Debts[i], r.Cost) == 0
						if truth.Debts[i].Less(d.Debts[i]) {
							t.Errorf("the debt of %v was reported as %v, but it is %v", b.Name, d.Debts[i], truth.Debts[i])
						}
					}
					if room {
						t.Errorf("a request of cost %d was denied, but the shared store would have admitted it, with the debts %v", r.Cost, truth.Debts)
					}
				}
			})
		}
	}
	wg.Wait()
	return asked, own
}

// TestDenialsCostTheSharedStoreNothing: of a key over its limit, one request a second asks,
// and those that may be admitted.
func TestDenialsCostTheSharedStoreNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		s := newMirror(t, shared, mirror.Config{})
		p := policy(t, ratelimit.PerMinute(6).WithBurst(2))
		admitted, _ := offer(t, s, p, time.Millisecond, time.Minute)
		if admitted != 2+5 { // one every 10 s; the minute ends before the last
			t.Errorf("%d requests were admitted; want 7", admitted)
		}
		if n := shared.asked.Load(); n > 60+7 {
			t.Errorf("the shared store was asked %d times in a minute for 60000 requests; want 67 at most", n)
		}
	})
}
