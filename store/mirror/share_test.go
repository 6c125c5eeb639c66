package mirror_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror"
)

// TestShares: nodes that decide alone admit their shares and no more, however much of the
// shared bucket is left. The known debt counts.
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
					t.Errorf("%d requests were admitted at once; want %d", burst, c.burst)
				}
				time.Sleep(100 * time.Microsecond)
				later, _ := offer(t, s, p, 100*time.Millisecond, time.Minute)
				if later < c.later-1 || later > c.later {
					t.Errorf("%d requests were admitted in the next minute; want %d, or one less", later, c.later)
				}
			})
		})
	}
}

// TestRetryAfterIsTheShares: while the store is down, a single client that waits for RetryAfter
// is admitted next, by one of several nodes as well.
func TestRetryAfterIsTheShares(t *testing.T) {
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
				if state := r.State(0); state.RetryAfter != r.RetryAfter() {
					t.Errorf("the deciding limit says %v, and the result %v", state.RetryAfter, r.RetryAfter())
				}
				time.Sleep(r.RetryAfter())
				if r, _ = limiter.Allow(t.Context(), "key"); !r.Allowed {
					t.Fatalf("%d nodes: denied after the wait", nodes)
				}
			}
			if denied < 90 {
				t.Errorf("only %d requests were denied", denied)
			}
			// More than the share holds: not before the store is back.
			if r, _ := limiter.AllowN(t.Context(), "another", 5); nodes > 1 && (r.Allowed || r.RetryAfter() == gcra.Never || r.RetryAfter() <= 0) {
				t.Errorf("%d nodes: a request for all tokens has %+v", nodes, r)
			}
			if r, _ := limiter.AllowN(t.Context(), "another", 6); r.RetryAfter() != gcra.Never {
				t.Errorf("%d nodes: a request for more than the burst waits for %v", nodes, r.RetryAfter())
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
			t.Errorf("%d requests were admitted; want 2", admitted)
		}
		for _, cost := range []int{3, -1} {
			if take(t, s, "key", two, cost).Allowed {
				t.Errorf("a cost of %d was admitted", cost)
			}
		}
		if h := s.Check(t.Context()); h.Decides != mirror.PartLocal {
			t.Errorf("Check reports that %q decides; want %q", h.Decides, mirror.PartLocal)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		s := newMirror(t, shared, mirror.Config{NoShare: true})
		hour := testkit.Policy(t, ratelimit.PerHour(2))
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
			failed, ok := errors.AsType[*store.Error](err)
			if !ok || failed.Class != class || !failed.NotCharged {
				t.Errorf("request %d: %v; want an error of class %s, not charged", i, err, class)
			}
		}
		if h := s.Check(t.Context()); h.Decides != "" || h.Status != store.StatusFailed {
			t.Errorf("Check returned %+v; want that nothing decides", h)
		}
	})
}
