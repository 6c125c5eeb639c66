package memstore

import (
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// TestConcurrentHolds: however many goroutines hold and settle, no key ever has more tokens
// held and spent than its burst; in the end nothing is held, and what is owed is the sum of
// what was spent.
func TestConcurrentHolds(t *testing.T) {
	const goroutines, keys, burst = 1000, 100, 100
	operations := testkit.Count(200_000, 1_000_000)
	daily := testkit.Limits(t, ratelimit.PerDay(burst))
	m := newManual(100_000) // its clock stands still
	var out, spent, granted [keys]atomic.Int64
	var over, wrong, denied, admitted atomic.Int64
	together(goroutines, func(i int) {
		random := rand.New(rand.NewPCG(51, uint64(i)))
		hold := store.Hold{}
		settlement := make([]store.Settlement, 1)
		for range operations / goroutines / 2 { // each is a hold and a settlement
			at := random.IntN(keys)
			key, n := strconv.Itoa(at), 1+random.IntN(9)
			d, err := m.Take(t.Context(), store.Request{Key: key, Limits: daily, Cost: n, Hold: &hold})
			if err != nil || burst-daily[0].Remaining(d.Debts[0])+d.Held[0] > burst {
				wrong.Add(1)
			}
			if !d.Allowed {
				denied.Add(1)
				continue
			}
			admitted.Add(1)
			if out[at].Add(int64(n)) > burst-spent[at].Load() {
				over.Add(1)
			}
			runtime.Gosched()
			s := &settlement[0]
			*s = store.Settlement{Key: key, Limits: daily, Names: hold.Names, Held: n, Renew: true}
			if random.IntN(4) == 0 {
				m.Settle(t.Context(), settlement)
			}
			s.Renew = false
			// Few are spent: half a burst, so that there is always room for a hold.
			if random.IntN(10) == 0 && granted[at].Add(1) <= burst/2 {
				s.Actual = 1
			}
			// It counts as spent from here on, and as held no more.
			out[at].Add(int64(-n))
			spent[at].Add(int64(s.Actual))
			if m.Settle(t.Context(), settlement); s.Err != nil || s.Lost != 0 {
				wrong.Add(1)
			}
		}
	})
	t.Logf("%d holds admitted, %d denied", admitted.Load(), denied.Load())
	if over.Load() > 0 || wrong.Load() > 0 {
		t.Errorf("%d holds were admitted beyond the burst, %d answers were wrong", over.Load(), wrong.Load())
	}
	if denied.Load() == 0 || admitted.Load() < int64(operations)/10 {
		t.Errorf("%d holds were admitted and %d denied; want more", admitted.Load(), denied.Load())
	}
	for at := range keys {
		d := m.take(strconv.Itoa(at), daily, 0)
		if token, _ := daily[0].Cost(1); d.Held[0] != 0 || d.Debts[0].Micros != spent[at].Load()*token.Micros {
			t.Errorf("key %d: in the end %d are held and %d µs owed; want none, and %d tokens", at, d.Held[0], d.Debts[0].Micros, spent[at].Load())
		}
	}
	if used, _ := m.countWholes(t); used != 0 {
		t.Errorf("in the end %d buckets are kept whole; want none", used)
	}
}

// TestHoldAllocs: once a shard has had a hold, holds and settlements allocate nothing.
func TestHoldAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	s := New(Config{})
	rates := testkit.Limits(t, ratelimit.PerSecond(1_000_000_000), ratelimit.PerHour(2_000_000_000).Named("hourly"))
	both := append(loanLimits(t, 10), rates...)
	hold := store.Hold{}
	all := make([]store.Settlement, 1)
	ctx := t.Context()
	for name, test := range map[string]struct {
		limits      []store.Limit
		spend       bool
		renew       bool
		cost, least int
		lease       int
	}{
		"one limit":   {rates[:1], false, false, 3, 0, 0},
		"two limits":  {rates, false, false, 3, 0, 0},
		"a loan":      {both[:1], false, false, 1, 0, 0},
		"all":         {both, true, false, 3, 0, 0},
		"least":       {rates, false, false, 3, 1, 0},
		"all renewed": {both, false, true, 3, 0, 0},
		"a lease":     {rates, true, false, 3, 0, 3},
	} {
		call := func() {
			hold.Spend, hold.Lease = test.spend, test.lease
			d, err := s.Take(ctx, store.Request{Key: name, Limits: test.limits, Cost: test.cost, Least: test.least, Hold: &hold})
			if err != nil || !d.Allowed {
				t.Fatalf("%s: answered %+v, %v", name, d, err)
			}
			all[0] = store.Settlement{Key: name, Limits: test.limits, Names: hold.Names, Held: test.cost, Actual: 1, Renew: test.renew}
			if test.renew {
				s.Settle(ctx, all)
				all[0].Renew = false
			}
			if s.Settle(ctx, all); all[0].Err != nil {
				t.Fatalf("%s: %v", name, all[0].Err)
			}
		}
		call()
		if n := testing.AllocsPerRun(1000, call); n != 0 {
			t.Errorf("%s: %v allocations for a hold and its settlement; want none", name, n)
		}
	}
}

// TestLeaseWithoutRoom: a key that has no bucket of its own gets no lease, under one limit or under
// two, one with a bucket. It spends as without.
func TestLeaseWithoutRoom(t *testing.T) {
	hourly := testkit.Limits(t, ratelimit.PerHour(100), ratelimit.PerHour(100).Named("b"))
	for n := 1; n <= 2; n++ {
		m := newManual(3)
		for i := range 4 - n {
			m.take("other "+strconv.Itoa(i), hourly[:1], 1)
		}
		hold := store.Hold{Spend: true, Lease: 10}
		d, err := m.Take(t.Context(), store.Request{Key: "k", Limits: hourly[:n], Cost: 5, Hold: &hold})
		if err != nil || !d.Allowed || !d.Overflow || hold.Leased != 0 || hold.Names[0] != 0 || d.Held[0] != 0 || hourly[0].Remaining(d.Debts[0]) != 95 {
			t.Errorf("%d limits: answered %+v, %v, leased %d, names %d; want no lease, and 5 spent", n, d, err, hold.Leased, hold.Names)
		}
	}
}

// TestBucketsOfALeaseKeepTheirPlaces: in a full table, the bucket of one limit does not take the
// place of that of another, which is full.
func TestBucketsOfALeaseKeepTheirPlaces(t *testing.T) {
	limits := testkit.Limits(t, ratelimit.PerHour(100), ratelimit.PerHour(100).Named("b"), ratelimit.PerHour(100).Named("c"))
	for i := range 100 {
		m, key := newManual(3), "k"+strconv.Itoa(i)
		short := testkit.Limits(t, ratelimit.PerSecond(100), ratelimit.PerSecond(100).Named("b"))
		m.take(key, short, 1)
		m.take("other", limits[:1], 1)
		m.now += 1_000_000 // two buckets of three are full
		hold := store.Hold{Spend: true, Lease: 10}
		d, err := m.Take(t.Context(), store.Request{Key: key, Limits: limits, Hold: &hold})
		if err != nil || !d.Allowed || hold.Leased != 0 && d.Held != [store.MaxLimits]int{10, 10, 10} {
			t.Fatalf("%s: answered %+v, %v, leased %d", key, d, err, hold.Leased)
		}
		hold.Leased = 0
		d, err = m.Take(t.Context(), store.Request{Key: key, Limits: limits[:2], Hold: &hold})
		if err != nil || hold.Leased != 10 || hold.Names[0] <= 0 || hold.Names[1] <= 0 || d.Held[0] != 10 || d.Held[1] != 10 {
			t.Fatalf("%s: answered %+v, %v, leased %d, names %d; want 10 of both", key, d, err, hold.Leased, hold.Names)
		}
		m.count(t)
	}
}
