package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/memstore"
	"github.com/keyrate/keyrate/store/redisstore"
	"github.com/keyrate/keyrate/store/storetest"
)

// TestEqualToMemory performs random histories on the memory store, in the time of a bubble
// of testing/synctest, and then, each step at the same time, with the scripts on a real
// Redis. Every answer must be equal, also under up to four limits at once, with holds, and
// with keys that share the buckets of a home.
func TestEqualToMemory(t *testing.T) {
	const steps = 20
	histories := full(int64(6_000), 20_000)
	seed := seedOf(t)
	server := chaos.StartServer(t)
	next, decisions := atomic.Int64{}, atomic.Int64{}
	var allowed, known, resets, several, inPart, holds, settled, renewed, leased, released atomic.Int64
	var workers sync.WaitGroup
	for range 8 * runtime.GOMAXPROCS(0) {
		clock, client := newClock(t), patientClient(t, server)
		clock.Steer(client)
		backend := newStore(t, client, redisstore.Config{})
		workers.Go(func() {
			for i := next.Add(1); i <= histories && !t.Failed(); i = next.Add(1) {
				script := rehearse(t, seed, i, steps)
				for at, s := range script {
					clock.Set(s.want.Now)
					got, err := s.on(t.Context(), backend)
					if err == nil && !s.Reset {
						err = s.compare(got)
					}
					if err != nil {
						t.Errorf("KEYRATE_SEED=%#x, history %d: %v\nafter the steps\n%s", seed, i, err, lastSteps(script[:at+1]))
						return
					}
					switch {
					case s.Reset:
						resets.Add(1)
						continue
					case s.Settle != nil && s.Settle.Renew:
						renewed.Add(1)
						continue
					case s.Settle != nil:
						settled.Add(1)
						continue
					case got.Allowed:
						allowed.Add(1)
						if s.Holds(s.want.Decision) {
							holds.Add(1)
						}
						if got.leased > 0 {
							leased.Add(1)
						}
					}
					released.Add(int64(len(got.released)))
					if s.Request.Known != nil {
						known.Add(1)
					}
					if len(s.Request.Limits) > 1 {
						several.Add(1)
					}
					if s.DeniedInPart(got.Decision) {
						inPart.Add(1)
					}
					decisions.Add(1)
				}
			}
		})
	}
	workers.Wait()
	t.Logf("%d histories, %d decisions (%d admitted, %d with knowledge, %d under several limits, %d denied by some of these), %d holds, %d leases, %d settlements, %d with a request, %d renewals, %d resets: all equal",
		histories, decisions.Load(), allowed.Load(), known.Load(), several.Load(), inPart.Load(), holds.Load(), leased.Load(), settled.Load(), released.Load(), renewed.Load(), resets.Load())
	// Histories without these steps would prove nothing.
	all := decisions.Load()
	if all < histories*steps*8/10 || holds.Load() < histories || leased.Load() < histories/8 || released.Load() < histories/4 || settled.Load() < histories/4 || renewed.Load() < histories/16 || allowed.Load() < all/4 || allowed.Load() > all*3/4 || known.Load() < all/10 || several.Load() < all/5 || inPart.Load() < all/100 || resets.Load() < histories/4 {
		t.Error("the histories are too much alike")
	}
	if n := server.Calls("evalsha"); int64(n) < all {
		t.Errorf("Redis has executed %d scripts for %d decisions", n, all)
	}
	// Of limits without an index the memory store does not know the interval: the answers differ.
	if r, err := gcra.NewRate(1, 999_999_937*time.Microsecond, 1); err != nil || r.Index() == 0 {
		t.Errorf("the histories have more than %d intervals, %v; use fewer", gcra.MaxIntervals, err)
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
			clock.Set(s.want.Now + late)
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

// epoch is when histories begin, in microseconds: early enough that a century fits into the
// 2^53 microseconds of a script.
const epoch = 1_767_225_600_000_000

// An answered is a store's answer to a step.
type answered struct {
	store.Decision
	lost     int                    // of a settlement
	names    [store.MaxLimits]int64 // after a hold or a settlement
	leased   int
	released []answered // of the settlements that came with a request
}

// A rehearsed step was performed on the memory store, which answered want. Its settlements have the
// names of what they settle.
type rehearsed struct {
	storetest.Step
	want answered
}

// A rehearsal performs a history on a new memory store.
type rehearsal struct {
	backend *memstore.Store
	history *storetest.History
	resets  resetsSeen
	names   map[int][store.MaxLimits]int64 // by the number of the hold
}

// rehearse performs a new history on a new memory store.
func rehearse(t *testing.T, seed uint64, number int64, steps int) []rehearsed {
	script := make([]rehearsed, 0, steps)
	synctest.Test(t, func(t *testing.T) {
		r := rehearsal{
			backend: memstore.New(memstore.Config{MaxKeys: 64}),
			history: storetest.NewHistory(rand.NewPCG(seed, uint64(number)), storetest.HistoryConfig{
				Prefix: fmt.Sprintf("%d/", number),
				Span:   100 * 365 * 24 * int64(time.Hour/time.Microsecond),
				Holds:  number%2 == 1,
				Homes:  number%4 >= 2,
			}),
			names: map[int][store.MaxLimits]int64{},
		}
		time.Sleep(epoch * time.Microsecond) // the clock of the memory store began at 0
		for range steps {
			script = append(script, r.step(t))
		}
	})
	return script
}

// step performs the next step.
func (r *rehearsal) step(t *testing.T) rehearsed {
	s := rehearsed{Step: r.history.Next()}
	time.Sleep(s.Wait)
	now := state(t, r.backend, &s.Step)
	r.resets.saw(&s.Step)
	switch {
	case s.Reset:
		if err := r.backend.Reset(t.Context(), store.Request{Home: s.Request.Home, Key: s.Request.Key, Limits: s.Request.Limits}); err != nil {
			t.Error(err)
		}
		s.want.Decision = now
		r.resets.reset(&s.Step, now.Now)
		time.Sleep(time.Microsecond) // observations from now on are later than the Reset
		r.history.Saw(s.Step, now)
	case s.Settle != nil:
		s.Settle.Names = r.named(s.Settle, s.Hold, now.Now)
		all := []store.Settlement{*s.Settle}
		if r.backend.Settle(t.Context(), all); all[0].Err != nil {
			t.Error(all[0].Err)
		}
		s.want = answerOf(&all[0])
		r.settled(s.Hold, s.want)
		r.history.Settled(s.Step, all[0])
	default:
		s.Request.Known = r.resets.undisputed(&s.Step, now.Now)
		for i, hold := range s.Releases {
			one := &s.Request.Release[i]
			one.Names = r.named(one, hold, now.Now)
		}
		var err error
		if s.want, err = takeAs(t.Context(), r.backend, s.Request); err != nil {
			t.Error(err)
		}
		for i, hold := range s.Releases {
			r.settled(hold, s.want.released[i])
		}
		if s.Request.Hold != nil {
			s.Request.Hold.Leased = s.want.leased
		}
		if s.Holds(s.want.Decision) {
			r.names[s.Hold] = s.want.names
		}
		r.history.Saw(s.Step, s.want.Decision)
	}
	return s
}

// named returns the names of a hold that is settled; none if the stores may differ about it.
func (r *rehearsal) named(t *store.Settlement, hold int, now int64) [store.MaxLimits]int64 {
	names := r.names[hold]
	if r.resets.disputed(t, names, now) {
		return [store.MaxLimits]int64{}
	}
	return names
}

// settled keeps the names of a hold after a settlement.
func (r *rehearsal) settled(hold int, a answered) {
	if r.names[hold] = a.names; hold == 0 {
		delete(r.names, 0)
	}
}

// takeAs takes with a Hold and settlements of its own.
func takeAs(ctx context.Context, backend store.Store, r store.Request) (a answered, err error) {
	if r.Hold != nil {
		r.Hold = &store.Hold{Spend: r.Hold.Spend, Lease: r.Hold.Lease}
	}
	r.Release = slices.Clone(r.Release)
	a.Decision, err = backend.Take(ctx, r)
	if r.Hold != nil {
		a.names, a.leased = r.Hold.Names, r.Hold.Leased
	}
	for i := range r.Release {
		a.released = append(a.released, answerOf(&r.Release[i]))
		err = errors.Join(err, r.Release[i].Err)
	}
	return a, err
}

// answerOf returns the answer to a settlement.
func answerOf(t *store.Settlement) answered {
	return answered{Decision: store.Decision{Now: t.Now, Debts: t.Debts}, lost: t.Lost, names: t.Names}
}

// state reads the clock of the memory store, with a key that no step uses.
func state(t *testing.T, backend *memstore.Store, s *storetest.Step) store.Decision {
	d, err := backend.Take(t.Context(), store.Request{Key: "clock", Limits: s.Request.Limits})
	if err != nil {
		t.Error(err)
	}
	return d
}

// on performs the step on another store.
func (s *rehearsed) on(ctx context.Context, backend *redisstore.Store) (answered, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	switch {
	case s.Reset:
		return answered{}, backend.Reset(ctx, store.Request{Home: s.Request.Home, Key: s.Request.Key, Limits: s.Request.Limits})
	case s.Settle != nil:
		all := []store.Settlement{*s.Settle}
		backend.Settle(ctx, all)
		return answerOf(&all[0]), all[0].Err
	}
	r := s.Request
	r.Timeout = patience
	return takeAs(ctx, backend, r)
}

// compare returns an error if the answer of another store differs.
func (s *rehearsed) compare(got answered) error {
	if got.names != s.want.names || got.lost != s.want.lost || got.leased != s.want.leased {
		return fmt.Errorf("lost %d, leased %d, names %d, debts %v; want lost %d, leased %d, names %d, debts %v",
			got.lost, got.leased, got.names, got.Debts, s.want.lost, s.want.leased, s.want.names, s.want.Debts)
	}
	if !reflect.DeepEqual(got.released, s.want.released) {
		return fmt.Errorf("settled with the request as %+v; want %+v", got.released, s.want.released)
	}
	return storetest.Compare(s.Request.Limits, got.Decision, s.want.Decision)
}

// resetsSeen holds the resets about which both stores may differ: the memory store keeps
// one time for the resets of all keys; Redis keeps one for each bucket, as long as older
// debts and holds can last.
type resetsSeen struct {
	last    int64
	buckets map[[3]string]int64 // the last one of each
	least   map[string]int64    // the smallest capacity of the limits of one name so far
}

// bucketOf identifies a bucket. That of a shared limit has no key.
func bucketOf(home, key string, l *store.Limit) [3]string {
	if l.Shared && home != "" {
		return [3]string{home, "", l.Name}
	}
	return [3]string{home, " " + key, l.Name}
}

// saw records the capacities of the limits of a step.
func (r *resetsSeen) saw(s *storetest.Step) {
	if r.least == nil {
		r.least, r.buckets = map[string]int64{}, map[[3]string]int64{}
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
		r.buckets[bucketOf(s.Request.Home, s.Request.Key, &s.Request.Limits[i])] = now
	}
}

// differ reports whether one store takes what is from the time seen for older than a reset,
// and the other may not.
func (r *resetsSeen) differ(bucket [3]string, seen, now int64) bool {
	reset := r.buckets[bucket]
	inMemory := seen <= r.last
	inRedis := seen <= reset && now < reset+max(r.least[bucket[2]], 2*gcra.Long.Length())
	return inMemory != inRedis
}

// undisputed returns the knowledge of a step, without the dates about which the stores may
// differ: it sets these to 0.
func (r *resetsSeen) undisputed(s *storetest.Step, now int64) *store.Knowledge {
	if s.Request.Known == nil {
		return nil
	}
	known := *s.Request.Known
	for i := range len(s.Request.Limits) {
		if known[i].Seen != 0 && r.differ(bucketOf(s.Request.Home, s.Request.Key, &s.Request.Limits[i]), known[i].Seen, now) {
			known[i].Seen = 0
		}
	}
	return &known
}

// disputed reports whether the stores may differ about a reset after the begin of a hold.
func (r *resetsSeen) disputed(t *store.Settlement, names [store.MaxLimits]int64, now int64) bool {
	for i := range t.Limits {
		if names[i] == 0 || t.Renew {
			continue
		}
		began := names[i]/gcra.Classes - gcra.Class(names[i]%gcra.Classes).Length()
		if r.differ(bucketOf(t.Home, t.Key, &t.Limits[i]), began, now) {
			return true
		}
	}
	return false
}

// lastSteps returns the last steps as text for the message of a failed test.
func lastSteps(script []rehearsed) string {
	var b strings.Builder
	for i, s := range script[max(0, len(script)-10):] {
		fmt.Fprintf(&b, "%4d  at %d %v\n", max(0, len(script)-10)+i, s.want.Now, s.Step)
	}
	return b.String()
}
