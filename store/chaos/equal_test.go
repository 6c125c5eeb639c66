package chaos_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/memstore"
	"github.com/keyrate/keyrate/store/redisstore"
	"github.com/keyrate/keyrate/store/storetest"
)

// TestEqualToMemory performs random histories on the memory store, in the time of a bubble
// of testing/synctest, and then, each step at the same time, with the scripts on a real
// Redis. Every answer must be equal, also under up to four limits at once.
func TestEqualToMemory(t *testing.T) {
	const histories, steps = 20_000, 20
	seed := seedOf(t)
	server := chaos.StartServer(t)
	next, decisions := atomic.Int64{}, atomic.Int64{}
	var allowed, known, resets, several, inPart atomic.Int64
	var workers sync.WaitGroup
	for range 8 * runtime.GOMAXPROCS(0) {
		clock, client := newClock(t), patientClient(t, server)
		clock.Steer(client)
		backend := newStore(t, client, redisstore.Config{})
		workers.Go(func() {
			for i := next.Add(1); i <= histories && !t.Failed(); i = next.Add(1) {
				script := rehearse(t, seed, i, steps)
				for at, s := range script {
					clock.Set(epoch + s.want.Now)
					got, err := s.on(t.Context(), backend)
					if err == nil && !s.Reset {
						got.Now -= epoch
						err = storetest.Compare(s.Request.Limits, got, s.want)
					}
					if err != nil {
						t.Errorf("KEYRATE_SEED=%#x, history %d: %v\nafter the steps\n%s", seed, i, err, lastSteps(script[:at+1]))
						return
					}
					switch {
					case s.Reset:
						resets.Add(1)
						continue
					case got.Allowed:
						allowed.Add(1)
					}
					if s.Request.Known != nil {
						known.Add(1)
					}
					if len(s.Request.Limits) > 1 {
						several.Add(1)
					}
					if s.DeniedInPart(got) {
						inPart.Add(1)
					}
					decisions.Add(1)
				}
			}
		})
	}
	workers.Wait()
	t.Logf("%d histories, %d decisions (%d admitted, %d with knowledge, %d under several limits, %d denied by some of these), %d resets: all equal",
		histories, decisions.Load(), allowed.Load(), known.Load(), several.Load(), inPart.Load(), resets.Load())
	// Histories without these steps would prove nothing.
	all := decisions.Load()
	if all < histories*steps*9/10 || allowed.Load() < all/4 || allowed.Load() > all*3/4 || known.Load() < all/10 || several.Load() < all/5 || inPart.Load() < all/100 || resets.Load() < histories/4 {
		t.Error("the histories are too much alike")
	}
	if n := server.Calls("evalsha"); int64(n) < all {
		t.Errorf("Redis has executed %d scripts for %d decisions", n, all)
	}
}

// TestEqualToMemoryFindsAMicrosecond is the control: the same comparison finds a clock that
// is a microsecond late in one step of a hundred.
func TestEqualToMemoryFindsAMicrosecond(t *testing.T) {
	seed := seedOf(t)
	clock, client := newClock(t), patientClient(t, chaos.StartServer(t))
	clock.Steer(client)
	backend := newStore(t, client, redisstore.Config{})
	random := rand.New(rand.NewPCG(seed, 1))
	for i := range int64(1000) {
		for _, s := range rehearse(t, seed, i, 20) {
			late := int64(0)
			if random.IntN(100) == 0 {
				late = 1
			}
			clock.Set(epoch + s.want.Now + late)
			got, err := s.on(t.Context(), backend)
			if err != nil {
				t.Fatal(err)
			}
			if !s.Reset && (got.Allowed != s.want.Allowed || got.Debts != s.want.Debts) {
				return
			}
		}
	}
	t.Error("all answers are equal although the clocks differ")
}

// epoch is the time of the scripts' clock, in microseconds, when that of the memory store
// starts: early enough that a century fits into the 2^53 microseconds of a script.
const epoch = 1_767_225_600_000_000

// A rehearsed step was performed on the memory store, which answered want.
type rehearsed struct {
	storetest.Step
	want store.Decision
}

// rehearse performs a new history on a new memory store.
func rehearse(t *testing.T, seed uint64, number int64, steps int) []rehearsed {
	script := make([]rehearsed, 0, steps)
	synctest.Test(t, func(t *testing.T) {
		backend := memstore.New(memstore.Config{MaxKeys: 64})
		history := storetest.NewHistory(rand.NewPCG(seed, uint64(number)), storetest.HistoryConfig{
			Prefix: fmt.Sprintf("%d/", number),
			Span:   100 * 365 * 24 * int64(time.Hour/time.Microsecond),
		})
		resets := resetsSeen{}
		for range steps {
			step := history.Next()
			time.Sleep(step.Wait)
			s := rehearsed{Step: step}
			now := state(t, backend, &step)
			resets.saw(&step)
			if step.Reset {
				if err := backend.Reset(t.Context(), store.Request{Key: step.Request.Key, Limits: step.Request.Limits}); err != nil {
					t.Error(err)
				}
				s.want = now
				resets.reset(&step, now.Now)
				time.Sleep(time.Microsecond) // observations from now on are later than the Reset
				history.Saw(step, now)
			} else {
				s.Request.Known = resets.undisputed(&step, now.Now)
				var err error
				if s.want, err = backend.Take(t.Context(), s.Request); err != nil {
					t.Error(err)
				}
				history.Saw(step, s.want)
			}
			script = append(script, s)
		}
	})
	return script
}

// state reads the clock of the memory store, with a key that no step uses.
func state(t *testing.T, backend *memstore.Store, s *storetest.Step) store.Decision {
	d, err := backend.Take(t.Context(), store.Request{Key: "clock", Limits: s.Request.Limits})
	if err != nil {
		t.Error(err)
	}
	return d
}

// on performs the step on a store whose clock is epoch later.
func (s *rehearsed) on(ctx context.Context, backend store.Store) (store.Decision, error) {
	if s.Reset {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		return store.Decision{}, backend.Reset(ctx, store.Request{Key: s.Request.Key, Limits: s.Request.Limits})
	}
	r := s.Request
	r.Timeout = patience
	if r.Known != nil {
		known := *r.Known
		for i := range known {
			if known[i].TAT.Den != 0 {
				known[i].TAT.Micros += epoch
			}
			if known[i].Seen != 0 {
				known[i].Seen += epoch
			}
		}
		r.Known = &known
	}
	return backend.Take(ctx, r)
}

// resetsSeen holds the resets about which both stores may differ: the memory store keeps
// one time for the resets of all keys; Redis keeps one for each bucket, as long as older
// debts can last.
type resetsSeen struct {
	last    int64
	buckets map[[2]string]int64 // the last one of each
	least   map[string]int64    // the smallest capacity of the limits of one name so far
}

// saw records the capacities of the limits of a step.
func (r *resetsSeen) saw(s *storetest.Step) {
	if r.least == nil {
		r.least, r.buckets = map[string]int64{}, map[[2]string]int64{}
	}
	for i := range len(s.Request.Limits) {
		b := &s.Request.Limits[i]
		name, capacity := b.Name, b.Capacity().Micros
		if least, ok := r.least[name]; !ok || capacity < least {
			r.least[name] = capacity
		}
	}
}

func (r *resetsSeen) reset(s *storetest.Step, now int64) {
	r.last = now
	for i := range len(s.Request.Limits) {
		r.buckets[[2]string{s.Request.Key, s.Request.Limits[i].Name}] = now
	}
}

// undisputed returns the knowledge of a step, without the dates about which the stores may
// differ: it sets these to 0.
func (r *resetsSeen) undisputed(s *storetest.Step, now int64) *store.Knowledge {
	if s.Request.Known == nil {
		return nil
	}
	known := *s.Request.Known
	for i := range len(s.Request.Limits) {
		name := s.Request.Limits[i].Name
		reset := r.buckets[[2]string{s.Request.Key, name}]
		inMemory := known[i].Seen <= r.last
		inRedis := known[i].Seen <= reset && now < reset+r.least[name]
		if known[i].Seen != 0 && inMemory != inRedis {
			known[i].Seen = 0
		}
	}
	return &known
}

// lastSteps returns the last steps as text for the message of a failed test.
func lastSteps(script []rehearsed) string {
	var b strings.Builder
	for i, s := range script[max(0, len(script)-10):] {
		fmt.Fprintf(&b, "%4d  at %d %v\n", max(0, len(script)-10)+i, s.want.Now, s.Step)
	}
	return b.String()
}
