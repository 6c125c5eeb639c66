package mirror_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
	"github.com/keyrate/keyrate/store/mirror"
)

// loans are the limits of n calls at a time, and perhaps a rate.
func loans(t testing.TB, n int, rates ...ratelimit.Limit) []store.Limit {
	t.Helper()
	rate, err := gcra.NewLoan(n)
	if err != nil {
		t.Fatal(err)
	}
	loan, err := store.NewLimit("concurrent", rate)
	if err != nil {
		t.Fatal(err)
	}
	if len(rates) == 0 {
		return []store.Limit{loan}
	}
	return append(policy(t, rates...), loan)
}

// down makes the shared store count as down.
func (f *faulty) outage(t testing.TB, s store.Store) {
	t.Helper()
	f.down()
	for range 3 {
		take(t, s, "other", policy(t, ratelimit.PerDay(1000)), 1)
	}
}

// back ends an outage: the node has noticed it when back returns.
func (f *faulty) back() {
	f.up()
	time.Sleep(200 * time.Millisecond)
}

// TestHoldsDenyNothingByKnowledge: what is held may be given back at any time, so a request that
// it leaves no room for asks. What is spent denies.
func TestHoldsDenyNothingByKnowledge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMirror(t, newFaulty(), mirror.Config{})
		p := loans(t, 3, ratelimit.PerHour(10))
		var names [4][store.MaxLimits]int64
		for i := range 3 {
			var d store.Decision
			if d, names[i] = holding(t, s, "key", p, 3); !d.Allowed || d.Held[0] != 3*(i+1) || d.Held[1] != i+1 {
				t.Fatalf("hold %d is answered %+v", i, d)
			}
		}
		for range 3 {
			if d, _ := holding(t, s, "key", p, 1); d.Allowed || d.Source != store.FromStore || d.Held[1] != 3 {
				t.Errorf("a fourth call is answered %+v; want a denial of the store", d)
			}
		}
		one := settle(t, s, store.Settlement{Key: "key", Limits: p, Names: names[0], Held: 3, Actual: 4})
		if one.Err != nil || p[0].Remaining(one.Debts[0]) != 6 {
			t.Errorf("settled as %+v", one)
		}
		if d := take(t, s, "key", p[:1], 7); d.Allowed || d.Source != store.FromKnowledge || d.Held[0] != 0 {
			t.Errorf("a request of cost 7 is answered %+v; want a denial by knowledge of the settled tokens", d)
		}
		if d, _ := holding(t, s, "key", p, 7); d.Allowed || d.Source != store.FromKnowledge {
			t.Errorf("a call of cost 7 is answered %+v; want a denial by knowledge of the settled tokens", d)
		}
		if d, _ := holding(t, s, "key", p, 1); d.Allowed || d.Source != store.FromStore {
			t.Errorf("a call of cost 1 is answered %+v; want a denial of the store: 4 are spent, 6 held", d)
		}
	})
}

// TestLoansNeedAHold: without, nothing would give them back.
func TestLoansNeedAHold(t *testing.T) {
	shared := newFaulty()
	s := newMirror(t, shared, mirror.Config{})
	r := store.Request{Key: "key", Limits: loans(t, 3), Cost: 1, Timeout: store.DefaultTimeout}
	if _, err := s.Take(t.Context(), r); store.ErrorClass(err) != store.ClassOther {
		t.Errorf("Take returned %v", err)
	}
	unable := newMirror(t, plain{shared}, mirror.Config{})
	r.Hold = new(store.Hold)
	if _, err := unable.Take(t.Context(), r); store.ErrorClass(err) != store.ClassOther || unable.Holds() {
		t.Errorf("in front of a store that cannot hold, Take returned %v", err)
	}
	if one := settle(t, unable, store.Settlement{Key: "key", Limits: r.Limits}); store.ErrorClass(one.Err) != store.ClassOther {
		t.Errorf("in front of a store that cannot hold, Settle returned %v", one.Err)
	}
	if n := shared.asked.Load(); n != 0 {
		t.Errorf("the shared store was asked %d times", n)
	}
}

// TestCallsThroughAnOutage: 10 calls at a time, of one node and of two. While the shared store is
// down, a node's share is what it has less the calls that it has running. From 0.3 of a long slot
// after the return on none is admitted while 10 or more are out.
func TestCallsThroughAnOutage(t *testing.T) {
	for _, c := range []struct{ nodes, before, during int }{{1, 10, 0}, {1, 4, 6}, {1, 0, 10}, {2, 5, 0}, {2, 2, 3}, {2, 0, 5}, {20, 0, 1}, {20, 1, 0}} {
		for _, lose := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d nodes, %d out, data lost %v", c.nodes, c.before, lose), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					shared := newFaulty()
					s, p := newMirror(t, shared, mirror.Config{Nodes: c.nodes}), loans(t, 10)
					var out []store.Settlement
					open := func() bool {
						d, names := holding(t, s, "key", p, 1)
						if d.Allowed {
							out = append(out, store.Settlement{Key: "key", Limits: p, Names: names, Held: 1, Renew: true})
						} else if d.Held[0] < 10 {
							t.Errorf("a call was denied with %d of 10 held", d.Held[0])
						}
						return d.Allowed
					}
					renew := func() { // as a limiter does, every 3 s
						all := append([]store.Settlement(nil), out...)
						s.Settle(t.Context(), all)
						for i := range all {
							if all[i].Err == nil {
								out[i].Names = all[i].Names
							}
						}
					}
					for range c.before {
						open()
					}
					time.Sleep(300 * time.Millisecond)
					renew()
					shared.outage(t, s)
					if lose {
						shared.lost.Add(1)
					}
					for range 20 {
						open()
					}
					if n := len(out); n != c.before+c.during {
						t.Errorf("%d calls are running in the outage; want %d", n, c.before+c.during)
					}
					for range 12 { // longer than any hold lasts
						time.Sleep(3 * time.Second)
						renew()
						if open() {
							t.Error("a call was admitted beyond the share")
						}
					}
					shared.back()
					renew()
					running := len(out)
					for open() {
					}
					if n := len(out); n != 10 {
						t.Errorf("after the return %d calls are running; want 10", n)
					}
					time.Sleep(3 * time.Second)
					renew()
					for _, one := range out[:running] {
						if one.Renew = false; settle(t, s, one).Err != nil {
							t.Error("a settlement failed")
						}
					}
					out = out[running:]
					for open() {
					}
					if n := len(out); n != 10 {
						t.Errorf("after %d calls ended %d are running; want 10", running, n)
					}
				})
			})
		}
	}
}

// TestTokensHeldThroughAnOutage: what is held before it takes room in the share, and what is held
// in it counts by what was spent. When the shared store is asked again, what is still held alone
// counts as spent, and what exceeds it is added when it ends.
func TestTokensHeldThroughAnOutage(t *testing.T) {
	for _, c := range []struct {
		name                string
		before, alone       int // tokens that are held
		settled             int // how many of alone are spent during the outage; -1: it goes on
		late                int // how many are spent in all when it ends later
		ended               bool
		inOutage, afterward int // tokens that are left
	}{
		{name: "held before", before: 40, settled: 0, inOutage: 60, afterward: 60},
		{name: "settled in time", alone: 30, settled: 10, inOutage: 90, afterward: 90},
		{name: "settled with more", alone: 30, settled: 50, inOutage: 50, afterward: 50},
		{name: "both", before: 40, alone: 30, settled: 30, inOutage: 30, afterward: 30},
		{name: "still held at the return", alone: 30, settled: -1, late: 20, inOutage: 70, afterward: 70},
		{name: "still held at the return, and more spent", alone: 30, settled: -1, late: 45, inOutage: 70, afterward: 55},
		{name: "never settled", alone: 30, settled: -1, ended: true, inOutage: 70, afterward: 70},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shared := newFaulty()
				s, p := newMirror(t, shared, mirror.Config{}), policy(t, ratelimit.PerDay(100).Named("daily"))
				left := func() int {
					d := take(t, s, "key", p, 0)
					return p[0].Remaining(d.Debts[0]) - d.Held[0]
				}
				before, beforeNames := store.Decision{}, [store.MaxLimits]int64{}
				if c.before > 0 {
					before, beforeNames = holding(t, s, "key", p, c.before)
				}
				shared.outage(t, s)
				one := store.Settlement{Key: "key", Limits: p, Held: c.alone, Actual: c.settled}
				if c.alone > 0 {
					var d store.Decision
					if d, one.Names = holding(t, s, "key", p, c.alone); !d.Allowed || d.Source != store.FromShare {
						t.Fatalf("a hold is answered %+v", d)
					}
					if n := left(); n != 100-c.before-c.alone {
						t.Errorf("%d are left while they are held; want %d", n, 100-c.before-c.alone)
					}
				}
				if c.alone > 0 && c.settled >= 0 {
					if one = settle(t, s, one); one.Err != nil {
						t.Error(one.Err)
					}
				}
				if c.ended {
					time.Sleep(30 * time.Second)
				}
				if n := left(); n != c.inOutage {
					t.Errorf("%d are left in the outage; want %d", n, c.inOutage)
				}
				shared.back()
				left()
				if before.Allowed {
					one := settle(t, s, store.Settlement{Key: "key", Limits: p, Names: beforeNames, Held: c.before, Actual: c.before})
					if one.Err != nil {
						t.Error(one.Err)
					}
				}
				if c.late > 0 {
					one.Actual = c.late
					if one = settle(t, s, one); one.Err != nil {
						t.Error(one.Err)
					}
				}
				if n := left(); n != c.afterward && n != c.afterward-1 { // what has drained is paid again, up to a token
					t.Errorf("%d are left afterward; want %d", n, c.afterward)
				}
				if d := take(t, s, "key", p, c.afterward+1); d.Allowed {
					t.Errorf("a request of cost %d was admitted", c.afterward+1)
				}
			})
		})
	}
}

// late writes the names of a hold when the caller has given up.
type late struct {
	*memstore.Store
	written chan struct{}
}

func (l late) Take(_ context.Context, r store.Request) (store.Decision, error) {
	if r.Hold != nil {
		go func() {
			time.Sleep(time.Millisecond)
			r.Hold.Names[0] = 77
			l.written <- struct{}{}
		}()
	}
	return store.Decision{}, errNotAnswered
}

// TestNamesWrittenTooLate are not those of the caller, and no race.
func TestNamesWrittenTooLate(t *testing.T) {
	shared := late{memstore.New(memstore.Config{}), make(chan struct{}, 2)}
	s, p := newMirror(t, shared, mirror.Config{}), loans(t, 3)
	d, names := holding(t, s, "key", p, 1)
	<-shared.written
	if !d.Allowed || d.Source != store.FromShare || names[0] == 77 || names[0] == 0 {
		t.Errorf("answered %+v, with the name %d", d, names[0])
	}
	if one := settle(t, s, store.Settlement{Key: "key", Limits: p, Names: names, Held: 1}); one.Err != nil {
		t.Error(one.Err)
	}
	if d, _ = holding(t, s, "other key", p, 1); d.Held[0] != 1 {
		t.Errorf("answered %+v", d)
	}
}
