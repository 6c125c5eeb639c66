package lease

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// TestSketchOutOfOrder: a call that read its clock before one that was counted earlier does not
// make the sketch forget the key.
func TestSketchOutOfOrder(t *testing.T) {
	s, key := new(sketch), uint64(77<<32|5)
	for range 100 {
		s.count(key, 1, 1000<<20, mostLife)
	}
	for back := range int64(900) {
		if got := s.count(key, 0, (1000-back)<<20, mostLife); got != 100 {
			t.Fatalf("%d ms back: %v; want 100", back, got)
		}
	}
	if got := s.count(key, 0, (1000+4*950)<<20, mostLife); got < 30 || got > 40 {
		t.Errorf("after four lives: %v; want a third", got)
	}
}

// TestCostly: calls that a lease of their key would not cover often make no lease, which holds
// tokens that others could spend.
func TestCostly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newShared()
		s := newStore(t, inner)
		l := limits(t, 100, 100)
		for i := range 1000 {
			if _, err := s.Take(t.Context(), store.Request{Key: fmt.Sprint(i), Limits: l, Cost: 1000}); err != nil {
				t.Fatal(err)
			}
		}
		for range 100 {
			if d := take(t, s, l, 25); !d.Allowed {
				t.Errorf("%+v", d)
			}
			time.Sleep(250 * time.Millisecond)
		}
		if len(inner.sent) > 0 || inner.count() != 1100 || s.table.used.Load() != 0 {
			t.Errorf("%d requests, %d settlements and %d entries", inner.count(), len(inner.sent), s.table.used.Load())
		}
		l = limits(t, 1000, 1000)
		warm(t, s, l)
		for s.out() < 6 {
			time.Sleep(5 * time.Millisecond)
			take(t, s, l, 3)
		}
		if d := take(t, s, l, 3); d.Source != store.FromLease {
			t.Errorf("%+v; want one of the lease", d)
		}
	})
}

// A heeding store heeds the contexts of its callers, and hangs on request until they end.
type heeding struct {
	*shared
	hangs atomic.Bool
}

func (h *heeding) Self() store.Store { return h }

func (h *heeding) ended(ctx context.Context) error {
	if h.hangs.Load() {
		<-ctx.Done()
		return &store.Error{Class: store.ClassTimeout, Err: ctx.Err()}
	}
	if ctx.Err() != nil {
		return &store.Error{Class: store.ClassCanceled, NotCharged: true, Err: ctx.Err()}
	}
	return nil
}

func (h *heeding) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	if err := h.ended(ctx); err != nil {
		for i := range r.Release {
			r.Release[i].Err = err
		}
		return store.Decision{}, err
	}
	return h.shared.Take(ctx, r)
}

func (h *heeding) Settle(ctx context.Context, all []store.Settlement) {
	if err := h.ended(ctx); err != nil {
		for i := range all {
			all[i].Err = err
		}
		return
	}
	h.shared.Settle(ctx, all)
}

// TestCanceled: a call that was canceled before it began does not give the lease back.
func TestCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, &heeding{shared: newShared()})
		l := limits(t, 1000, 1000)
		warm(t, s, l)
		s.table.each(func(e *entry) { e.quiet.Store(int64(time.Hour)) })
		for s.out() > 3 {
			take(t, s, l, 1)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if d, err := s.Take(ctx, store.Request{Key: "key", Limits: l, Cost: 5, Timeout: time.Second}); err == nil || s.out() != 3 {
			t.Errorf("%+v, %v; %d tokens are left", d, err, s.out())
		}
		if d := take(t, s, l, 1); d.Source != store.FromLease {
			t.Errorf("%+v; want one of the lease", d)
		}
	})
}

// TestCloseOfHung: Close gives up what a store that hangs has charged meanwhile.
func TestCloseOfHung(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &heeding{shared: newShared()}
		s := newStore(t, h)
		l := limits(t, 1000, 1000)
		now := s.now()
		for i := range 20_000 {
			p := &piece{granted: 1, deadline: now + int64(mostLife), over: now + overAfter}
			p.left.Store(1)
			e := &entry{hash: s.hash("", fmt.Sprint(i)), key: fmt.Sprint(i), limits: l, life: mostLife, most: 100, newer: p, at: now, seenAt: now}
			s.table.add(e)
		}
		h.hangs.Store(true)
		_ = s.Close()
		if took := time.Duration(s.now() - now); took > 2100*time.Millisecond || took < store.DefaultTimeout {
			t.Errorf("Close took %v", took)
		}
	})
}

// TestPeek: who only looks at a key sees what the next call would get, the lease among it.
func TestPeek(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newShared()
		s := newStore(t, inner)
		l, err := ratelimit.New(s, ratelimit.Limit{Rate: 1000, Period: 1000 * time.Second, Burst: 1500}, ratelimit.Config{})
		if err != nil {
			t.Fatal(err)
		}
		leased, denied := 0, 0
		for i := range 3000 {
			time.Sleep(time.Millisecond)
			before, err := l.Peek(t.Context(), "key")
			if err != nil {
				t.Fatal(err)
			}
			after, err := l.Allow(t.Context(), "key")
			if err != nil || after.Allowed != before.Allowed || after.Allowed && after.Remaining() > before.Remaining() {
				t.Fatalf("call %d: %v of %v, but before it %v of %v; %v", i, after.Allowed, after.Remaining(), before.Allowed, before.Remaining(), err)
			}
			if after.Source() == store.FromLease {
				leased++
			} else if !after.Allowed {
				denied++
			}
		}
		if leased < 500 || denied < 500 {
			t.Errorf("%d calls were decided by a lease, and %d denied", leased, denied)
		}
	})
}

// TestLateAnswer: an answer that comes after a later one is not what callers see of the bucket.
func TestLateAnswer(t *testing.T) {
	l := limits(t, 1000, 1000)
	now := store.Decision{Now: 5000, Allowed: true}
	now.Debts[0], _ = l[0].Cost(10)
	e := &entry{limits: l}
	e.publish(&now, 1)
	b := e.book.Load()
	for name, c := range map[string]struct {
		at   int64
		cost int
		away bool
		want bool
	}{
		"before":                       {4999, 20, false, false},
		"after":                        {5001, 1, true, true},
		"in one send, behind it":       {5000, 11, false, true},
		"in one send, ahead of it":     {5000, 9, false, false},
		"in one send, beside a flight": {5000, 11, true, false},
	} {
		d := store.Decision{Now: c.at, Allowed: true}
		d.Debts[0], _ = l[0].Cost(c.cost)
		if got := b.before(&d, c.away); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if !(*book)(nil).before(&now, true) {
		t.Error("the first answer is not shown")
	}
}

// TestNoTimeout: a call without a timeout has the usual one.
func TestNoTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newShared()
		s := newStore(t, inner)
		l := limits(t, 100, 1000)
		warm(t, s, l)
		synctest.Wait()
		truth := take(t, inner.Store, l, 0)
		all := l[0].Remaining(truth.Debts[0]) - truth.Held[0] + int(s.out())
		d, err := s.Take(t.Context(), store.Request{Key: "key", Limits: l, Cost: all})
		if err != nil || !d.Allowed {
			t.Errorf("%+v, %v", d, err)
		}
	})
}

// TestEndedIsNotLeft: what a piece had left when its life was over neither remains nor delays the
// next lease.
func TestEndedIsNotLeft(t *testing.T) {
	l := limits(t, 1000, 1000)
	old, young := &piece{granted: 50, deadline: 100}, &piece{granted: 50, deadline: 1000}
	old.left.Store(50)
	young.left.Store(50)
	e := &entry{limits: l, older: old, newer: young}
	d := store.Decision{Now: 1, Allowed: true}
	d.Held[0] = 100
	e.publish(&d, 200)
	if d.Held[0] != 50 {
		t.Errorf("%d are held", d.Held[0])
	}
	if left, ok := e.book.Load().spend(l, 10, 200, &d); !ok || left != 40 || l[0].Remaining(d.Debts[0])-d.Held[0] > 940 {
		t.Errorf("%d left, of %+v", left, d)
	}
}
