package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/mirror"
)

// outages are ways to be away.
var outages = map[string]func(f *faulty){
	"refuses":            func(f *faulty) { f.down() },
	"hangs":              func(f *faulty) { f.hangs.Store(true) },
	"hangs, and charges": func(f *faulty) { f.hangs.Store(true); f.late.Store(true) },
}

// TestTakeOverAndBack: a single node admits what its limit says, through an outage of
// ten seconds, whether the shared store keeps its data or not; nobody waits longer than
// the timeout, few wait so long, and the shared store is soon asked again.
func TestTakeOverAndBack(t *testing.T) {
	p := policy(t, ratelimit.PerSecond(5))
	for name, begin := range outages {
		for _, lose := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, loses its data: %v", name, lose), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					shared := newFaulty()
					s := newMirror(t, shared, mirror.Config{})
					admitted, _ := offer(t, s, p, 5*time.Millisecond, 3*time.Second)

					begin(shared)
					before := shared.asked.Load()
					n, slowest := offer(t, s, p, 5*time.Millisecond, 10*time.Second)
					admitted += n
					if slowest > ratelimit.DefaultTimeout {
						t.Errorf("a call took %v; the timeout is %v", slowest, ratelimit.DefaultTimeout)
					}
					if asked := shared.asked.Load() - before; asked > 3+100*2 { // a proof is one call that fails
						t.Errorf("the shared store was asked %d times while it was away", asked)
					}
					if h := s.Check(t.Context()); h.Status != ratelimit.StatusDegraded || h.Decides != mirror.PartLocal {
						t.Errorf("Check says %+v; want degraded, decided here", h)
					}

					if lose {
						shared.lost.Add(1)
					}
					shared.up()
					n, _ = offer(t, s, p, 5*time.Millisecond, 200*time.Millisecond)
					admitted += n
					if h := s.Check(t.Context()); h.Status != ratelimit.StatusOK || h.Decides != mirror.PartShared {
						t.Errorf("0.2 s after the shared store was well, Check says %+v", h)
					}
					n, _ = offer(t, s, p, 5*time.Millisecond, 5*time.Second)
					admitted += n
					// B + r*T, of 18.2 s; and the last 20 ms or so of Check in an outage.
					if admitted < 90 || admitted > 5+5*18+2 {
						t.Errorf("%d calls were admitted; want 90 to 97", admitted)
					}
				})
			})
		}
	}
}

// TestShares: three nodes that decide alone admit their shares, and no more, however
// much of the shared bucket is left; and the debt that is known counts.
func TestShares(t *testing.T) {
	for _, c := range []struct {
		limit ratelimit.Limit
		nodes int
		spent int // before the outage
		burst int // that a node admits at once
		later int // and in the next minute
	}{
		{ratelimit.PerMinute(60), 3, 0, 20, 20},
		{ratelimit.PerMinute(60), 1, 0, 60, 60},
		{ratelimit.PerMinute(60), 3, 30, 10, 20},
		{ratelimit.PerMinute(60), 3, 60, 0, 20},
		{ratelimit.PerMinute(5), 2, 0, 2, 2},
		{ratelimit.PerMinute(5), 10, 0, 1, 0},
		{ratelimit.PerMinute(60).WithBurst(1), 7, 0, 1, 8},
	} {
		t.Run(fmt.Sprintf("%v of %d nodes, %d spent", c.limit, c.nodes, c.spent), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shared := newFaulty()
				s := newMirror(t, shared, mirror.Config{Nodes: c.nodes})
				p := policy(t, c.limit)
				if c.spent > 0 {
					take(t, s, "key", p, c.spent)
				}
				shared.down()
				burst := 0
				for range 200 {
					d := take(t, s, "key", p, 1)
					if d.Allowed {
						burst++
					}
					check(t, p, 1, d)
				}
				if burst != c.burst {
					t.Errorf("%d calls were admitted at once; want %d", burst, c.burst)
				}
				time.Sleep(100 * time.Microsecond)
				later, _ := offer(t, s, p, 100*time.Millisecond, time.Minute)
				if later < c.later-1 || later > c.later {
					t.Errorf("%d calls were admitted in the next minute; want %d, or one less", later, c.later)
				}
			})
		})
	}
}

// check fails unless a limiter can make a result of the decision.
func check(t *testing.T, p *ratelimit.Policy, cost int, d ratelimit.Decision) {
	t.Helper()
	refused := false
	for i := range p.Len() {
		b := p.Bucket(i)
		debt := d.Debts[i]
		if debt.Micros < 0 || debt.Frac >= b.Denominator() || !b.Fits(debt) {
			t.Fatalf("a debt of %v was told, of at most %v", debt, b.Capacity())
		}
		refused = refused || b.RetryAfter(debt, cost) > 0
		if own, ok := b.Cost(cost); d.Allowed && (!ok || debt.Less(own)) {
			t.Fatalf("a call of cost %d was admitted with a debt of %v", cost, debt)
		}
	}
	if !d.Allowed && !refused {
		t.Fatalf("a call of cost %d was denied with the debts %v, which leave room for it", cost, d.Debts)
	}
}

// TestOnOneFailure the call is decided here, though the shared store is not away yet.
func TestOnOneFailure(t *testing.T) {
	for name, begin := range outages {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shared := newFaulty()
				changes := 0
				s := newMirror(t, shared, mirror.Config{OnChange: func(mirror.Change) { changes++ }})
				hour := policy(t, ratelimit.PerHour(2))
				for range 2 {
					begin(shared)
					if !take(t, s, "key", hour, 1).Allowed {
						t.Error("a call was denied though nobody had called")
					}
					shared.up()
					take(t, s, "other", hour, 1)
				}
				// Both calls are in the debt that is carried, once.
				if d := take(t, s, "key", hour, 0); d.Debts[0].Duration() > time.Hour || d.Debts[0].Duration() < time.Hour-time.Second {
					t.Errorf("the debt is %v after two calls of half an hour each", d.Debts[0].Duration())
				}
				if changes != 0 {
					t.Errorf("OnChange was called %d times", changes)
				}
			})
		})
	}
}

// TestHandOverCarriesWhatWasAdmittedAlone, of a key that the shared store never saw.
func TestHandOverCarriesWhatWasAdmittedAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		here, there := newMirror(t, shared, mirror.Config{Nodes: 2}), newMirror(t, shared, mirror.Config{Nodes: 2})
		hour := policy(t, ratelimit.PerHour(10))
		shared.down()
		for range 10 {
			take(t, here, "key", hour, 1)
		}
		shared.up()
		time.Sleep(time.Second)
		take(t, here, "key", hour, 1) // admitted, and told
		d := take(t, there, "key", hour, 0)
		if left := hour.Bucket(0).Remaining(d.Debts[0]); left != 10-6 {
			t.Errorf("%d tokens are left; want 4: five were granted alone, and one since", left)
		}
	})
}

// TestResetWhileAway acts here, and says that it does no more.
func TestResetWhileAway(t *testing.T) {
	for _, nodes := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			shared := newFaulty()
			s := newMirror(t, shared, mirror.Config{Nodes: nodes})
			hour := policy(t, ratelimit.PerHour(10))
			take(t, s, "key", hour, 10)
			shared.down()
			for i, class := range []string{"connect", mirror.ClassDown} {
				if take(t, s, "key", hour, 1).Allowed {
					t.Error("an empty bucket admitted a call alone")
				}
				err := s.Reset(t.Context(), "key", hour)
				if failed, ok := errors.AsType[*ratelimit.StoreError](err); !ok || failed.Class != class {
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

// TestNoShare: this node's share decides what the shared store does not or, with
// NoShare, Take returns the shared store's error.
func TestNoShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		s := newMirror(t, shared, mirror.Config{})
		two := policy(t, ratelimit.PerHour(2), ratelimit.PerSecond(700).Named("quick"))
		shared.down()
		admitted := 0
		for range 10 {
			d := take(t, s, "key", two, 1)
			check(t, two, 1, d)
			if d.Allowed {
				admitted++
			}
		}
		if admitted != 2 {
			t.Errorf("%d calls were admitted; want 2", admitted)
		}
		for _, cost := range []int{3, -1} {
			if take(t, s, "key", two, cost).Allowed {
				t.Errorf("a cost of %d was admitted", cost)
			}
		}
		if h := s.Check(t.Context()); h.Decides != mirror.PartLocal {
			t.Errorf("Check says that %q decides; want %q", h.Decides, mirror.PartLocal)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		s := newMirror(t, shared, mirror.Config{NoShare: true})
		hour := policy(t, ratelimit.PerHour(2))
		limiter, err := ratelimit.New(s, hour, ratelimit.Config{})
		if err != nil {
			t.Fatal(err)
		}
		shared.down()
		for i := range 6 {
			_, err := limiter.Allow(t.Context(), "key")
			class := "connect"
			if i >= 3 {
				class = mirror.ClassDown
			}
			failed, ok := errors.AsType[*ratelimit.StoreError](err)
			if !ok || failed.Class != class || !failed.NotCharged {
				t.Errorf("request %d: %v; want an error of class %s, not charged", i, err, class)
			}
		}
		if h := s.Check(t.Context()); h.Decides != "" || h.Status != ratelimit.StatusFailed {
			t.Errorf("Check returned %+v; want that nothing decides", h)
		}
	})
}

// TestGaveUp: a caller who cancels gets an error, and is no failure.
func TestGaveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		s := newMirror(t, shared, mirror.Config{OnChange: func(c mirror.Change) { t.Errorf("OnChange(%+v)", c) }})
		hour := policy(t, ratelimit.PerHour(2))
		shared.hangs.Store(true)
		for range 5 {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(40*time.Millisecond, cancel)
			_, err := s.Take(ctx, ratelimit.Request{Key: "key", Policy: hour, Cost: 1, Timeout: 50 * time.Millisecond})
			if ratelimit.ErrorClass(err) != ratelimit.ClassCanceled {
				t.Errorf("the error is %v; want one of class canceled", err)
			}
			cancel()
		}
		// So it is with one who had less time than half of the timeout; he is answered.
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			if _, err := s.Take(ctx, ratelimit.Request{Key: "other", Policy: hour, Cost: 1, Timeout: 50 * time.Millisecond}); err != nil {
				t.Errorf("Take returned an error: %v", err)
			}
			cancel()
		}
	})
}

// TestToldWaitIsTheShares: while the store is away, who waits as told and is alone is
// admitted next, by one node of several too.
func TestToldWaitIsTheShares(t *testing.T) {
	for _, nodes := range []int{1, 3, 5, 7} {
		synctest.Test(t, func(t *testing.T) {
			shared := newFaulty()
			shared.down()
			limiter, err := ratelimit.New(newMirror(t, shared, mirror.Config{Nodes: nodes}), ratelimit.PerSecond(5), ratelimit.Config{})
			if err != nil {
				t.Fatal(err)
			}
			denied := 0
			for range 100 {
				r, err := limiter.Allow(t.Context(), "key")
				if err != nil {
					t.Fatal(err)
				}
				if r.Allowed {
					continue
				}
				denied++
				if state := r.State(0); state.RetryAfter != r.RetryAfter {
					t.Errorf("the deciding limit tells %v, and the result %v", state.RetryAfter, r.RetryAfter)
				}
				time.Sleep(r.RetryAfter)
				if r, _ = limiter.Allow(t.Context(), "key"); !r.Allowed {
					t.Fatalf("%d nodes: refused after the told wait", nodes)
				}
			}
			if denied < 90 {
				t.Errorf("only %d calls were denied", denied)
			}
			// More than the share holds: not before the store is back.
			if r, _ := limiter.AllowN(t.Context(), "another", 5); nodes > 1 && (r.Allowed || r.RetryAfter == ratelimit.Never || r.RetryAfter <= 0) {
				t.Errorf("%d nodes: a call of all tokens has %+v", nodes, r)
			}
			if r, _ := limiter.AllowN(t.Context(), "another", 6); r.RetryAfter != ratelimit.Never {
				t.Errorf("%d nodes: a call of more than the burst is told to wait for %v", nodes, r.RetryAfter)
			}
		})
	}
}
