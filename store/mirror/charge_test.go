package mirror_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror"
)

// settling is a connection to a shared store whose next settlement may fail.
type settling struct {
	cuttable
	fails    error // of the next settlement of a key
	executes bool  // it is executed all the same
	settled  atomic.Int64
}

func (s *settling) Settle(ctx context.Context, all []store.Settlement) {
	s.settled.Add(1)
	err := s.fails
	if s.fails = nil; err == nil || s.executes {
		s.cuttable.Settle(ctx, all)
	}
	for i := range all {
		if err != nil {
			all[i].Err = err
		}
	}
}

// nodesOf returns nodes on one shared store, which know its clock.
func nodesOf(t *testing.T, n int) (shared *faulty, nodes []*mirror.Store, links []*settling) {
	t.Helper()
	shared = newFaulty()
	time.Sleep(time.Hour) // the shared clock does not start at 0
	for range n {
		l := &settling{cuttable: cuttable{link{faulty: shared}}}
		links, nodes = append(links, l), append(nodes, newMirror(t, l, mirror.Config{Nodes: n}))
		take(t, nodes[len(nodes)-1], "another key", policy(t, ratelimit.PerDay(1)), 1)
	}
	return shared, nodes, links
}

// away cuts a node off, which notices.
func (s *settling) away(t *testing.T, node *mirror.Store) {
	t.Helper()
	s.cut.Store(true)
	for range 3 {
		take(t, node, "other", policy(t, ratelimit.PerDay(1000)), 0)
	}
}

// home ends that: the node needs no room in its share any more.
func (s *settling) home() {
	s.cut.Store(false)
	time.Sleep(1200 * time.Millisecond)
}

// spend makes requests of cost 1 that must be admitted.
func spend(t *testing.T, s store.Store, p []store.Limit, n int) {
	t.Helper()
	for range n {
		if d := take(t, s, "key", p, 1); !d.Allowed {
			t.Fatalf("denied by %v, with the debts %v", d.Source, d.Debts)
		}
	}
}

// owes fails the test unless the shared store's bucket of the key lacks n tokens.
func (f *faulty) owes(t *testing.T, p []store.Limit, n int) {
	t.Helper()
	d, _ := f.store.Take(t.Context(), store.Request{Key: f.key("key"), Limits: p})
	if owed := p[0].Burst() - left(p, d); owed != n {
		t.Errorf("%d tokens are spent in the shared store; want %d", owed, n)
	}
}

// TestHandOverIsASum of what the nodes admitted alone, and of what was spent before. It is charged
// once, before anything is handed over as knowledge.
func TestHandOverIsASum(t *testing.T) {
	for _, hold := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			shared, nodes, links := nodesOf(t, 2)
			p := policy(t, ratelimit.PerDay(100))
			spend(t, nodes[0], p, 20)
			take(t, nodes[1], "key", p, 0)
			for i, s := range nodes {
				links[i].away(t, s)
				if hold {
					_, names := holding(t, s, "key", p, 30)
					settle(t, s, store.Settlement{Key: "key", Limits: p, Names: names, Held: 30, Actual: 25})
					continue
				}
				spend(t, s, p, 25)
			}
			for i, s := range nodes {
				links[i].home()
				if take(t, s, "key", p, 0); links[i].settled.Load() != 0 {
					t.Error("a request that costs nothing charges what was admitted alone")
				}
				spend(t, s, p, 2)
			}
			shared.owes(t, p, 20+2*25+2*2)
			if n := links[0].settled.Load() + links[1].settled.Load(); n != 2 {
				t.Errorf("there were %d settlements; want one of each node", n)
			}
		})
	}
}

// TestHandOverGoesBeyondTheLimit: what does not fit is charged as well, and repaid.
func TestHandOverGoesBeyondTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, nodes, links := nodesOf(t, 2)
		p := policy(t, ratelimit.PerMinute(60))
		links[0].away(t, nodes[0])
		spend(t, nodes[0], p, 30)
		spend(t, nodes[1], p, 60)
		links[0].home()
		take(t, nodes[0], "key", p, 1)
		time.Sleep(25 * time.Second)
		if take(t, nodes[1], "key", p, 1).Allowed {
			t.Error("less than 30 s later a token is there")
		}
		time.Sleep(6 * time.Second)
		spend(t, nodes[1], p, 1)
	})
}

// TestHandOverLeavesOutWhatMayBeCharged: the shared store may have executed a request that timed out.
func TestHandOverLeavesOutWhatMayBeCharged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared, nodes, links := nodesOf(t, 2)
		p := policy(t, ratelimit.PerDay(10))
		shared.hangs.Store(true)
		shared.late.Store(true)
		spend(t, nodes[0], p, 1)
		shared.up()
		spend(t, nodes[0], p, 1)
		shared.owes(t, p, 2)
		if n := links[0].settled.Load(); n != 0 {
			t.Errorf("there were %d settlements", n)
		}
	})
}

// TestHandOverLeavesOutWhatHasDrained from the share, before it is sent and while it is kept.
func TestHandOverLeavesOutWhatHasDrained(t *testing.T) {
	for _, c := range []struct {
		before, kept time.Duration
		want         int
	}{{0, 0, 20}, {9300 * time.Millisecond, 0, 15}, {0, 9 * time.Second, 16}, {time.Minute, 0, 0}, {0, time.Minute, 0}} {
		synctest.Test(t, func(t *testing.T) {
			shared, nodes, links := nodesOf(t, 2)
			p := policy(t, ratelimit.PerMinute(60))
			links[0].away(t, nodes[0])
			spend(t, nodes[0], p, 20)
			time.Sleep(c.before) // the share gets back a token in 2 s
			links[0].home()
			links[0].settled.Store(0)
			if c.kept > 0 {
				links[0].fails = errRefused
				take(t, nodes[0], "key", p, 61) // denied
				time.Sleep(c.kept)
			}
			take(t, nodes[0], "key", p, 61)
			shared.owes(t, p, c.want)
			if n := links[0].settled.Load(); c.want == 0 && c.kept == 0 && n != 0 {
				t.Errorf("there were %d settlements of nothing", n)
			}
		})
	}
}

// TestHandOverFails: what is not executed is kept. What may have been executed is not sent again,
// and handed over as knowledge.
func TestHandOverFails(t *testing.T) {
	for name, c := range map[string]struct {
		err      error
		executes bool
		settled  int64
	}{
		"not executed":     {errRefused, false, 3}, // the last for a request that was decided alone
		"executed":         {errNotAnswered, true, 1},
		"perhaps executed": {errNotAnswered, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shared, nodes, links := nodesOf(t, 2)
				p := policy(t, ratelimit.PerDay(100))
				links[0].away(t, nodes[0])
				spend(t, nodes[0], p, 20)
				links[0].home()
				links[0].settled.Store(0)
				links[0].fails, links[0].executes = c.err, c.executes
				spend(t, nodes[0], p, 2)
				shared.owes(t, p, 22)
				if n := links[0].settled.Load(); n != c.settled {
					t.Errorf("there were %d settlements; want %d", n, c.settled)
				}
			})
		})
	}
}

// TestResetVoidsAHandOver: a reset on this node, and one on another node after the last request
// that was admitted alone.
func TestResetVoidsAHandOver(t *testing.T) {
	for _, c := range []struct {
		here, last bool
		want       int
	}{{true, true, 0}, {false, true, 0}, {true, false, 1}, {false, false, 6}} {
		synctest.Test(t, func(t *testing.T) {
			shared, nodes, links := nodesOf(t, 2)
			p := policy(t, ratelimit.PerDay(100))
			links[0].away(t, nodes[0])
			spend(t, nodes[0], p, 5)
			time.Sleep(time.Second)
			reset := nodes[1]
			if c.here {
				reset = nodes[0]
			}
			_ = reset.Reset(t.Context(), store.Request{Key: "key", Limits: p})
			time.Sleep(time.Second)
			if !c.last {
				spend(t, nodes[0], p, 1)
			}
			links[0].home()
			take(t, nodes[0], "key", p, 101) // denied
			shared.owes(t, p, c.want)
		})
	}
}

// TestResetEndsAHandOver, even if the share owes as much again before it is sent.
func TestResetEndsAHandOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared, nodes, links := nodesOf(t, 2)
		p := policy(t, ratelimit.PerDay(100))
		links[0].away(t, nodes[0])
		spend(t, nodes[0], p, 5)
		links[0].home()
		if err := nodes[0].Reset(t.Context(), store.Request{Key: "key", Limits: p}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		spend(t, nodes[1], p, 40)
		take(t, nodes[0], "key", p, 0)
		links[0].away(t, nodes[0])
		spend(t, nodes[0], p, 1)
		links[0].home()
		take(t, nodes[0], "key", p, 101) // denied
		shared.owes(t, p, 41)
	})
}

// TestShareAfterTheReturn: for a second after it, the shared store and the share must have room.
// The other nodes may have to hand over yet.
func TestShareAfterTheReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, nodes, links := nodesOf(t, 3)
		p := policy(t, ratelimit.PerDay(30))
		links[0].away(t, nodes[0])
		spend(t, nodes[0], p, 4)
		links[0].cut.Store(false)
		time.Sleep(200 * time.Millisecond)
		spend(t, nodes[0], p, 6)
		for _, cost := range []int{1, 11} {
			d := take(t, nodes[0], "key", p, cost)
			if d.Allowed || d.Source != store.FromShare || d.RetryAfter <= 0 {
				t.Errorf("a request of cost %d is answered %+v; want a denial of the share, and its wait", cost, d)
			}
			check(t, p, cost, d)
		}
		if d := take(t, nodes[0], "key", p, 0); d.Source != store.FromStore {
			t.Errorf("a request of cost 0 is answered %+v", d)
		}
		time.Sleep(time.Second)
		spend(t, nodes[0], p, 20)
	})
}

// TestHandOverOfManyKeys shares trips.
func TestHandOverOfManyKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared, nodes, links := nodesOf(t, 2)
		shared.trip = func() time.Duration { return time.Millisecond }
		p := policy(t, ratelimit.PerDay(10))
		links[0].away(t, nodes[0])
		const keys = 1000
		all := func() {
			var wg sync.WaitGroup
			for i := range keys {
				wg.Go(func() {
					if d := take(t, nodes[0], fmt.Sprint(i), p, 1); !d.Allowed {
						t.Errorf("key %d is denied: %+v", i, d)
					}
				})
			}
			wg.Wait()
		}
		all()
		links[0].home()
		links[0].settled.Store(0)
		before := time.Now()
		all()
		if n, took := links[0].settled.Load(), time.Since(before); n > keys/100 || took > 30*time.Millisecond {
			t.Errorf("%d keys took %d settlements and %v", keys, n, took)
		}
		for i := range keys {
			if d := take(t, nodes[1], fmt.Sprint(i), p, 0); left(p, d) != 8 {
				t.Fatalf("%d are left of key %d; want 8", left(p, d), i)
			}
		}
	})
}

// TestHandOverAsKnowledge: of a single node, which needs nothing else, and to a store that cannot charge.
func TestHandOverAsKnowledge(t *testing.T) {
	for _, n := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			shared := newFaulty()
			link := &settling{cuttable: cuttable{link{faulty: shared}}}
			var s store.Store = link
			if n > 1 {
				s = plain{s}
			}
			node := newMirror(t, s, mirror.Config{Nodes: n})
			p := policy(t, ratelimit.PerDay(100))
			take(t, node, "key", p, 0)
			link.away(t, node)
			spend(t, node, p, 20)
			link.cut.Store(false)
			time.Sleep(200 * time.Millisecond)
			spend(t, node, p, 50)
			shared.owes(t, p, 70)
			if n := link.settled.Load(); n != 0 {
				t.Errorf("there were %d settlements", n)
			}
		})
	}
}
