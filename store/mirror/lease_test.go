package mirror_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror"
)

// lease takes a lease of n tokens, and returns its settlement, after actual tokens were spent.
func lease(t *testing.T, s *mirror.Store, p []store.Limit, n, actual int) store.Settlement {
	t.Helper()
	hold := store.Hold{Spend: true, Lease: n}
	d, err := s.Take(t.Context(), store.Request{Key: "key", Limits: p, Hold: &hold, Timeout: store.DefaultTimeout})
	if err != nil || !d.Allowed || hold.Leased != n {
		t.Fatalf("a lease of %d is answered %+v, %v, with %d", n, d, err, hold.Leased)
	}
	return store.Settlement{Key: "key", Limits: p, Names: hold.Names, Held: n, Actual: actual}
}

// releasing makes a request that settles.
func releasing(t *testing.T, s store.Store, p []store.Limit, cost int, all ...store.Settlement) (store.Decision, []store.Settlement) {
	t.Helper()
	d, err := s.Take(t.Context(), store.Request{Key: "key", Limits: p, Cost: cost, Release: all, Timeout: store.DefaultTimeout})
	if err != nil {
		t.Fatalf("Take returned an error: %v", err)
	}
	return d, all
}

// stored returns what the shared store has left, and what is held there.
func (f *faulty) stored(t *testing.T, p []store.Limit) (remaining, held int) {
	t.Helper()
	d := take(t, f.store, f.key("key"), p, 0)
	return left(p, d), d.Held[0]
}

// TestReleaseGoesAlong with its request, in one trip, also if knowledge would deny it. What it
// charges is knowledge from then on.
func TestReleaseGoesAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		s, p := newMirror(t, shared, mirror.Config{}), policy(t, ratelimit.PerDay(100))
		first := lease(t, s, p, 40, 40)
		before := shared.asked.Load()
		d, all := releasing(t, s, p, 1, first)
		if one := all[0]; !d.Allowed || left(p, d) != 59 || one.Err != nil || left(p, store.Decision{Debts: one.Debts}) != 60 {
			t.Errorf("answered %+v, and %+v", d, one)
		}
		second := lease(t, s, p, 10, 7)
		if d := take(t, s, "key", p, 60); d.Allowed || d.Source != store.FromKnowledge {
			t.Errorf("a request of cost 60 is answered %+v; want a denial by knowledge", d)
		}
		if d, all = releasing(t, s, p, 60, second); d.Allowed || d.Source != store.FromStore || all[0].Err != nil {
			t.Errorf("a request of cost 60 with a settlement is answered %+v, and %+v; want a denial of the store", d, all[0])
		}
		if n := shared.asked.Load() - before; n != 3 {
			t.Errorf("the shared store was asked %d times; want 3", n)
		}
		if remaining, held := shared.stored(t, p); remaining != 52 || held != 0 {
			t.Errorf("the shared store has %d left and %d held; want 52 and 0", remaining, held)
		}
		if d := take(t, s, "key", p, 53); d.Allowed || d.Source != store.FromKnowledge {
			t.Errorf("a request of cost 53 is answered %+v; want a denial by knowledge of what was settled", d)
		}
	})
}

// TestReleaseIsMadeOnce, whatever becomes of its request: it is charged to the shared store once, and
// counts in the share at once.
func TestReleaseIsMadeOnce(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		fails   func(t *testing.T, f *faulty, s *mirror.Store)
		ctx     context.Context // of the request; nil: of the test
		class   string          // of the settlement
		alone   bool            // the share decides
		noShare bool
	}{
		"the store is down":           {fails: func(t *testing.T, f *faulty, s *mirror.Store) { f.outage(t, s) }, alone: true},
		"the store rejects":           {fails: func(_ *testing.T, f *faulty, _ *mirror.Store) { f.down() }, alone: true},
		"the answer is lost":          {fails: func(_ *testing.T, f *faulty, _ *mirror.Store) { f.hangs.Store(true); f.late.Store(true) }, class: store.ClassTimeout, alone: true},
		"the request is lost":         {fails: func(_ *testing.T, f *faulty, _ *mirror.Store) { f.hangs.Store(true) }, class: store.ClassTimeout, alone: true},
		"the caller gave up":          {fails: func(*testing.T, *faulty, *mirror.Store) {}, ctx: canceled},
		"the store is down, no share": {fails: func(_ *testing.T, f *faulty, _ *mirror.Store) { f.down() }, noShare: true},
	} {
		for _, cost := range []int{80, 81} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					shared := newFaulty()
					s, p := newMirror(t, shared, mirror.Config{NoShare: c.noShare}), policy(t, ratelimit.PerDay(100))
					all := []store.Settlement{lease(t, s, p, 40, 20)}
					c.fails(t, shared, s)
					ctx := c.ctx
					if ctx == nil {
						ctx = t.Context()
					}
					d, err := s.Take(ctx, store.Request{Key: "key", Limits: p, Cost: cost, Release: all, Timeout: store.DefaultTimeout})
					if c.alone && (err != nil || d.Source != store.FromShare || d.Allowed != (cost == 80)) || !c.alone && err == nil {
						t.Errorf("answered %+v, %v; want a decision of the share, which has 80 left: %v", d, err, c.alone)
					}
					if class := store.ErrorClass(all[0].Err); class != c.class {
						t.Errorf("the settlement returned %v; want class %q", all[0].Err, c.class)
					}
					shared.late.Store(false)
					shared.back()
					spent := 20
					if d.Allowed {
						spent = 100
					}
					for range 2 {
						if d := take(t, s, "key", p, 0); left(p, d) != 100-spent {
							t.Errorf("after the return %d are left; want %d", left(p, d), 100-spent)
						}
					}
					held := 0
					if name == "the request is lost" {
						held = 40 // until its slot ends
					}
					take(t, s, "key", p, 101) // hands over what is known
					if _, n := shared.stored(t, p); n != held {
						t.Errorf("the shared store has %d held; want %d", n, held)
					}
				})
			})
		}
	}
}

// TestReleaseAfterAnOutage: what was admitted alone, and is handed over as knowledge, and what is
// settled with the first request are a sum, also after a denial, which stores nothing that it was
// handed.
func TestReleaseAfterAnOutage(t *testing.T) {
	for i, cost := range []int{0, 1, 0, 1} {
		synctest.Test(t, func(t *testing.T) {
			shared := newFaulty()
			s, p := newMirror(t, shared, mirror.Config{}), policy(t, ratelimit.PerDay(100))
			first := lease(t, s, p, 40, 20)
			shared.outage(t, s)
			if d := take(t, s, "key", p, 30); !d.Allowed || d.Source != store.FromShare {
				t.Errorf("answered %+v", d)
			}
			shared.back()
			if i >= 2 && take(t, s, "key", p, 101).Allowed {
				t.Error("a request of cost 101 was admitted")
			}
			d, all := releasing(t, s, p, cost, first)
			if !d.Allowed || left(p, d) != 50-cost || all[0].Err != nil {
				t.Errorf("answered %+v, and %+v; want %d left", d, all[0], 50-cost)
			}
			take(t, s, "key", p, 1)
			if remaining, held := shared.stored(t, p); remaining != 49-cost || held != 0 {
				t.Errorf("the shared store has %d left and %d held; want %d and 0", remaining, held, 49-cost)
			}
		})
	}
}

// TestLeasesInAnOutage: the share leases nothing, and what is leased in the shared store takes room in
// it. A node leases again a second after the return.
func TestLeasesInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		s, p := newMirror(t, shared, mirror.Config{Nodes: 2}), policy(t, ratelimit.PerDay(100))
		lease(t, s, p, 20, 0)
		shared.outage(t, s)
		leases := func(cost int) (store.Decision, store.Hold) {
			hold := store.Hold{Spend: true, Lease: 10, Leased: 99}
			d, err := s.Take(t.Context(), store.Request{Key: "key", Limits: p, Cost: cost, Hold: &hold, Timeout: store.DefaultTimeout})
			if err != nil || !d.Allowed || hold.Leased == 0 && hold.Names != [store.MaxLimits]int64{} {
				t.Errorf("a call with a lease is answered %+v, %v, with %+v", d, err, hold)
			}
			return d, hold
		}
		if d, hold := leases(1); d.Source != store.FromShare || hold.Leased != 0 {
			t.Errorf("in the outage, a call with a lease is answered %+v, and leased %d; want none", d, hold.Leased)
		}
		if take(t, s, "key", p, 30).Allowed || !take(t, s, "key", p, 29).Allowed {
			t.Error("the share of 50 does not have the 29 that a lease of 20 and a call have left")
		}
		shared.back()
		if d, hold := leases(0); d.Source != store.FromStore || hold.Leased != 0 {
			t.Errorf("just after the return, a call with a lease is answered %+v, and leased %d; want none", d, hold.Leased)
		}
		time.Sleep(time.Second)
		if d, hold := leases(0); d.Source != store.FromStore || hold.Leased != 10 {
			t.Errorf("a second after the return, a call with a lease is answered %+v, and leased %d; want 10", d, hold.Leased)
		}
	})
}

// TestLeaseAfterAHandOver: what was admitted alone is charged once, also if the first request of the
// key takes a lease and costs nothing.
func TestLeaseAfterAHandOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		s, p := newMirror(t, shared, mirror.Config{Nodes: 2}), policy(t, ratelimit.PerDay(100))
		take(t, s, "key", p, 1)
		shared.outage(t, s)
		if d := take(t, s, "key", p, 30); !d.Allowed || d.Source != store.FromShare {
			t.Errorf("answered %+v", d)
		}
		shared.back()
		time.Sleep(time.Second)
		lease(t, s, p, 10, 0)
		take(t, s, "key", p, 1)
		if remaining, held := shared.stored(t, p); remaining != 68 || held != 10 {
			t.Errorf("the shared store has %d left and %d held; want 68 and 10", remaining, held)
		}
	})
}

// A nosy store sees which names it gets.
type nosy struct {
	*faulty
	local *atomic.Int64 // names that no store has given
}

func (n nosy) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	n.see(r.Release)
	return n.faulty.Take(ctx, r)
}

func (n nosy) Settle(ctx context.Context, all []store.Settlement) {
	n.see(all)
	n.faulty.Settle(ctx, all)
}

func (n nosy) see(all []store.Settlement) {
	for i := range all {
		for _, name := range all[i].Names {
			if name < 0 {
				n.local.Add(1)
			}
		}
	}
}

// TestReleaseOfTheShare: what is held in the share is settled there, whichever way its settlement comes.
func TestReleaseOfTheShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := nosy{newFaulty(), new(atomic.Int64)}
		s, p := newMirror(t, shared, mirror.Config{}), policy(t, ratelimit.PerDay(100))
		shared.outage(t, s)
		_, names := holding(t, s, "key", p, 40)
		_, more := holding(t, s, "key", p, 10)
		if d, all := releasing(t, s, p, 0, store.Settlement{Key: "key", Limits: p, Names: more, Held: 10, Actual: 3}); left(p, d) != 97 || d.Held[0] != 40 || all[0].Err != nil {
			t.Errorf("in the outage, answered %+v, and %+v", d, all[0])
		}
		shared.back()
		d, all := releasing(t, s, p, 1, store.Settlement{Key: "key", Limits: p, Names: names, Held: 40, Actual: 20})
		if d.Source != store.FromStore || left(p, d) != 76 || all[0].Err != nil {
			t.Errorf("answered %+v, and %+v; want 3, 20 and 1 spent", d, all[0])
		}
		if n := shared.local.Load(); n > 0 {
			t.Errorf("%d names of the share got to the shared store", n)
		}
	})
}

// TestReleaseThatCannotBe is an error, and the request is decided.
func TestReleaseThatCannotBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		p := policy(t, ratelimit.PerDay(100))
		charge := store.Settlement{Key: "key", Limits: p, Actual: 5}
		other, without := charge, charge
		other.Key, without.Limits = "other", nil
		for name, c := range map[string]struct {
			store store.Store
			all   []store.Settlement
		}{
			"a store that cannot hold": {plain{shared}, []store.Settlement{charge}},
			"not of its key":           {shared, []store.Settlement{other, without}},
		} {
			d, all := releasing(t, newMirror(t, c.store, mirror.Config{}), p, 1, c.all...)
			for i := range all {
				if failed := store.NewError(all[i].Err, "key"); all[i].Err == nil || !failed.NotCharged {
					t.Errorf("%s: settlement %d returned %v; want an error that nothing was charged", name, i, all[i].Err)
				}
			}
			if !d.Allowed || d.Source != store.FromStore {
				t.Errorf("%s: answered %+v", name, d)
			}
		}
		all := []store.Settlement{charge}
		if _, err := newMirror(t, shared, mirror.Config{}).Take(t.Context(), store.Request{Key: "key", Release: all}); err == nil || all[0].Err != err { //nolint:errorlint // the same error
			t.Errorf("without limits, the request returned %v and its settlement %v", err, all[0].Err)
		}
	})
}
