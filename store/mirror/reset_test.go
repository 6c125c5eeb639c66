package mirror_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror"
)

// TestResetOfAnotherKey ignores no answer of a request in flight.
func TestResetOfAnotherKey(t *testing.T) {
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
		if err := s.Reset(t.Context(), store.Request{Key: "another key", Limits: day}); err != nil {
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

// TestResetsOfOtherKeys: logins reset their keys hundreds of times a second, as is common.
// What is known of another key still denies its requests.
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
					_ = s.Reset(t.Context(), store.Request{Key: fmt.Sprint("user", i, n), Limits: day})
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
			t.Errorf("of 200 requests for a key whose 10 tokens are spent, %d asked the shared store", asked)
		}
	})
}

// TestLostRequestUndoesNoReset: a request that was sent before a reset, and is lost after it,
// brings no debt back.
func TestLostRequestUndoesNoReset(t *testing.T) {
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
		if err := s.Reset(t.Context(), store.Request{Key: "key", Limits: day}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
		take(t, s, "key", day, 1)
		wg.Wait()
		shared.down()
		if d := take(t, s, "key", day, 1); !d.Allowed {
			t.Errorf("after a Reset and two requests under a limit of 10, a request is denied: %d tokens are left", left(day, d))
		}
	})
}

// TestOneFailureUndoesNoReset of another node: the cost of a request that is admitted here gets
// the date of the debt to which it is added, and a reset since then wins over both.
func TestOneFailureUndoesNoReset(t *testing.T) {
	for _, outage := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			here, there, cut := pair(t, mirror.Config{Nodes: 2})
			day := policy(t, ratelimit.PerDay(10).Named("daily"))
			take(t, here, "key", day, 4)
			time.Sleep(time.Minute)
			if err := there.Reset(t.Context(), store.Request{Key: "key", Limits: day}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			cut.Store(true)
			if !take(t, here, "key", day, 1).Allowed {
				t.Error("denied alone")
			}
			if outage {
				for range 3 {
					take(t, here, "other", day, 0)
				}
			}
			cut.Store(false)
			time.Sleep(time.Second)
			take(t, here, "key", day, 1)
			if n := left(day, take(t, there, "key", day, 0)); n < 8 {
				t.Errorf("with an outage %v, %d tokens are left after a reset and two requests; want 8", outage, n)
			}
		})
	}
}

// TestFirstRequestOfAKeyFails: nothing is known of the key, but the store's clock is known, and
// a reset wins.
func TestFirstRequestOfAKeyFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there, cut := pair(t, mirror.Config{})
		day := policy(t, ratelimit.PerDay(10).Named("daily"))
		take(t, here, "other", day, 4)
		cut.Store(true)
		take(t, here, "key", day, 8)
		cut.Store(false)
		time.Sleep(time.Minute)
		if err := there.Reset(t.Context(), store.Request{Key: "key", Limits: day}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if n := left(day, take(t, here, "key", day, 0)); n != 10 {
			t.Errorf("%d tokens are left after a reset; want 10", n)
		}
	})
}

// TestResetElsewhere: a reset on another node is noticed within a second.
func TestResetElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		here, there := newMirror(t, shared, mirror.Config{Nodes: 2}), newMirror(t, shared, mirror.Config{Nodes: 2})
		hour := policy(t, ratelimit.PerHour(1))
		take(t, here, "key", hour, 1)
		time.Sleep(100 * time.Millisecond)
		if err := there.Reset(t.Context(), store.Request{Key: "key", Limits: hour}); err != nil {
			t.Fatal(err)
		}
		for start := time.Now(); !take(t, here, "key", hour, 1).Allowed; time.Sleep(time.Millisecond) {
			if time.Since(start) > time.Second {
				t.Fatal("the key is denied a second later")
			}
		}
	})
}

// TestResetOvertakesAnAnswer: an answer from before a Reset is ignored after it.
func TestResetOvertakesAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		shared.trip = func() time.Duration { return 10 * time.Millisecond }
		s := newMirror(t, shared, mirror.Config{})
		hour := policy(t, ratelimit.PerHour(1))
		var wg sync.WaitGroup
		wg.Go(func() { take(t, s, "key", hour, 1) }) // decided after 10 ms, answered after 20
		time.Sleep(15 * time.Millisecond)
		if err := s.Reset(t.Context(), store.Request{Key: "key", Limits: hour}); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if d := take(t, s, "key", hour, 1); !d.Allowed {
			t.Errorf("the key is denied after the reset, with the debts %v", d.Debts)
		}
	})
}

// TestResetWinsOverKnowledge of another node, once that is a second old.
func TestResetWinsOverKnowledge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		here, there := newMirror(t, shared, mirror.Config{Nodes: 2}), newMirror(t, shared, mirror.Config{Nodes: 2})
		hour := policy(t, ratelimit.PerHour(10))
		take(t, here, "key", hour, 10)
		time.Sleep(5 * time.Second)
		if err := there.Reset(t.Context(), store.Request{Key: "key", Limits: hour}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if d := take(t, here, "key", hour, 10); !d.Allowed {
			t.Errorf("the key is denied after the reset, with the debts %v", d.Debts)
		}
	})
}

// TestResetWinsOverWhatWasAdmittedAlone by a node that started while it could not reach the
// shared store: the first probe that reaches it dates what the node admitted.
func TestResetWinsOverWhatWasAdmittedAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		shared.trip = func() time.Duration { return time.Millisecond }
		l := &link{faulty: shared, t: t, ideal: &ideal{token: time.Hour}, debts: new(atomic.Int64)}
		time.Sleep(time.Hour)
		here, there := newMirror(t, l, mirror.Config{Nodes: 2}), newMirror(t, shared, mirror.Config{Nodes: 2})
		day := policy(t, ratelimit.PerDay(10).Named("daily"))
		l.cut.Store(true)
		for _, reset := range []bool{true, false} {
			for range 5 {
				if !take(t, here, "key", day, 1).Allowed {
					t.Error("a request was not admitted alone")
				}
			}
			if !reset {
				break
			}
			time.Sleep(time.Second)
			if err := there.Reset(t.Context(), store.Request{Key: "key", Limits: day}); err != nil {
				t.Fatal(err)
			}
			l.cut.Store(false)
			time.Sleep(time.Second)
			if d := take(t, here, "key", day, 0); d.Debts[0] != (gcra.Debt{}) {
				t.Errorf("the debts are %v after the reset", d.Debts)
			}
			// Without a reset the debt counts.
			l.cut.Store(true)
			if store.ErrorClass(here.Reset(t.Context(), store.Request{Key: "key", Limits: day})) != "connect" {
				t.Error("the reset reached the shared store")
			}
		}
		l.cut.Store(false)
		time.Sleep(time.Second)
		d := take(t, here, "key", day, 0)
		if left := day[0].Remaining(d.Debts[0]); left != 5 {
			t.Errorf("%d tokens are left; want 5", left)
		}
	})
}

// TestResetWhileDown: Reset fills the buckets of this node, and returns an error that says so.
func TestResetWhileDown(t *testing.T) {
	for _, nodes := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			shared := newFaulty()
			s := newMirror(t, shared, mirror.Config{Nodes: nodes})
			hour := policy(t, ratelimit.PerHour(10))
			take(t, s, "key", hour, 10)
			shared.down()
			for i, class := range []string{"connect", mirror.ClassDown} {
				if take(t, s, "key", hour, 1).Allowed {
					t.Error("an empty bucket admitted a request alone")
				}
				err := s.Reset(t.Context(), store.Request{Key: "key", Limits: hour})
				if failed, ok := errors.AsType[*store.Error](err); !ok || failed.Class != class {
					t.Errorf("Reset returned %v; want a StoreError of class %q", err, class)
				}
				if !take(t, s, "key", hour, 10/nodes).Allowed {
					t.Error("the bucket was not filled on this node")
				}
				for range 3 * (1 - i) {
					take(t, s, "any", hour, 0)
				}
			}
		})
	}
}
