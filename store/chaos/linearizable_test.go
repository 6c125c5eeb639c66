package chaos_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
)

const (
	linearClients   = 16
	linearCalls     = 8 // of each client in a history
	linearKeys      = 2
	linearHistories = 60
)

// forever is the end of a call whose answer was lost: it may be executed at any time.
const forever = math.MaxInt64 / 2

// linearTimeout is how long a caller waits for an answer, on a machine that does not
// stall.
const linearTimeout = 20 * time.Millisecond

// linearCheck is how long the search for an order may take.
const linearCheck = 10 * time.Second

// linearLost is how many answers of a history may be lost. The network loses about seven.
const linearLost = 32

// linearSpoilt is how many histories a stall may spoil: with many answers lost there are too
// many orders to try.
const linearSpoilt = 30

// TestLinearizable: two nodes with eight callers each decide on the same keys at once, over
// a network that loses requests and answers. Every history can be explained by one bucket
// that decided the calls one after the other; a lost call counts once or not at all.
func TestLinearizable(t *testing.T) {
	seed := seedOf(t)
	server := chaos.StartServer(t)
	proxy := chaos.StartProxy(t, server.Addr, seed)
	nodes := []store.Store{patientStore(t, proxy), patientStore(t, proxy)}
	proxy.Lose(40, 40)
	stalls := testkit.WatchStalls(t)
	total, decided, spoilt := linearCounts{}, 0, 0
	for i := uint64(0); decided < linearHistories; i++ {
		start := time.Now()
		history, counts := linearHistory(t, seed, i, nodes, stalls)
		total.add(counts)
		if stalled := stalls.Worst(start, time.Now()); counts.lost > linearLost && stalled > linearTimeout/2 && spoilt < linearSpoilt {
			t.Logf("history %d lost %d calls, and the machine stalled for %v; one more", i, counts.lost, stalled)
			spoilt++
			continue
		}
		// An undecided history is a failure, unless the machine stalled.
		result := porcupine.CheckOperationsTimeout(bucketModel, history, chaos.Patience(linearCheck))
		if stalled := stalls.Worst(start, time.Now()); result == porcupine.Unknown && stalled > linearTimeout/2 && spoilt < linearSpoilt {
			t.Logf("history %d lost %d calls and was not decided, and the machine stalled for %v; one more", i, counts.lost, stalled)
			spoilt++
			continue
		}
		if result != porcupine.Ok {
			t.Fatalf("KEYRATE_SEED=%#x, history %d is not linearizable (%s):\n%s", seed, i, result, inOrder(history))
		}
		decided++
	}
	requests, replies := proxy.Lost()
	t.Logf("%d histories: %+v; the network lost %d requests and %d answers", linearHistories, total, requests, replies)
	if requests < 20 || replies < 20 || total.lost < 40 || total.admitted < 1000 || total.denied < 500 {
		t.Error("too few calls of some kind for a proof")
	}
	if calls := server.Calls("evalsha") + server.Calls("eval"); calls >= total.admitted+total.denied {
		t.Errorf("%d scripts for %d answers: no batch was shared", calls, total.admitted+total.denied)
	}
}

// TestLinearizableFindsOut is the control: the same test finds stores that are not atomic,
// or answer falsely.
func TestLinearizableFindsOut(t *testing.T) {
	for _, control := range []struct {
		name  string
		lossy bool
		store func(t *testing.T, p *chaos.Proxy) store.Store
	}{
		{"read, decide, write", false, func(t *testing.T, p *chaos.Proxy) store.Store { return readThenWrite{newClient(t, p.URL())} }},
		{"asks again", true, func(t *testing.T, p *chaos.Proxy) store.Store { return retrying{storeAt(t, p)} }},
		{"admits all", false, func(*testing.T, *chaos.Proxy) store.Store { return admitsAll{} }},
		{"denies all", false, func(*testing.T, *chaos.Proxy) store.Store { return deniesAll{} }},
	} {
		t.Run(control.name, func(t *testing.T) {
			seed := seedOf(t)
			proxy := chaos.StartProxy(t, chaos.StartServer(t).Addr, seed)
			nodes := []store.Store{control.store(t, proxy), control.store(t, proxy)}
			if control.lossy {
				proxy.Lose(40, 10)
			}
			stalls := testkit.WatchStalls(t)
			for i := range uint64(linearHistories) {
				history, _ := linearHistory(t, seed, i, nodes, stalls)
				if porcupine.CheckOperationsTimeout(bucketModel, history, chaos.Patience(linearCheck)) == porcupine.Illegal {
					t.Logf("found in history %d", i)
					return
				}
			}
			t.Errorf("not found in %d histories", linearHistories)
		})
	}
}

type linearCounts struct{ admitted, denied, lost int }

func (c *linearCounts) add(d linearCounts) {
	c.admitted += d.admitted
	c.denied += d.denied
	c.lost += d.lost
}

// linearHistory makes the callers call, on new keys, and returns the calls and answers.
func linearHistory(t *testing.T, seed, number uint64, nodes []store.Store, stalls *testkit.Stalls) ([]porcupine.Operation, linearCounts) {
	t.Helper()
	p := policyOf(t, historyLimit)
	start := time.Now()
	var mu sync.Mutex
	var history []porcupine.Operation
	var counts linearCounts
	call := func(client int, o op) (answered bool) {
		before := time.Since(start)
		timeout := stalls.Widen(chaos.Patience(linearTimeout), time.Now().Add(-time.Second))
		d, err := nodes[client%len(nodes)].Take(t.Context(), store.Request{Key: o.key, Limits: p, Cost: o.cost, Timeout: min(timeout, time.Second)})
		after := time.Since(start)
		mu.Lock()
		defer mu.Unlock()
		operation := porcupine.Operation{ClientId: client, Input: o, Call: int64(before), Output: outcome{decision: d}, Return: int64(after)}
		switch {
		case err != nil:
			counts.lost++
			operation.Output, operation.Return = outcome{lost: true}, forever
		case d.Allowed:
			counts.admitted++
		default:
			counts.denied++
		}
		history = append(history, operation)
		return err == nil
	}
	keys := make([]string, linearKeys)
	for i := range keys {
		// The model needs the bucket's TAT, from the first answer, before a call may be lost.
		// A key whose first call was lost is not used.
		for attempt := 0; ; attempt++ {
			keys[i] = fmt.Sprintf("history %d, key %d, attempt %d", number, i, attempt)
			if call(0, op{keys[i], 1}) {
				break
			}
			counts.lost--
			history = history[:len(history)-1]
			if attempt > 100 {
				t.Fatal("no first call is answered")
			}
		}
	}
	var clients sync.WaitGroup
	for client := range linearClients {
		clients.Go(func() {
			random := rand.New(rand.NewPCG(seed, number<<8|uint64(client)))
			for range linearCalls {
				call(client, op{keys[random.IntN(linearKeys)], random.IntN(4)})
			}
		})
	}
	clients.Wait()
	return history, counts
}

// inOrder returns a history as text, in the order of the calls.
func inOrder(history []porcupine.Operation) string {
	slices.SortFunc(history, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
	text := ""
	for _, o := range history {
		text += fmt.Sprintf("%12d %12d client %2d %+v %+v\n", o.Call, o.Return, o.ClientId, o.Input, o.Output)
	}
	return text
}
