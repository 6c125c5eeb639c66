package lease

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/ratelimit/metrics"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
	"github.com/keyrate/keyrate/store/storetest"
)

// A shared store is a memstore at the end of a way that takes time, and may fail.
type shared struct {
	*memstore.Store
	delay atomic.Int64 // in nanoseconds
	fails error        // of requests and settlements, if not nil
	takes []store.Request
	sent  []store.Settlement
	sync.Mutex
}

func newShared() *shared { return &shared{Store: memstore.New(memstore.Config{})} }

// Self makes it SelfTimed: see store.Guard.
func (s *shared) Self() store.Store { return s }

func (s *shared) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	time.Sleep(time.Duration(s.delay.Load()))
	s.Lock()
	defer s.Unlock()
	s.takes = append(s.takes, r)
	if s.fails != nil {
		for i := range r.Release {
			r.Release[i].Err = s.fails
		}
		return store.Decision{}, s.fails
	}
	s.sent = append(s.sent, r.Release...)
	return s.Store.Take(ctx, r)
}

func (s *shared) Settle(ctx context.Context, all []store.Settlement) {
	time.Sleep(time.Duration(s.delay.Load()))
	s.Lock()
	defer s.Unlock()
	if s.fails != nil {
		for i := range all {
			all[i].Err = s.fails
		}
		return
	}
	s.sent = append(s.sent, all...)
	s.Store.Settle(ctx, all)
}

func (s *shared) count() int {
	s.Lock()
	defer s.Unlock()
	return len(s.takes)
}

func newStore(t testing.TB, s store.Store) *Store {
	t.Helper()
	l, err := New(s, Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func limits(t testing.TB, rate, burst int) []store.Limit {
	t.Helper()
	return testkit.Limits(t, ratelimit.Limit{Rate: rate, Period: time.Second, Burst: burst})
}

func take(t testing.TB, s store.Store, l []store.Limit, cost int) store.Decision {
	t.Helper()
	d, err := s.Take(context.Background(), store.Request{Key: "key", Limits: l, Cost: cost, Timeout: time.Second}) //nolint:usetesting // as callers do
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// warm makes calls at 500 a second until one in two is decided by a lease, and returns the last.
func warm(t testing.TB, s store.Store, l []store.Limit) (d store.Decision) {
	t.Helper()
	for range 1000 {
		time.Sleep(2 * time.Millisecond)
		if d = take(t, s, l, 1); d.Source == store.FromLease && d.Now > 400_000 {
			return d
		}
	}
	t.Fatal("there is no lease")
	return d
}

// out returns how many tokens the node can spend.
func (s *Store) out() (n int64) {
	s.table.each(func(e *entry) {
		e.mu.Lock()
		defer e.mu.Unlock()
		n += e.older.rest() + e.newer.rest()
	})
	return n
}

func TestNewRejects(t *testing.T) {
	for want, c := range map[string]struct {
		shared store.Store
		config Config
	}{
		"lease: shared is nil":                                  {nil, Config{}},
		"lease: shared: memstore: this is the zero Store":       {new(memstore.Store), Config{}},
		"lease: shared cannot hold tokens; pass a store.Holder": {struct{ store.Store }{memstore.New(memstore.Config{})}, Config{}},
		"lease: Config.MaxKeys -1 must not be negative; 0 mean": {memstore.New(memstore.Config{}), Config{MaxKeys: -1}},
	} {
		if _, err := New(c.shared, c.config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %s", err, want)
		}
	}
	if _, err := New(nil, Config{MaxKeys: -1}); err == nil || strings.Count(err.Error(), "lease:") != 2 {
		t.Errorf("%v; want both faults", err)
	}
}

func TestZeroStore(t *testing.T) {
	s := new(Store)
	all := make([]store.Settlement, 1)
	s.Settle(t.Context(), all)
	_, err := s.Take(t.Context(), store.Request{Key: "key", Limits: limits(t, 1, 1), Cost: 1})
	for _, err := range []error{err, all[0].Err, s.Reset(t.Context(), store.Request{}), s.Validate()} {
		if err == nil || !strings.Contains(err.Error(), "the zero Store; make one with lease.New") {
			t.Error(err)
		}
	}
	if s.Holds() || s.Close() != nil || s.Partition("", "key") != "" || s.Check(t.Context()).Status != store.StatusFailed {
		t.Error("the zero Store holds, or has something to close")
	}
	s.Measure(metrics.Read())
}

// TestContract: without leases the store keeps the contract of what it stands in front of. With one,
// a store knows what was spent when it is settled.
func TestContract(t *testing.T) {
	storetest.Run(t, storetest.Harness{New: func(t *testing.T) store.Store {
		s := newStore(t, memstore.New(memstore.Config{}))
		_ = s.Close()
		return s
	}})
}

// TestTakeLeased: what it decides, Take would have decided in the same way; where it does not decide,
// nothing has changed.
func TestTakeLeased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, newShared())
		l, other := limits(t, 1000, 1000), limits(t, 1000, 999)
		if _, _, ok := s.TakeLeased("key", l, 1); ok {
			t.Error("it decided a call without a lease")
		}
		warm(t, s, l)
		for range 20 {
			had := s.out()
			debt, held, ok := s.TakeLeased("key", l, 2)
			if !ok {
				t.Fatal("it did not decide")
			}
			if left := s.out(); left != had-2 {
				t.Errorf("%d tokens are left of %d", left, had)
			}
			e := s.table.find(s.hash("", "key"), "", "key", l)
			b := e.book.Load()
			// What Take says of a call of one token more is one token more.
			d := take(t, s, l, 1)
			want, _ := l[0].Cost(1)
			if d.Source != store.FromLease || l[0].Add(debt, want) != d.Debts[0] || held != d.Held[0] {
				t.Fatalf("%v, %d held; then Take: %+v, of %+v", debt, held, d, b)
			}
			if s.out() < 20 {
				warm(t, s, l)
			}
		}
		had := s.out()
		for name, decided := range map[string]func() (gcra.Debt, int, bool){
			"no cost":          func() (gcra.Debt, int, bool) { return s.TakeLeased("key", l, 0) },
			"a negative cost":  func() (gcra.Debt, int, bool) { return s.TakeLeased("key", l, -1) },
			"too high a cost":  func() (gcra.Debt, int, bool) { return s.TakeLeased("key", l, int(had)+1) },
			"another key":      func() (gcra.Debt, int, bool) { return s.TakeLeased("other", l, 1) },
			"another limit":    func() (gcra.Debt, int, bool) { return s.TakeLeased("key", other, 1) },
			"a zero Store":     func() (gcra.Debt, int, bool) { return new(Store).TakeLeased("key", l, 1) },
			"no limits at all": func() (gcra.Debt, int, bool) { return s.TakeLeased("key", nil, 1) },
		} {
			if debt, held, ok := decided(); ok || debt != (gcra.Debt{}) || held != 0 || s.out() != had {
				t.Errorf("%s: %v, %d, %v; %d tokens left of %d", name, debt, held, ok, s.out(), had)
			}
		}
		_ = s.Close()
		if _, _, ok := s.TakeLeased("key", l, 1); ok {
			t.Error("a closed Store decided")
		}
	})
}

// An embedding embeds a store and has its own Take.
type embedding struct {
	*Store
	takes int
}

func (e *embedding) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	e.takes++
	return e.Store.Take(ctx, r)
}

// TestEmbedded: a limiter does not pass by the Take of a type that embeds the store.
func TestEmbedded(t *testing.T) {
	for name, busy := range map[string]*embedding{"embedded": {Store: newStore(t, newShared())}, "zero": {Store: new(Store)}, "nil": {}} {
		l, err := ratelimit.New(busy, ratelimit.PerSecond(100_000), ratelimit.Config{})
		if name != "embedded" {
			if err == nil {
				t.Errorf("New takes a Store that is %s and embedded", name)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		calls, leased := 0, 0
		for start := time.Now(); leased < 10 && time.Since(start) < 10*time.Second; calls++ {
			r, err := l.Allow(t.Context(), "key")
			if err != nil {
				t.Fatal(err)
			}
			if r.Source() == store.FromLease {
				leased++
			}
		}
		if leased < 10 || busy.takes != calls {
			t.Errorf("%d calls, %d by leases; Take saw %d", calls, leased, busy.takes)
		}
	}
}

// TestFormat: no verb prints a key.
func TestFormat(t *testing.T) {
	s := newStore(t, newShared())
	s.table.add(&entry{key: "secret"})
	if text := fmt.Sprintf("%v %+v %#v", s, s, s); strings.Contains(text, "secret") {
		t.Error(text)
	}
	s.table.each(s.table.remove)
}

// TestStraight: what cannot be leased goes to the shared store unchanged.
func TestStraight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newShared()
		s := newStore(t, inner)
		l := limits(t, 1000, 1000)
		warm(t, s, l)
		small, quick := limits(t, 5, 5), limits(t, 1_000_000, 1000)
		loan := testkit.Limits(t, ratelimit.AtOnce(10))
		for name, r := range map[string]store.Request{
			"a hold":         {Limits: l, Cost: 1, Hold: &store.Hold{}},
			"least":          {Limits: l, Cost: 5, Least: 1},
			"knowledge":      {Limits: l, Cost: 1, Known: new(store.Knowledge)},
			"a release":      {Limits: l, Cost: 1, Release: []store.Settlement{{Key: "key", Limits: l}}},
			"no cost":        {Limits: l},
			"a small limit":  {Limits: small, Cost: 1},
			"a quick refill": {Limits: quick, Cost: 1},
			"a loan":         {Limits: loan, Cost: 1, Hold: &store.Hold{}},
		} {
			for range 20 {
				before := inner.count()
				r.Key, r.Timeout = "key", time.Second
				if _, err := s.Take(t.Context(), r); err != nil {
					t.Fatal(name, err)
				}
				sent := inner.takes[len(inner.takes)-1]
				if inner.count() != before+1 || sent.Hold != r.Hold || len(sent.Release) != len(r.Release) || sent.Cost != r.Cost || sent.Known != r.Known {
					t.Errorf("%s: %+v was sent as %+v", name, r, sent)
				}
			}
		}
	})
}

// TestRemaining: what a node reports is never more than what the shared store has, and what is left
// of its own lease; and it is a decision that a Guard lets pass.
func TestRemaining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newShared()
		inner.delay.Store(int64(3 * time.Millisecond))
		s := newStore(t, inner)
		l := testkit.Limits(t, ratelimit.Limit{Rate: 1000, Period: time.Second, Burst: 1500}, ratelimit.Limit{Name: "other", Rate: 3000, Period: 7 * time.Second, Burst: 700})
		warm(t, s, l)
		leased, checked := 0, 0
		for i := range 1500 {
			time.Sleep(time.Millisecond)
			d := take(t, s, l, 1)
			left := s.out()
			truth, _ := inner.Store.Take(t.Context(), store.Request{Key: "key", Limits: l})
			if d.Source != store.FromLease || s.away() {
				leased = 0
			}
			if leased++; leased < 10 { // the shared store may have admitted others meanwhile
				continue
			}
			checked++
			for at := range l {
				limit := &l[at]
				most := limit.Remaining(truth.Debts[at]) - truth.Held[at] + int(left)
				if got := limit.Remaining(d.Debts[at]) - d.Held[at]; got > most {
					t.Fatalf("call %d: %d tokens of %v remain; want %d at most", i, got, limit, most)
				}
				if price, _ := limit.Cost(1); d.Debts[at].Less(price) || !limit.Fits(d.Debts[at]) {
					t.Fatalf("call %d: %v is no debt of an admitted call", i, d.Debts[at])
				}
			}
			if d.Now > truth.Now || d.Now < truth.Now-5000 {
				t.Fatalf("call %d at %d, not %d", i, d.Now, truth.Now)
			}
		}
		if checked < 750 {
			t.Errorf("%d calls were decided by a lease", checked)
		}
	})
}

// away reports whether a trip is on its way.
func (s *Store) away() (away bool) {
	s.table.each(func(e *entry) {
		e.mu.Lock()
		defer e.mu.Unlock()
		away = away || e.trip != nil
	})
	return away
}

// TestIdle: what is leased comes back when no call comes for half a life, and the timer ends.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newShared()
		s := newStore(t, inner)
		l := limits(t, 1000, 1000)
		warm(t, s, l)
		if s.out() == 0 {
			t.Fatal("nothing is leased")
		}
		time.Sleep(mostLife/2 + 2*tickEvery)
		if d := take(t, inner.Store, l, 0); d.Held[0] != 0 || s.out() != 0 || s.table.used.Load() != 0 || s.ticks.running.Load() {
			t.Errorf("%d tokens are held, %d leased, by %d entries", d.Held[0], s.out(), s.table.used.Load())
		}
	})
}

// TestP14CloseReturnsAll: Close returns everything, and leaves no goroutine: the bubble would wait
// for it. Calls go on.
func TestP14CloseReturnsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newShared()
		inner.delay.Store(int64(2 * time.Millisecond))
		s := newStore(t, inner)
		l := limits(t, 1000, 1000)
		warm(t, s, l)
		spent := 0
		for s.out() > 3 {
			if take(t, s, l, 1).Source == store.FromLease {
				spent++
			}
		}
		var calls sync.WaitGroup
		for range 5 {
			calls.Go(func() { take(t, s, l, 1) })
		}
		if err := s.Close(); err != nil || s.Close() != nil {
			t.Error(err)
		}
		if d := take(t, inner.Store, l, 0); d.Held[0] != 0 || spent == 0 {
			t.Errorf("%d tokens are held after %d were spent", d.Held[0], spent)
		}
		calls.Wait()
		time.Sleep(time.Millisecond)
		before := inner.count()
		for range 100 {
			if d := take(t, s, l, 1); d.Source == store.FromLease {
				t.Error("a closed store leases")
			}
		}
		if inner.count() != before+100 || s.ticks.running.Load() && s.table.used.Load() > 0 {
			t.Error("a closed store has leases")
		}
	})
}

// TestP14FindsLeases is the control: without Close something is held.
func TestP14FindsLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newShared()
		s := newStore(t, inner)
		l := limits(t, 1000, 1000)
		warm(t, s, l)
		if d := take(t, inner.Store, l, 0); d.Held[0] == 0 {
			t.Error("nothing is held")
		}
	})
}

// TestReset: leases of a key end with a reset on this node, those on their way as well.
func TestReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newShared()
		s := newStore(t, inner)
		l := limits(t, 1000, 1000)
		warm(t, s, l)
		if err := s.Reset(t.Context(), store.Request{Key: "other", Limits: l}); err != nil || s.out() == 0 {
			t.Errorf("%v; %d tokens are left after the reset of another key", err, s.out())
		}
		if err := s.Reset(t.Context(), store.Request{Key: "key", Limits: l}); err != nil || s.out() != 0 {
			t.Errorf("%v; %d tokens are left", err, s.out())
		}
		time.Sleep(2 * tickEvery)
		if d := take(t, inner.Store, l, 0); d.Held[0] != 0 || d.Debts[0] != (gcra.Debt{}) {
			t.Errorf("%d are held, and %v is owed", d.Held[0], d.Debts[0])
		}
		warm(t, s, l)
		inner.delay.Store(int64(20 * time.Millisecond))
		for s.out() > 0 {
			take(t, s, l, 1)
		}
		var call sync.WaitGroup
		call.Go(func() { take(t, s, l, 1) })
		time.Sleep(10 * time.Millisecond)
		_ = s.Reset(t.Context(), store.Request{Key: "key", Limits: l})
		call.Wait()
		if s.out() != 0 {
			t.Errorf("%d tokens were leased before the reset", s.out())
		}
	})
}

// TestOutage: while the shared store is down, what is leased is spent until it ends. A settlement
// that was certainly not made is repeated, any other is not.
func TestOutage(t *testing.T) {
	for name, c := range map[string]struct {
		fails error
		again bool
	}{
		"not charged": {&store.Error{Class: "down", NotCharged: true}, true},
		"unknown":     {errors.New("lost"), false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner := newShared()
				s := newStore(t, inner)
				l := limits(t, 1000, 1000)
				warm(t, s, l)
				inner.Lock()
				inner.fails = c.fails
				inner.Unlock()
				spent := 0
				for {
					d, err := s.Take(t.Context(), store.Request{Key: "key", Limits: l, Cost: 1, Timeout: time.Second})
					if err != nil {
						if !errors.Is(err, c.fails) {
							t.Error(err)
						}
						break
					}
					if d.Source != store.FromLease {
						t.Fatal("the shared store is down")
					}
					spent++
				}
				if spent < 5 {
					t.Errorf("%d tokens were spent", spent)
				}
				time.Sleep(mostLife)
				inner.Lock()
				inner.fails, inner.sent = nil, nil
				inner.Unlock()
				time.Sleep(mostLife)
				actual := 0
				inner.Lock()
				defer inner.Unlock()
				for _, one := range inner.sent {
					actual += one.Actual
				}
				if (actual > 0) != c.again || actual > 0 && actual < spent {
					t.Errorf("%d tokens spent, then settlements of %d", spent, actual)
				}
			})
		})
	}
}

// TestWaits: callers that find the lease used up wait for the next one, if it will cover them.
func TestWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newShared()
		inner.delay.Store(int64(30 * time.Millisecond))
		s := newStore(t, inner)
		l := limits(t, 2000, 5000)
		var all sync.WaitGroup
		var leased atomic.Int64
		for range 20 {
			all.Go(func() {
				for range 400 {
					if d := take(t, s, l, 1); d.Source == store.FromLease {
						leased.Add(1)
					} else if !d.Allowed {
						time.Sleep(10 * time.Millisecond)
					}
					time.Sleep(10 * time.Millisecond)
				}
			})
		}
		all.Wait()
		if n := leased.Load(); n < 6000 || inner.count() > 1000 {
			t.Errorf("%d of 8000 calls were decided by a lease, and %d by the shared store", n, inner.count())
		}
	})
}

// TestImpatient: a caller waits for half of its time, and asks the shared store in the rest of it.
func TestImpatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newShared()
		s := newStore(t, inner)
		l := limits(t, 1000, 1000)
		warm(t, s, l)
		inner.delay.Store(int64(100 * time.Millisecond))
		for s.out() > 0 {
			take(t, s, l, 1)
		}
		synctest.Wait() // until the next lease is asked for
		inner.delay.Store(0)
		start := time.Now()
		d, err := s.Take(t.Context(), store.Request{Key: "key", Limits: l, Cost: 1, Timeout: 20 * time.Millisecond})
		inner.Lock()
		last := inner.takes[len(inner.takes)-1]
		inner.Unlock()
		if took := time.Since(start); err != nil || !d.Allowed || took != 10*time.Millisecond || last.Timeout != 10*time.Millisecond || last.Hold != nil {
			t.Errorf("%+v, %v after %v; asked with %v", d, err, took, last.Timeout)
		}
	})
}

// TestOwnLease: a call that is denied for want of what its own node has leased gets it.
func TestOwnLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newShared()
		s := newStore(t, inner)
		l := testkit.Limits(t, ratelimit.Limit{Rate: 1000, Period: 100 * time.Second, Burst: 2000})
		warm(t, s, l)
		synctest.Wait() // until no lease is on its way
		truth := take(t, inner.Store, l, 0)
		all := l[0].Remaining(truth.Debts[0]) - truth.Held[0] + int(s.out())
		before := inner.count()
		if d := take(t, s, l, all); !d.Allowed || s.out() != 0 || inner.count() != before+2 {
			t.Errorf("%d tokens: %+v; %d are leased, after %d requests", all, d, s.out(), inner.count()-before)
		}
		if d := take(t, s, l, 1); d.Allowed || inner.count() != before+3 {
			t.Errorf("%+v, after %d requests", d, inner.count()-before)
		}
	})
}

// TestMaxKeys: keys beyond the bound have no lease.
func TestMaxKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newShared()
		s, err := New(inner, Config{MaxKeys: 3})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		l := limits(t, 1000, 1000)
		sources := map[string]map[store.Source]int{}
		for range 300 {
			for i := range 5 {
				key := fmt.Sprint(i)
				d, err := s.Take(t.Context(), store.Request{Key: key, Limits: l, Cost: 1, Timeout: time.Second})
				if err != nil {
					t.Fatal(err)
				}
				if sources[key] == nil {
					sources[key] = map[store.Source]int{}
				}
				sources[key][d.Source]++
			}
			time.Sleep(2 * time.Millisecond)
		}
		leased := 0
		for _, of := range sources {
			if of[store.FromLease] > 100 {
				leased++
			}
		}
		if leased != 3 || s.table.used.Load() != 3 {
			t.Errorf("%v", sources)
		}
	})
}

// TestConcurrent: callers on all cores, Resets and Close at once admit no more than the limit.
func TestConcurrent(t *testing.T) {
	inner := newShared()
	s := newStore(t, inner)
	l := testkit.Limits(t, ratelimit.Limit{Rate: 1, Period: time.Hour, Burst: 40_000})
	var all sync.WaitGroup
	var admitted, denied atomic.Int64
	for i := range 16 {
		all.Go(func() {
			for range testkit.Count(3000, 20_000) {
				if d := take(t, s, l, 1); d.Allowed {
					admitted.Add(1)
				} else {
					denied.Add(1)
				}
				if i == 0 {
					_ = s.Reset(t.Context(), store.Request{Key: "other", Limits: l})
				}
			}
		})
	}
	all.Wait()
	_ = s.Close()
	d := take(t, inner.Store, l, 0)
	if spent := int64(l[0].Burst() - l[0].Remaining(d.Debts[0])); d.Held[0] != 0 || spent != admitted.Load() || inner.count() > int(admitted.Load()/4+2*denied.Load()+20_000) {
		t.Errorf("%d tokens were admitted in %d trips, and %d denied; %d are owed and %d are held", admitted.Load(), inner.count(), denied.Load(), spent, d.Held[0])
	}
}

// TestForwards: health, metrics and parts are those of the shared store.
func TestForwards(t *testing.T) {
	inner := forwarded{newShared()}
	s := newStore(t, inner)
	if h := s.Check(t.Context()); len(h.Parts) != 1 || h.Parts[0].Name != "fake" || s.Partition("home", "key") != "home/key" || !s.Holds() || s.Validate() != nil {
		t.Errorf("%+v", h)
	}
	if r := metrics.Read(s, s); r.Len(metrics.StoreAvailable) != 1 {
		t.Error("the metrics of the shared store are not forwarded")
	}
}

type forwarded struct{ *shared }

func (forwarded) Check(context.Context) store.Health {
	return store.Health{Parts: []store.PartHealth{{Name: "fake"}}}
}
func (forwarded) Partition(home, key string) string { return home + "/" + key }
func (forwarded) Measure(r *metrics.Reading)        { r.Add(metrics.StoreAvailable, 1, "fake") }
