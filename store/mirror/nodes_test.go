package mirror_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/mirror"
)

// alone returns how many requests of a new key are admitted at once while the store is down.
func alone(t *testing.T, s *mirror.Store, key string) (admitted int) {
	t.Helper()
	p := policy(t, ratelimit.PerHour(60))
	for range 100 {
		if take(t, s, key, p, 1).Allowed {
			admitted++
		}
	}
	return admitted
}

// TestNodesFollow: the share is that of the last number that was set before the outage; a number
// that is set during one holds a second after it.
func TestNodesFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		s := newMirror(t, shared, mirror.Config{Nodes: 3})
		s.SetNodes(12)
		shared.down()
		if n := alone(t, s, "a"); n != 5 {
			t.Errorf("one of 12 nodes admitted %d of 60", n)
		}
		s.SetNodes(2)
		if n := alone(t, s, "b"); n != 5 {
			t.Errorf("in an outage of 12 nodes, %d of 60 were admitted after SetNodes(2)", n)
		}
		shared.up()
		time.Sleep(3 * time.Second)
		take(t, s, "c", policy(t, ratelimit.PerHour(60)), 1) // which uses the number
		shared.down()
		if n := alone(t, s, "d"); n != 30 {
			t.Errorf("one of 2 nodes admitted %d of 60", n)
		}
		s.SetNodes(-1)
		shared.up()
		time.Sleep(3 * time.Second)
		take(t, s, "e", policy(t, ratelimit.PerHour(60)), 1)
		shared.down()
		if n := alone(t, s, "f"); n != 60 {
			t.Errorf("the only node admitted %d of 60", n)
		}
	})
}

// TestNodesChargeAfterwards: what a node admitted alone is charged once, also if it is the only
// one by then or has not been so before.
func TestNodesChargeAfterwards(t *testing.T) {
	for _, c := range []struct{ before, then int }{{1, 3}, {3, 1}, {12, 3}} {
		synctest.Test(t, func(t *testing.T) {
			shared := newFaulty()
			a, b := newMirror(t, shared, mirror.Config{Nodes: c.before}), newMirror(t, shared, mirror.Config{Nodes: c.before})
			p := policy(t, ratelimit.PerHour(60))
			take(t, b, "key", p, 6)
			take(t, a, "key", p, 6) // it sees the debt of both
			a.SetNodes(c.then)
			b.SetNodes(c.then)
			shared.down()
			alone := 0
			for range 60 {
				if take(t, a, "key", p, 1).Allowed {
					alone++
				}
			}
			a.SetNodes(1)
			shared.up()
			time.Sleep(3 * time.Second)
			for range 3 { // what is known is handed over
				take(t, a, "key", p, 1)
			}
			left := 0
			for range 100 {
				if take(t, b, "key", p, 1).Allowed {
					left++
				}
			}
			if sum := 12 + alone + left; sum > 60 || sum < 60-3 {
				t.Errorf("%d nodes, then %d: 12 were admitted, then %d alone, then %d: %d of 60", c.before, c.then, alone, left, sum)
			}
		})
	}
}

// TestNodesAtAnyTime: it may be set while requests are decided and the store fails.
func TestNodesAtAnyTime(t *testing.T) {
	shared := newFaulty()
	s := newMirror(t, shared, mirror.Config{})
	p := policy(t, ratelimit.PerSecond(100000))
	var working sync.WaitGroup
	defer working.Wait()
	for i := range 4 {
		working.Go(func() {
			for n := range 100 {
				s.SetNodes(1 + (i+n)%5)
				take(t, s, "key", p, 1)
				if i == 0 && n%20 == 0 {
					shared.down()
				} else if i == 0 && n%20 == 10 {
					shared.up()
				}
			}
		})
	}
}

// TestZeroMirrorHasNoNodes: it does not panic.
func TestZeroMirrorHasNoNodes(*testing.T) { new(mirror.Store).SetNodes(3) }
