package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
)

// holdHistories is how many histories with holds are decided.
const holdHistories = 25

// TestLinearizableHolds is TestLinearizable with holds, renewals and settlements. A call whose
// answer was lost counts once or not at all.
func TestLinearizableHolds(t *testing.T) {
	seed := seedOf(t)
	proxy := chaos.StartProxy(t, chaos.StartServer(t).Addr, seed)
	nodes := []store.Store{patientStore(t, proxy), patientStore(t, proxy)}
	proxy.Lose(60, 40)
	stalls := testkit.WatchStalls(t)
	total, lost, decided, spoilt := map[string]int{}, 0, 0, 0
	for i := uint64(0); decided < holdHistories; i++ {
		start := time.Now()
		history, counts, missing := holdHistory(t, seed, i, nodes, stalls)
		// A hold that outlives a history is settled by none of its calls, but may end in it.
		if took := time.Since(start); took > shortHold*95/100 && spoilt < linearSpoilt {
			t.Logf("history %d took %v; one more", i, took)
			spoilt++
			continue
		}
		result := porcupine.CheckOperationsTimeout(holdModel, history, chaos.Patience(linearCheck))
		if result == porcupine.Unknown && spoilt < linearSpoilt { // too many orders, with many answers lost
			t.Logf("history %d lost %d calls and was not decided; one more", i, missing)
			spoilt++
			continue
		}
		if result != porcupine.Ok {
			t.Fatalf("KEYRATE_SEED=%#x, history %d is not linearizable (%s):\n%s", seed, i, result, inOrder(history))
		}
		for kind, n := range counts {
			total[kind] += n
		}
		lost += missing
		decided++
	}
	t.Logf("%d histories: %v; %d answers were lost", holdHistories, total, lost)
	if total["hold"] < 300 || total["denied"] < 60 || total["settle"] < 120 || total["renew"] < 30 || total["take"] < 100 || lost < 30 {
		t.Error("too few calls of some kind for a proof")
	}
}

// TestLinearizableHoldsFindsOut is the control: a store that settles again without an answer.
func TestLinearizableHoldsFindsOut(t *testing.T) {
	seed := seedOf(t)
	proxy := chaos.StartProxy(t, chaos.StartServer(t).Addr, seed)
	nodes := []store.Store{retryingHolder{patientStore(t, proxy)}}
	proxy.Lose(0, 10)
	stalls := testkit.WatchStalls(t)
	for i := range uint64(holdHistories) {
		history, _, _ := holdHistory(t, seed, i, nodes, stalls)
		if porcupine.CheckOperationsTimeout(holdModel, history, chaos.Patience(linearCheck)) == porcupine.Illegal {
			t.Logf("found in history %d", i)
			return
		}
	}
	t.Errorf("not found in %d histories", holdHistories)
}

// holdHistory makes callers call, on new keys, and returns the calls and answers, and how many
// answers of each kind there were, or were lost.
func holdHistory(t *testing.T, seed, number uint64, nodes []store.Store, stalls *testkit.Stalls) ([]porcupine.Operation, map[string]int, int) {
	t.Helper()
	const callers, calls, keys = 8, 10, 2
	p := policyOf(t, historyLimit)
	start := time.Now()
	var mu sync.Mutex
	var history []porcupine.Operation
	counts, lost := map[string]int{}, 0
	// call performs a call for a hold, which it fills in if it makes one.
	call := func(caller int, o holdOp, l *lent) (answered bool) {
		backend := nodes[caller%len(nodes)]
		timeout := min(stalls.Widen(chaos.Patience(linearTimeout), time.Now().Add(-time.Second)), 500*time.Millisecond)
		before := time.Since(start)
		var err error
		var got holdOutcome
		switch o.kind {
		case "take":
			var d store.Decision
			d, err = backend.Take(t.Context(), store.Request{Key: o.key, Limits: p, Cost: o.n, Timeout: timeout})
			got = holdOutcome{allowed: d.Allowed, now: d.Now, debt: d.Debts[0].Micros, held: d.Held[0]}
		case "hold":
			*l, err = hold(t.Context(), backend, o.key, p, o.n, timeout)
			d := l.decision
			got = holdOutcome{allowed: d.Allowed, now: d.Now, debt: d.Debts[0].Micros, held: d.Held[0], name: l.Names[0]}
		case "settle":
			o.name = l.Names[0]
			err = l.settle(t.Context(), backend, o.price, timeout)
			got = holdOutcome{now: l.Now, debt: l.Debts[0].Micros}
		case "renew":
			o.name = l.Names[0]
			err = l.renew(t.Context(), backend, timeout)
			got = holdOutcome{now: l.Now, debt: l.Debts[0].Micros, name: l.Names[0]}
		}
		after := time.Since(start)
		mu.Lock()
		defer mu.Unlock()
		operation := porcupine.Operation{ClientId: caller, Input: o, Call: int64(before), Output: got, Return: int64(after)}
		switch {
		case err != nil:
			lost++
			operation.Output, operation.Return = holdOutcome{lost: true}, forever
		case o.kind == "hold" && !got.allowed:
			counts["denied"]++
		default:
			counts[o.kind]++
		}
		history = append(history, operation)
		return err == nil
	}
	names := make([]string, keys)
	for i := range names {
		// As in linearHistory: a key whose first call was lost is not used.
		for attempt := 0; ; attempt++ {
			names[i] = fmt.Sprintf("history %d, key %d, attempt %d", number, i, attempt)
			if call(0, holdOp{key: names[i], kind: "take", n: 1}, nil) {
				break
			}
			lost--
			history = history[:len(history)-1]
			if attempt > 100 {
				t.Fatal("no first call is answered")
			}
		}
	}
	var all sync.WaitGroup
	for caller := range callers {
		all.Go(func() {
			random := rand.New(rand.NewPCG(seed, number<<8|uint64(caller)))
			var open []*lent
			for range calls {
				key := names[random.IntN(keys)]
				switch n := random.IntN(8); {
				case n < 4 || len(open) == 0 && n > 4:
					l := new(lent)
					if call(caller, holdOp{key: key, kind: "hold", n: 1 + random.IntN(6)}, l) && l.decision.Allowed {
						open = append(open, l)
					}
				case n == 4:
					call(caller, holdOp{key: key, kind: "take", n: random.IntN(3)}, nil)
				case n == 5:
					l := open[0]
					call(caller, holdOp{key: l.Key, kind: "renew", n: l.Held}, l)
				default:
					l := open[0]
					open = open[1:]
					call(caller, holdOp{key: l.Key, kind: "settle", n: l.Held, price: random.IntN(l.Held + 2)}, l)
				}
			}
		})
	}
	all.Wait()
	return history, counts, lost
}
