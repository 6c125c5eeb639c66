package mirror_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror"
)

// TestSettlementsAreKept while the shared store is down, and charged once when it is back: the sum
// of what all nodes have spent, whether a request, another settlement or the probe comes first.
func TestSettlementsAreKept(t *testing.T) {
	for name, c := range map[string]struct {
		fails  func(f *faulty)
		outage time.Duration // 0: one failure, and the store is not down
		first  string
		class  string // of the error of Settle
		asks   int    // how often the settlements of one node were sent
	}{
		"one failure, then a request":    {fails: (*faulty).down, first: "request"},
		"one failure, then a settlement": {fails: (*faulty).down, first: "settlement"},
		"an outage":                      {fails: (*faulty).down, outage: time.Second},
		"the answer is lost":             {fails: func(f *faulty) { f.hangs.Store(true); f.late.Store(true) }, first: "request", class: store.ClassTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shared := newFaulty()
				time.Sleep(time.Hour)
				p := policy(t, ratelimit.PerDay(100))
				var nodes [2]*mirror.Store
				var all [2]store.Settlement
				for i := range nodes {
					nodes[i] = newMirror(t, shared, mirror.Config{Nodes: 2})
					d, names := holding(t, nodes[i], "key", p, 20)
					if !d.Allowed {
						t.Fatal(d)
					}
					all[i] = store.Settlement{Key: "key", Limits: p, Names: names, Held: 20, Actual: 30}
				}
				if c.outage > 0 {
					for _, s := range nodes {
						shared.outage(t, s)
					}
				} else {
					c.fails(shared)
				}
				for i, s := range nodes {
					if all[i] = settle(t, s, all[i]); store.ErrorClass(all[i].Err) != c.class {
						t.Errorf("Settle returned %v; want class %q", all[i].Err, c.class)
					}
					if n := p[0].Remaining(all[i].Debts[0]); n != 70 {
						t.Errorf("%d are left after the settlement; want 70", n)
					}
				}
				time.Sleep(c.outage)
				shared.back()
				for _, s := range nodes {
					switch c.first {
					case "request":
						take(t, s, "key", p, 0)
					case "settlement":
						if one := settle(t, s, store.Settlement{Key: "other key", Limits: p}); one.Err != nil {
							t.Error(one.Err)
						}
					}
				}
				for _, s := range nodes {
					if d := take(t, s, "key", p, 0); p[0].Remaining(d.Debts[0]) != 40 || d.Held[0] != 0 {
						t.Errorf("%d are left, and %d held; want 40 and 0", p[0].Remaining(d.Debts[0]), d.Held[0])
					}
					if h := s.Check(t.Context()); len(h.Warnings) > 0 {
						t.Errorf("Check returned %q", h.Warnings)
					}
				}
			})
		})
	}
}

// TestKeptSettlementsCount in the node's share.
func TestKeptSettlementsCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		s, p := newMirror(t, shared, mirror.Config{}), policy(t, ratelimit.PerDay(10))
		_, names := holding(t, s, "key", p, 4)
		shared.outage(t, s)
		settle(t, s, store.Settlement{Key: "key", Limits: p, Names: names, Held: 4, Actual: 7})
		if take(t, s, "key", p, 4).Allowed || !take(t, s, "key", p, 3).Allowed {
			t.Error("the share does not have the 3 tokens that are left")
		}
		if h := s.Check(t.Context()); !strings.Contains(fmt.Sprint(h.Warnings), "1 settlements wait") {
			t.Errorf("Check returned %q", h.Warnings)
		}
		shared.back()
		if d := take(t, s, "key", p, 1); d.Allowed || p[0].Remaining(d.Debts[0]) != 0 {
			t.Errorf("after the return a request is answered %+v", d)
		}
	})
}

// TestOldReleasesAreDropped: what they held has become a debt of the shared store. Charges are
// made however old they are.
func TestOldReleasesAreDropped(t *testing.T) {
	for _, c := range []struct {
		outage       time.Duration
		held, actual int
		left         int
	}{
		{time.Second, 4, 1, 9},
		{30 * time.Second, 4, 1, 6}, // held to its end
		{30 * time.Second, 4, 6, 4},
		{30 * time.Second, 0, 6, 4}, // a charge
	} {
		synctest.Test(t, func(t *testing.T) {
			shared := newFaulty()
			s, p := newMirror(t, shared, mirror.Config{}), policy(t, ratelimit.PerDay(10))
			one := store.Settlement{Key: "key", Limits: p, Held: c.held, Actual: c.actual}
			if c.held > 0 {
				_, one.Names = holding(t, s, "key", p, c.held)
			}
			shared.outage(t, s)
			settle(t, s, one)
			time.Sleep(c.outage)
			shared.back()
			if d := take(t, s, "key", p, 0); p[0].Remaining(d.Debts[0])-d.Held[0] != c.left {
				t.Errorf("%+v: %d are left, and %d held", c, p[0].Remaining(d.Debts[0]), d.Held[0])
			}
		})
	}
}

// TestKeptSettlementsAreBounded: of more than 10,000 the oldest is dropped, and counted.
func TestKeptSettlementsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		s, p := newMirror(t, shared, mirror.Config{}), policy(t, ratelimit.PerDay(10))
		shared.outage(t, s)
		for i := range 10_003 {
			settle(t, s, store.Settlement{Key: fmt.Sprint(i), Limits: p, Actual: 1})
		}
		if h := s.Check(t.Context()); !strings.Contains(fmt.Sprint(h.Warnings), "10000 settlements wait") || !strings.Contains(fmt.Sprint(h.Warnings), "3 settlements were dropped") {
			t.Errorf("Check returned %q", h.Warnings)
		}
		before := shared.asked.Load()
		shared.back()
		if n := shared.asked.Load() - before; n < 40 || n > 60 {
			t.Errorf("10,000 settlements took %d trips; want 40 of 256 each, and some probes", n)
		}
		if n := left(p, take(t, s, "10000", p, 0)); n != 9 {
			t.Errorf("%d are left; want 9", n)
		}
		if n := left(p, take(t, s, "0", p, 0)); n != 9 { // handed over as knowledge
			t.Errorf("of a key whose settlement was dropped %d are left; want 9", n)
		}
	})
}

// rejecting rejects every settlement, and executes none.
type rejecting struct {
	*faulty
	settles *atomic.Int64
}

func (r rejecting) Settle(_ context.Context, all []store.Settlement) {
	r.settles.Add(1)
	for i := range all {
		all[i].Err = &store.Error{Class: "rejected", NotCharged: true}
	}
}

// TestRejectedSettlements are sent three times more while the shared store works otherwise, and do not keep the shared store down.
func TestRejectedSettlements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := rejecting{newFaulty(), new(atomic.Int64)}
		s, p := newMirror(t, shared, mirror.Config{}), policy(t, ratelimit.PerDay(10))
		if one := settle(t, s, store.Settlement{Key: "key", Limits: p, Actual: 1}); one.Err != nil {
			t.Error(one.Err)
		}
		for range 5 {
			take(t, s, "other", p, 0)
			take(t, s, "key", p, 0)
		}
		if n := shared.settles.Load(); n != 4 {
			t.Errorf("it was sent %d times; want 4", n)
		}
		if d := take(t, s, "key", p, 0); d.Source != store.FromStore || left(p, d) != 9 {
			t.Errorf("a request is answered %+v; want 9 left of the store", d)
		}
		if h := s.Check(t.Context()); !strings.Contains(fmt.Sprint(h.Warnings), "1 settlements were dropped") {
			t.Errorf("Check returned %q", h.Warnings)
		}
	})
}

// TestSettleEndsInTime, with a deadline and without one, and counts as a failure.
func TestSettleEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		s := newMirror(t, plainHolder{shared}, mirror.Config{})
		p := policy(t, ratelimit.PerDay(10))
		take(t, s, "key", p, 0)
		shared.hangs.Store(true)
		for _, timeout := range []time.Duration{0, 20 * time.Millisecond, 0, 0} {
			ctx := t.Context()
			if timeout > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, timeout)
				defer cancel()
			}
			all := []store.Settlement{{Key: "key", Limits: p, Actual: 1}, {Key: "other", Limits: p, Actual: 1}}
			before := time.Now()
			s.Settle(ctx, all)
			if took := time.Since(before); took > store.DefaultTimeout || timeout > 0 && took > timeout {
				t.Errorf("Settle took %v of %v", took, timeout)
			}
			if store.ErrorClass(all[0].Err) != store.ClassTimeout || store.ErrorClass(all[1].Err) != store.ClassTimeout {
				t.Errorf("the errors are %v and %v", all[0].Err, all[1].Err)
			}
		}
		if h := s.Check(t.Context()); h.Decides != mirror.PartLocal {
			t.Errorf("after three failures Check returned %+v", h)
		}
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		shared.back()
		all := []store.Settlement{{Key: "key", Limits: p, Actual: 1}}
		if s.Settle(canceled, all); all[0].Err != nil {
			t.Errorf("a settlement that was canceled before it was sent has the error %v; want that it is kept", all[0].Err)
		}
		if n := left(p, take(t, s, "key", p, 0)); n != 5 {
			t.Errorf("%d are left; want 5", n)
		}
	})
}

// plainHolder has only the methods of a store and of a holder.
type plainHolder struct {
	holdingStore
}

type holdingStore interface {
	store.Store
	store.Holder
}
