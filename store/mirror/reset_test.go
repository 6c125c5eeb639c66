package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/mirror"
)

var errUnknown = error(&ratelimit.StoreError{Class: "lost", Err: errors.New("connection reset")})

// TestResetOfAnotherKeyVoidsNothing that is on its way.
func TestResetOfAnotherKeyVoidsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		shared.trip = func() time.Duration { return 5 * time.Millisecond }
		s := newMirror(t, shared, mirror.Config{})
		day := policy(t, ratelimit.PerDay(10))
		var wg sync.WaitGroup
		var admitted atomic.Int64
		for range 10 {
			wg.Go(func() {
				if take(t, s, "key", day, 1).Allowed {
					admitted.Add(1)
				}
			})
		}
		time.Sleep(7 * time.Millisecond)
		if err := s.Reset(t.Context(), "another key", day); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		shared.down()
		for range 20 {
			if take(t, s, "key", day, 1).Allowed {
				admitted.Add(1)
			}
		}
		if n := admitted.Load(); n > 10 {
			t.Errorf("10 a day: %d were admitted by one node", n)
		}
	})
}

// TestResetsOfOtherKeys: a login that resets its key, as is common, a hundred times a second; what is known of another still
// refuses it.
func TestResetsOfOtherKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		shared.trip = func() time.Duration { return 5 * time.Millisecond }
		s := newMirror(t, shared, mirror.Config{})
		day := policy(t, ratelimit.PerDay(10))
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-stop:
						return
					default:
					}
					_ = s.Reset(t.Context(), fmt.Sprint("user", i, n), day)
					time.Sleep(5 * time.Millisecond)
				}
			})
		}
		before := shared.asked.Load()
		for range 200 {
			take(t, s, "key", day, 1)
			time.Sleep(5 * time.Millisecond)
		}
		close(stop)
		wg.Wait()
		if asked := shared.asked.Load() - before; asked > 20 {
			t.Errorf("of 200 calls of a key whose 10 tokens are spent, %d made the trip", asked)
		}
	})
}

// TestNoHerdAfterManyLandings: followers do not all go at once, however often they have waited.
func TestNoHerdAfterManyLandings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		shared.trip = func() time.Duration { return time.Millisecond + rand.N(10*time.Millisecond) }
		s := newMirror(t, shared, mirror.Config{})
		day := policy(t, ratelimit.PerDay(50))
		var wg sync.WaitGroup
		var admitted atomic.Int64
		for range 2000 {
			wg.Go(func() {
				if take(t, s, "key", day, 1).Allowed {
					admitted.Add(1)
				}
			})
		}
		wg.Wait()
		if asked := shared.asked.Load(); asked > 60 {
			t.Errorf("of 2000 callers who want the 50 tokens of a key, %d made the trip (%d admitted)", asked, admitted.Load())
		}
	})
}

// TestPassingKeepsTheLedger: one caller who brings knowledge of his own does not make the mirror forget what it admitted.
func TestPassingKeepsTheLedger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		s := newMirror(t, shared, mirror.Config{})
		day := policy(t, ratelimit.PerDay(10))
		shared.down()
		admitted := 0
		for range 20 {
			if take(t, s, "key", day, 1).Allowed {
				admitted++
			}
		}
		shared.up()
		time.Sleep(time.Second)
		if _, err := s.Take(t.Context(), ratelimit.Request{Key: "key", Policy: day, Cost: 0, Timeout: 50 * time.Millisecond, Known: &ratelimit.Knowledge{}}); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if take(t, s, "key", day, 1).Allowed {
				admitted++
			}
		}
		if admitted > 10 {
			t.Errorf("10 a day: %d were admitted by one node", admitted)
		}
	})
}

// TestOnePatientCaller: one call with a long Timeout, ever, keeps nobody waiting for a store that hangs, or for one that is well.
func TestOnePatientCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		s := newMirror(t, shared, mirror.Config{})
		p := policy(t, ratelimit.PerSecond(5))
		if _, err := s.Take(t.Context(), ratelimit.Request{Key: "batch", Policy: p, Cost: 1, Timeout: 10 * time.Second}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		shared.hangs.Store(true)
		var slow atomic.Int64
		calls := 0
		var wg sync.WaitGroup
		start := time.Now()
		for i := 0; time.Since(start) < 15*time.Second; i++ {
			calls++
			wg.Go(func() {
				before := time.Now()
				take(t, s, fmt.Sprint(i%10), p, 1)
				if time.Since(before) > 10*time.Millisecond {
					slow.Add(1)
				}
			})
			time.Sleep(5 * time.Millisecond)
		}
		wg.Wait()
		// reference/faults.md: slow <= rps*D + 3 (+20%)
		if slow.Load() > 16 {
			t.Errorf("of %d calls %d were slow", calls, slow.Load())
		}
		shared.up()
		start = time.Now()
		for time.Since(start) < 30*time.Second && s.Check(t.Context()).Status != ratelimit.StatusOK {
			time.Sleep(10 * time.Millisecond)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("it was back %v after it was well", took)
		}
	})
}

// TestCallersWithoutTime tell nothing of the store: nothing is sent for them.
func TestCallersWithoutTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		shared.trip = func() time.Duration { return time.Millisecond }
		var changes atomic.Int64
		s := newMirror(t, heedful{shared}, mirror.Config{OnChange: func(mirror.Change) { changes.Add(1) }})
		p := policy(t, ratelimit.PerSecond(5))
		take(t, s, "key", p, 1)
		for range 4 {
			time.Sleep(time.Minute)
			ctx, cancel := context.WithDeadline(t.Context(), time.Now())
			_, _ = s.Take(ctx, ratelimit.Request{Key: "key", Policy: p, Cost: 1, Timeout: 50 * time.Millisecond})
			cancel()
		}
		time.Sleep(time.Second)
		if changes := changes.Load(); changes != 0 {
			t.Errorf("a store that works counted as away: %d changes", changes)
		}
	})
}

// sparse is a store of two parts, of which one has few keys, and is down.
type sparse struct {
	*faulty
	down atomic.Bool
}

func few(key string) bool {
	var h uint32 = 2166136261
	for i := range len(key) {
		h = (h ^ uint32(key[i])) * 16777619
	}
	return key == "few" || h%16384 == 7
}

func (s *sparse) Partition(key string) string {
	if few(key) {
		return "few"
	}
	return "many"
}

func (s *sparse) Take(ctx context.Context, r ratelimit.Request) (ratelimit.Decision, error) {
	if s.down.Load() && few(r.Key) {
		return ratelimit.Decision{}, errRefused
	}
	return s.faulty.Take(ctx, r)
}

// TestPartWithFewKeys: a server of a Cluster with one slot is not back while it is down.
func TestPartWithFewKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := &sparse{faulty: newFaulty()}
		var mu sync.Mutex
		back := 0
		s := newMirror(t, shared, mirror.Config{OnChange: func(c mirror.Change) {
			mu.Lock()
			defer mu.Unlock()
			if !c.Down {
				back++
			}
		}})
		p := policy(t, ratelimit.PerSecond(5))
		shared.down.Store(true)
		for range 1000 {
			take(t, s, "few", p, 1)
			time.Sleep(10 * time.Millisecond)
		}
		mu.Lock()
		defer mu.Unlock()
		if back > 0 {
			t.Errorf("in 10 s of an outage it was told %d times that the part is back", back)
		}
	})
}

var _ = strings.HasPrefix
var _ = rand.N[time.Duration]

// TestLedgerEnds: a failed call begins a ledger, which ends though calls of the key overlap; then what is known refuses again.
func TestLedgerEnds(t *testing.T) {
	for _, fail := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			shared := newFaulty()
			shared.trip = func() time.Duration { return 5*time.Millisecond + rand.N(5*time.Millisecond) }
			s := newMirror(t, shared, mirror.Config{})
			p := policy(t, ratelimit.PerSecond(1000).WithBurst(10000))
			take(t, s, "key", p, 5000)
			var wg sync.WaitGroup
			end := time.Now().Add(20 * time.Second)
			for range 20 { // some 800 a second
				wg.Go(func() {
					for time.Now().Before(end) {
						take(t, s, "key", p, 1)
						time.Sleep(10 * time.Millisecond)
					}
				})
			}
			time.Sleep(time.Second)
			if fail {
				shared.down()
				take(t, s, "key", p, 1)
				shared.up()
			}
			time.Sleep(5 * time.Second)
			asked, slowest := 0, time.Duration(0)
			for range 200 {
				var a bool
				before := time.Now()
				d, err := s.Take(context.WithValue(t.Context(), askedKey{}, &a), ratelimit.Request{Key: "key", Policy: p, Cost: 9000, Timeout: 50 * time.Millisecond})
				if err != nil || d.Allowed {
					t.Error("cost 9000 was admitted", err)
				}
				slowest = max(slowest, time.Since(before))
				if a {
					asked++
				}
				time.Sleep(10 * time.Millisecond)
			}
			wg.Wait()
			t.Logf("after a failure: %v; of 200 calls that are known to be refused, %d asked; slowest %v", fail, asked, slowest)
			if asked > 20 {
				t.Errorf("after a failure: %v; of 200 calls that are known to be refused, %d asked; slowest %v", fail, asked, slowest)
			}
		})
	}
}

// TestDearCallsAreNotStarved by cheap ones that are on their way all the time.
func TestDearCallsAreNotStarved(t *testing.T) {
	for _, fail := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			shared := newFaulty()
			shared.trip = func() time.Duration { return 5*time.Millisecond + rand.N(5*time.Millisecond) }
			s := newMirror(t, shared, mirror.Config{})
			p := policy(t, ratelimit.PerSecond(5000).WithBurst(100))
			var wg sync.WaitGroup
			end := time.Now().Add(10 * time.Second)
			for range 60 {
				wg.Go(func() {
					for time.Now().Before(end) {
						take(t, s, "key", p, 1)
						time.Sleep(5 * time.Millisecond)
					}
				})
			}
			time.Sleep(time.Second)
			if fail {
				shared.down()
				take(t, s, "key", p, 1)
				shared.up()
			}
			admitted, knowledge, share := 0, 0, 0
			for range 50 {
				d := take(t, s, "key", p, 70)
				if d.Allowed {
					admitted++
				}
				switch d.Source {
				case ratelimit.FromKnowledge:
					knowledge++
				case ratelimit.FromShare:
					share++
				}
				time.Sleep(100 * time.Millisecond)
			}
			wg.Wait()
			t.Logf("failure %v: of 50 dear calls, %d were admitted, %d refused from knowledge, %d by the share", fail, admitted, knowledge, share)
			if admitted < 40 {
				t.Errorf("failure %v: of 50 dear calls, %d were admitted, %d refused from knowledge, %d by the share", fail, admitted, knowledge, share)
			}
		})
	}
}

// TestSlowAnswer: what a slow answer tells was owed when it was decided, and not when it came.
func TestSlowAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		time.Sleep(time.Second) // so the shared clock is ahead
		s := newMirror(t, shared, mirror.Config{})
		p := policy(t, ratelimit.PerSecond(1000).WithBurst(30))
		take(t, s, "another", p, 1) // at once: so the clock is known
		there := true
		shared.trip = func() time.Duration {
			if there = !there; there {
				return 40 * time.Millisecond
			}
			return time.Millisecond
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if d := take(t, s, "key", p, 29); d.Source != ratelimit.FromStore || !d.Allowed {
				t.Error(d)
			}
		})
		time.Sleep(2 * time.Millisecond)
		shared.down()
		if d := take(t, s, "key", p, 1); d.Source != ratelimit.FromShare || !d.Allowed {
			t.Error(d)
		}
		shared.up()
		wg.Wait() // 41 ms; the shared store's bucket has been full since 30 ms
		shared.trip = nil
		if n := left(p, take(t, s, "key", p, 0)); n != 30 {
			t.Errorf("%d of 30 tokens are left of a bucket that has been full for 10 ms", n)
		}
	})
}

// TestLostCallUndoesNoReset: a call that was sent before a reset, and is lost after it, brings nothing back.
func TestLostCallUndoesNoReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		time.Sleep(time.Second)
		var lose atomic.Bool
		s := newMirror(t, lossy{shared, func() bool { return lose.Swap(false) }}, mirror.Config{})
		day := policy(t, ratelimit.PerDay(10))
		take(t, s, "key", day, 9)
		lose.Store(true)
		var wg sync.WaitGroup
		wg.Go(func() { take(t, s, "key", day, 1) }) // lost, 50 ms later
		time.Sleep(10 * time.Millisecond)
		if err := s.Reset(t.Context(), "key", day); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
		take(t, s, "key", day, 1)
		wg.Wait()
		shared.down()
		if d := take(t, s, "key", day, 1); !d.Allowed {
			t.Errorf("after a Reset and two calls of 10, a call is refused: %d tokens are left", left(day, d))
		}
	})
}

// moving is a part whose keys are answered by two servers, while slots move: their clocks
// differ.
type moving struct {
	*faulty
	n atomic.Int64
}

func (*moving) Partition(string) string { return "redis 10.0.0.1:6379" }

func (m *moving) Take(ctx context.Context, r ratelimit.Request) (ratelimit.Decision, error) {
	d, err := m.faulty.Take(ctx, r)
	if m.n.Add(1)%2 == 0 {
		d.Now += (2 * time.Second).Microseconds() // a redirection was followed
	}
	return d, err
}

// TestRedirectionsAreNoSteps of a clock: while slots move, answers of one part come from two servers.
func TestRedirectionsAreNoSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		steps := 0
		s := newMirror(t, &moving{faulty: newFaulty()}, mirror.Config{OnStep: func(string, time.Duration) { steps++ }})
		p := policy(t, ratelimit.PerSecond(5))
		for range 100 {
			take(t, s, "key", p, 0)
			time.Sleep(10 * time.Millisecond)
		}
		if steps > 2 {
			t.Errorf("OnStep was called %d times for clocks that nobody set", steps)
		}
	})
}
