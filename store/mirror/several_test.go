package mirror_test

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
	"github.com/keyrate/keyrate/store/mirror"
	"github.com/keyrate/keyrate/store/storetest"
)

// fourLimits have tokens of whole microseconds, and different refill times.
var fourLimits = []ratelimit.Limit{
	ratelimit.PerSecond(10),
	ratelimit.PerMinute(120).WithBurst(30).Named("minute"),
	ratelimit.PerHour(3600).WithBurst(50).Named("hour"),
	ratelimit.PerDay(8640).WithBurst(80).Named("day"),
}

// severalLimits returns policies of two to four of them, in any order.
func severalLimits(t *testing.T, random *rand.Rand, n int) (policies [][]store.Limit) {
	for range n {
		var limits []ratelimit.Limit
		for _, i := range random.Perm(len(fourLimits))[:2+random.IntN(3)] {
			limits = append(limits, fourLimits[i])
		}
		policies = append(policies, policy(t, limits...))
	}
	return policies
}

// TestSeveralLimitsTogether: one node, whose shared store goes down and comes back, decides
// two to four limits exactly as one store would that is never down: all limits admit, or none
// is charged. So the node hands over what it knows of each limit and what it admitted alone.
func TestSeveralLimitsTogether(t *testing.T) {
	seed, err := storetest.Seed()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("KEYRATE_SEED=%#x", seed)
	histories := testkit.Count(60, 200)
	of := map[store.Source]int{}
	denied := map[string]int{} // by the name of the limit
	for i := range uint64(histories) {
		synctest.Test(t, func(t *testing.T) { together(t, rand.New(rand.NewPCG(seed, i)), of, denied) })
		if t.Failed() {
			t.Fatalf("history %d", i)
		}
	}
	t.Logf("decided by: %v; denied by: %v", of, denied)
	for _, source := range []store.Source{store.FromStore, store.FromKnowledge, store.FromShare} {
		if of[source] < 5*histories {
			t.Errorf("%d decisions had the source %v; want at least %d", of[source], source, 5*histories)
		}
	}
	for _, l := range policy(t, fourLimits...) {
		if denied[l.Name] < histories/2 {
			t.Errorf("%d requests were denied by %v; want at least %d", denied[l.Name], l, histories/2)
		}
	}
}

func together(t *testing.T, random *rand.Rand, of map[store.Source]int, denied map[string]int) {
	shared, truth := newFaulty(), memstore.New(memstore.Config{})
	s := newMirror(t, shared, mirror.Config{})
	policies := severalLimits(t, random, 3)
	for range 200 {
		if random.IntN(25) == 0 {
			shared.down()
		} else if random.IntN(15) == 0 {
			shared.up()
		}
		time.Sleep(time.Duration(random.IntN([]int{1, 30, 300, 3000}[random.IntN(4)])) * time.Millisecond)
		p, cost := policies[random.IntN(len(policies))], random.IntN(5)
		d := take(t, s, "key", p, cost)
		want := take(t, truth, "key", p, cost)
		check(t, p, cost, d)
		of[d.Source]++
		if d.Allowed != want.Allowed {
			t.Errorf("a cost of %d under %v: %v by %v, with the debts %v; the one store: %v, %v", cost, p, d.Allowed, d.Source, d.Debts, want.Allowed, want.Debts)
			return
		}
		for i := range p {
			if d.Source != store.FromShare && want.Debts[i].Less(d.Debts[i]) || d.Source == store.FromStore && d.Debts[i] != want.Debts[i] {
				t.Errorf("a cost of %d under %v, by %v: the debts are %v, of the one store %v", cost, p, d.Source, d.Debts, want.Debts)
				return
			}
			if !want.Allowed && p[i].RetryAfter(want.Debts[i], cost) > 0 {
				denied[p[i].Name]++
			}
		}
	}
}

// TestSeveralLimitsConcurrently: three nodes on one store decide concurrent requests under
// policies of two to four limits. In the end each limit owes exactly what was admitted under
// the policies that have it: no request was charged in part.
func TestSeveralLimitsConcurrently(t *testing.T) {
	seed, err := storetest.Seed()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("KEYRATE_SEED=%#x", seed)
	for i := range uint64(30) {
		synctest.Test(t, func(t *testing.T) { concurrently(t, rand.New(rand.NewPCG(seed, i))) })
	}
}

func concurrently(t *testing.T, random *rand.Rand) {
	// A token takes half a day or more: none comes back during the test.
	var limits []ratelimit.Limit
	for i, name := range []string{"a", "b", "c", "d"} {
		limits = append(limits, ratelimit.PerDay(1+i%2).WithBurst(40+random.IntN(100)).Named(name))
	}
	var policies [][]store.Limit
	for range 4 {
		var some []ratelimit.Limit
		for _, i := range random.Perm(len(limits))[:2+random.IntN(3)] {
			some = append(some, limits[i])
		}
		policies = append(policies, policy(t, some...))
	}
	shared := newFaulty()
	shared.trip = func() time.Duration { return rand.N(3 * time.Millisecond) }
	var mu sync.Mutex
	admitted := map[string]int{}
	denied := 0
	var wg sync.WaitGroup
	for range 3 {
		node := newMirror(t, shared, mirror.Config{Nodes: 3})
		for range 4 {
			wg.Go(func() {
				for range 50 {
					p, cost := policies[rand.IntN(len(policies))], 1+rand.IntN(3)
					d, err := node.Take(t.Context(), store.Request{Key: "key", Limits: p, Cost: cost, Timeout: time.Second})
					if err != nil {
						t.Error(err)
						return
					}
					check(t, p, cost, d)
					mu.Lock()
					if !d.Allowed {
						denied++
					}
					for _, l := range p {
						if d.Allowed {
							admitted[l.Name] += cost
						}
					}
					mu.Unlock()
					time.Sleep(rand.N(5 * time.Millisecond))
				}
			})
		}
	}
	wg.Wait()
	full := false
	for _, l := range limits {
		p := policy(t, l)
		d, err := shared.store.Take(t.Context(), store.Request{Key: shared.key("key"), Limits: p})
		if err != nil {
			t.Fatal(err)
		}
		token, _ := p[0].Cost(1)
		owes := int((d.Debts[0].Micros + token.Micros - 1) / token.Micros)
		if used := slices.ContainsFunc(policies, func(p []store.Limit) bool {
			return slices.ContainsFunc(p, func(x store.Limit) bool { return x.Name == l.Name })
		}); used && owes != admitted[l.Name] || owes > l.Burst {
			t.Errorf("%v owes %d tokens, and %d were admitted under it", l, owes, admitted[l.Name])
		}
		full = full || owes > l.Burst-3
	}
	if !full || denied < 10 {
		t.Errorf("%d requests were denied; want at least 10, and a limit that is used up", denied)
	}
}
