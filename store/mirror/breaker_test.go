package mirror_test

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror"
)

// TestTransitions: OnChange is called once for each transition, in order, however many
// requests fail at once and however often the store goes down.
func TestTransitions(t *testing.T) {
	for name, begin := range outages {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shared := newFaulty()
				var changes []mirror.Change // without a lock: the race detector sees calls that overlap
				s := newMirror(t, shared, mirror.Config{OnChange: func(c mirror.Change) {
					time.Sleep(5 * time.Millisecond)
					changes = append(changes, c)
				}})
				p := policy(t, ratelimit.PerSecond(1000))
				start := time.Now()
				for range 3 {
					begin(shared)
					var wg sync.WaitGroup
					for range 64 {
						wg.Go(func() { offer(t, s, p, 7*time.Millisecond, time.Second) })
					}
					wg.Wait()
					shared.up()
					shared.late.Store(false)
					offer(t, s, p, time.Millisecond, time.Second)
				}
				synctest.Wait()
				if len(changes) != 6 {
					t.Fatalf("OnChange was called %d times; want 6: %+v", len(changes), changes)
				}
				for i, c := range changes {
					if c.Down != (i%2 == 0) || c.Class == "" || c.At.Before(start) {
						t.Errorf("change %d is %+v", i, c)
					}
					if !c.Down && c.Took != c.At.Sub(changes[i-1].At) {
						t.Errorf("change %d is %+v; it was down since %v", i, c, changes[i-1].At)
					}
				}
			})
		})
	}
}

// TestThreeInARow: a request that the shared store decides resets the count of failures.
func TestThreeInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		var changes atomic.Int64
		s := newMirror(t, shared, mirror.Config{OnChange: func(mirror.Change) { changes.Add(1) }})
		p := policy(t, ratelimit.PerSecond(1000))
		fail := func(n int) {
			shared.down()
			for range n {
				take(t, s, "key", p, 1)
			}
			shared.up()
		}
		for range 5 {
			fail(2)
			take(t, s, "key", p, 1)
		}
		synctest.Wait()
		if n := changes.Load(); n != 0 {
			t.Errorf("OnChange was called %d times after two failures in a row", n)
		}
		fail(3)
		synctest.Wait()
		if n := changes.Load(); n != 1 {
			t.Errorf("OnChange was called %d times after three failures in a row; want 1", n)
		}
	})
}

// TestStragglers: requests of an outage that fail after its end start no other outage.
func TestStragglers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		var changes atomic.Int64
		s := newMirror(t, shared, mirror.Config{OnChange: func(mirror.Change) { changes.Add(1) }})
		p := policy(t, ratelimit.PerSecond(1000))
		shared.hangs.Store(true)
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				_, _ = s.Take(t.Context(), store.Request{Key: "key", Limits: p, Cost: 1, Timeout: 5 * time.Second})
			})
		}
		offer(t, s, p, time.Millisecond, time.Second)
		shared.up()
		wg.Wait()
		time.Sleep(time.Second)
		if n := changes.Load(); n != 2 {
			t.Errorf("OnChange was called %d times; want 2", n)
		}
	})
}

// TestOnChangeDelaysNoRequest, even if it never returns or panics.
func TestOnChangeDelaysNoRequest(t *testing.T) {
	for name, onChange := range map[string]func(hold <-chan struct{}){
		"hangs":  func(hold <-chan struct{}) { <-hold },
		"panics": func(<-chan struct{}) { panic("of the caller's") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shared, hold := newFaulty(), make(chan struct{})
				s := newMirror(t, shared, mirror.Config{OnChange: func(mirror.Change) { onChange(hold) }})
				shared.down()
				if _, slowest := offer(t, s, policy(t, ratelimit.PerSecond(5)), time.Millisecond, time.Second); slowest > 0 {
					t.Errorf("a request took %v", slowest)
				}
				if h := s.Check(t.Context()); name == "panics" && len(h.Warnings) != 2 {
					t.Errorf("Check warns of %q; want also of the panic", h.Warnings)
				}
				close(hold)
			})
		})
	}
}

// TestClose: Close ends the probing, waits until it has ended, and nothing starts it again:
// the bubble would not end with a goroutine in it.
func TestClose(t *testing.T) {
	for name, begin := range outages {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shared := newFaulty()
				s := newMirror(t, shared, mirror.Config{})
				p := policy(t, ratelimit.PerSecond(1000))
				begin(shared)
				offer(t, s, p, time.Millisecond, time.Second+33*time.Millisecond)
				before := time.Now()
				for range 2 {
					if err := s.Close(); err != nil {
						t.Error(err)
					}
				}
				if took := time.Since(before); took > store.DefaultTimeout {
					t.Errorf("Close took %v", took)
				}
				asked := shared.asked.Load()
				offer(t, s, p, time.Millisecond, time.Second)
				if n := shared.asked.Load() - asked; n != 0 {
					t.Errorf("the shared store was asked %d times after Close", n)
				}
			})
			synctest.Test(t, func(t *testing.T) {
				shared := newFaulty()
				s := newMirror(t, shared, mirror.Config{OnChange: func(mirror.Change) { t.Error("OnChange was called after Close") }})
				_ = s.Close()
				begin(shared)
				offer(t, s, policy(t, ratelimit.PerSecond(1000)), time.Millisecond, time.Second)
			})
		})
	}
}

// TestSlowStoreComesBack: a store that answers more slowly than the default timeout, but in
// the time that requests wait, does not stay down.
func TestSlowStoreComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		shared.trip = func() time.Duration { return 100 * time.Millisecond }
		var changes atomic.Int64
		s := newMirror(t, plain{shared}, mirror.Config{OnChange: func(mirror.Change) { changes.Add(1) }})
		r := store.Request{Key: "key", Limits: policy(t, ratelimit.PerSecond(5)), Cost: 1, Timeout: 300 * time.Millisecond}
		shared.hangs.Store(true)
		for range 3 {
			if _, err := s.Take(t.Context(), r); err != nil {
				t.Error(err)
			}
		}
		shared.up()
		time.Sleep(2 * time.Second)
		if n := changes.Load(); n != 2 {
			t.Errorf("OnChange was called %d times; want 2, down and back", n)
		}
	})
}

// TestOnChangeThatEndsItsGoroutine does not end the probing.
func TestOnChangeThatEndsItsGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		s := newMirror(t, shared, mirror.Config{OnChange: func(mirror.Change) { runtime.Goexit() }})
		shared.down()
		for range 3 {
			take(t, s, "key", policy(t, ratelimit.PerSecond(5)), 1)
		}
		shared.up()
		time.Sleep(time.Second)
		if h := s.Check(t.Context()); h.Decides != mirror.PartShared {
			t.Errorf("%q decides; want %q", h.Decides, mirror.PartShared)
		}
	})
}

// TestRelapse: a store that decides every other request is not down and back ten times a
// second.
func TestRelapse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var changes atomic.Int64
		s := newMirror(t, &some{faulty: newFaulty()}, mirror.Config{OnChange: func(mirror.Change) { changes.Add(1) }})
		offer(t, s, policy(t, ratelimit.PerSecond(1000)), time.Millisecond, time.Minute)
		if n := changes.Load(); n > 100 {
			t.Errorf("%d transitions in a minute; want 100 at most", n)
		}
	})
}
