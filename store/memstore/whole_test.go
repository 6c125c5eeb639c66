package memstore

import (
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// hold holds n tokens and returns their names.
func (m *manual) hold(t testing.TB, key string, p []store.Limit, n int) (store.Decision, [store.MaxLimits]int64) {
	t.Helper()
	hold := store.Hold{}
	d, err := m.Take(t.Context(), store.Request{Key: key, Limits: p, Cost: n, Hold: &hold})
	if err != nil {
		t.Fatal(err)
	}
	return d, hold.Names
}

// settle sends one settlement.
func (m *manual) settle(t testing.TB, s store.Settlement) store.Settlement {
	t.Helper()
	all := []store.Settlement{s}
	m.Settle(t.Context(), all)
	if all[0].Err != nil {
		t.Fatal(all[0].Err)
	}
	return all[0]
}

// wholes counts the buckets that are kept whole, and the room for more, by two ways of
// counting that must agree.
func (s *Store) countWholes(t testing.TB) (used, free int) {
	t.Helper()
	for i := range s.shards {
		sh := &s.shards[i]
		seen := map[uint32]bool{}
		for at := range sh.slots {
			if slot := &sh.slots[at]; slot.isWhole() {
				if seen[slot.frac&^sharedBit] {
					t.Fatalf("two slots of shard %d share a bucket", i)
				}
				seen[slot.frac&^sharedBit] = true
			}
		}
		used += len(seen)
		if sh.wholes == nil {
			if len(seen) > 0 {
				t.Fatalf("shard %d has %d slots of buckets that it does not have", i, len(seen))
			}
			continue
		}
		for _, at := range sh.wholes.free {
			if seen[at] {
				t.Fatalf("a bucket of shard %d is in use and free", i)
			}
		}
		if len(seen)+len(sh.wholes.free) != len(sh.wholes.buckets) {
			t.Fatalf("shard %d has %d buckets; %d are in use, and %d free", i, len(sh.wholes.buckets), len(seen), len(sh.wholes.free))
		}
		free += cap(sh.wholes.buckets) - len(seen)
	}
	return used, free
}

// TestWholesComeAndGo: a bucket is kept whole as long as it is more than a TAT.
func TestWholesComeAndGo(t *testing.T) {
	five, slow := testkit.Limits(t, ratelimit.PerSecond(5)), testkit.Limits(t, ratelimit.PerSecond(1).WithBurst(100))
	m := newManual(4096)
	want := func(when string, n int) {
		t.Helper()
		if used, _ := m.countWholes(t); used != n {
			t.Errorf("%s, %d buckets are kept whole; want %d", when, used, n)
		}
		m.count(t)
	}
	m.take("a", five, 2)
	want("after a call", 0)
	_, names := m.hold(t, "a", five, 2)
	m.hold(t, "b", five, 1)
	want("after two holds", 2)
	m.settle(t, store.Settlement{Key: "a", Limits: five, Names: names, Held: 2, Actual: 1})
	want("after a settlement", 1)
	m.now += 3 * time.Second.Microseconds()
	m.take("b", five, 1)
	want("after the end of a slot", 0)
	m.settle(t, store.Settlement{Key: "a", Limits: five, Actual: 7})
	want("after an overrun", 1)
	m.take("a", five, 0)
	want("after a call that reads", 1)
	m.now += 600_000
	m.take("a", five, 0)
	want("after a call that reads, when the overrun is over", 1) // it writes nothing
	m.take("a", five, 1)
	want("after a call, when the overrun is over", 0)
	m.take("b", five, 1)
	m.take("b", slow, 1)
	want("after a change of the limit", 1)
	m.now += 2 * time.Second.Microseconds()
	m.take("b", slow, 1)
	want("after the former debt is over", 0)
	m.hold(t, "b", slow, 1)
	m.reset("b", slow)
	want("after a reset", 0)
	m.hold(t, "b", slow, 1)
	m.now += 3600 * time.Second.Microseconds()
	m.sweepAll(m.now)
	want("after a sweep", 0)
}

// TestWholesAreFreed: what a flood of holds takes comes back when they end, and a shard with
// some left uses the room again.
func TestWholesAreFreed(t *testing.T) {
	const n = 2000
	hourly := testkit.Limits(t, ratelimit.PerHour(5))
	m := newManual(4096)
	names := make([][store.MaxLimits]int64, n)
	for round := range 3 {
		for i := range n {
			_, names[i] = m.hold(t, strconv.Itoa(i), hourly, 1)
		}
		used, free := m.countWholes(t)
		if used != n || free > n/2 {
			t.Fatalf("round %d: %d buckets are kept whole, with room for %d more; want %d, and %d at most", round, used, free, n, n/2)
		}
		for i := range n {
			m.settle(t, store.Settlement{Key: strconv.Itoa(i), Limits: hourly, Names: names[i], Held: 1})
		}
		if used, free := m.countWholes(t); used != 0 || free > keptWholes*len(m.shards) {
			t.Fatalf("round %d: in the end %d buckets are kept whole, with room for %d more; want none, and %d at most", round, used, free, keptWholes*len(m.shards))
		}
	}
	// One that stays.
	m.hold(t, "stays", hourly, 1)
	for round := range 50 {
		for i := range 100 {
			_, names[i] = m.hold(t, strconv.Itoa(round*100+i), hourly, 1)
		}
		for i := range 100 {
			m.settle(t, store.Settlement{Key: strconv.Itoa(round*100 + i), Limits: hourly, Names: names[i], Held: 1})
		}
	}
	if used, free := m.countWholes(t); used != 1 || free > 256 {
		t.Errorf("beside a hold that stays, 100 at a time leave %d buckets whole, with room for %d more; want 1, and 256 at most", used, free)
	}
}

// TestHoldMemoryIsBounded: also while everything is held, and more keys come.
func TestHoldMemoryIsBounded(t *testing.T) {
	const maxKeys = 20_000
	hourly := testkit.Limits(t, ratelimit.PerHour(5))
	before := heap()
	s := New(Config{MaxKeys: maxKeys})
	hold := store.Hold{}
	for i := range 5 * maxKeys {
		_, _ = s.Take(t.Context(), store.Request{Key: strconv.Itoa(i), Limits: hourly, Cost: 1, Hold: &hold})
	}
	each := float64(heap()-before) / maxKeys
	t.Logf("%.1f bytes each", each)
	if each > bytesPerHold {
		t.Errorf("%d held keys of %d took %.1f bytes each; want %d at most", 5*maxKeys, maxKeys, each, bytesPerHold)
	}
	if used, _ := s.countWholes(t); used > maxKeys || used < maxKeys*9/10 {
		t.Errorf("%d buckets are kept whole; want about %d", used, maxKeys)
	}
	runtime.KeepAlive(s)
}

// bytesPerHold is what doc.go promises.
const bytesPerHold = 256

// TestHoldInAFullStore: without a bucket of its own, a key spends what it would hold, and is
// lent nothing.
func TestHoldInAFullStore(t *testing.T) {
	hourly := testkit.Limits(t, ratelimit.PerHour(5)) // T 720 s
	loan := loanLimits(t, 3)
	m := newManual(1)
	m.take("first", testkit.Limits(t, ratelimit.PerDay(1)), 1)
	d, names := m.hold(t, "newcomer", hourly, 3)
	if !d.Allowed || !d.Overflow || d.Held[0] != 0 || d.Debts[0].Micros != 3*720_000_000 || names[0] == 0 {
		t.Fatalf("a hold was answered %+v, with the name %d; want it spent at once, marked Overflow", d, names[0])
	}
	for _, test := range []struct {
		actual int
		want   int64 // tokens, after it
	}{{0, 3}, {2, 3}, {3, 3}, {4, 4}} { // what was paid is neither freed nor charged twice
		s := m.settle(t, store.Settlement{Key: "newcomer", Limits: hourly, Names: names, Held: 3, Actual: test.actual})
		if got := m.take("newcomer", hourly, 0).Debts[0].Micros; got != test.want*720_000_000 || s.Debts[0].Micros != got {
			t.Errorf("after a settlement of %d of 3, %d µs are owed, and %d reported; want %d tokens", test.actual, got, s.Debts[0].Micros, test.want)
		}
	}
	renewed := m.settle(t, store.Settlement{Key: "newcomer", Limits: hourly, Names: names, Held: 3, Renew: true})
	if got := m.take("newcomer", hourly, 0); renewed.Names != names || got.Held[0] != 0 || got.Debts[0].Micros != 4*720_000_000 {
		t.Errorf("after a renewal, the names are %d and the state %+v", renewed.Names, got)
	}
	if d, _ := m.hold(t, "newcomer", hourly, 2); d.Allowed {
		t.Errorf("a hold beyond the burst was answered %+v", d)
	}

	if d, names := m.hold(t, "newcomer", loan, 1); d.Allowed || !d.Overflow || names[0] != 0 {
		t.Errorf("a loan was answered %+v, with the name %d; want a denial, marked Overflow", d, names[0])
	}
	both := append(loanLimits(t, 3), testkit.Limits(t, ratelimit.PerMinute(60).Named("minute"))...)
	if d, _ := m.hold(t, "newcomer", both, 1); d.Allowed || !d.Overflow || m.take("newcomer", both[1:], 0).Debts[0] != (gcra.Debt{}) {
		t.Errorf("a loan beside a rate was answered %+v; want a denial that charges nothing", d)
	}

	// There is room again.
	m.now += 24 * time.Hour.Microseconds()
	if d, names := m.hold(t, "newcomer", loan, 1); !d.Allowed || d.Overflow || d.Held[0] != 1 || names[0] <= 0 {
		t.Errorf("with room, a loan was answered %+v, with the name %d", d, names[0])
	}
	m.count(t)
}

// TestChargeInAFullStore: a charge of a key without a bucket of its own counts.
func TestChargeInAFullStore(t *testing.T) {
	hourly := testkit.Limits(t, ratelimit.PerHour(5))
	m := newManual(1)
	m.take("first", testkit.Limits(t, ratelimit.PerDay(1)), 1)
	for i, want := range []int64{2, 4, 6} { // the third is above the capacity
		s := m.settle(t, store.Settlement{Key: "newcomer", Limits: hourly, Actual: 2})
		d := m.take("newcomer", hourly, 0)
		if got := min(want, 5) * 720_000_000; d.Debts[0].Micros != got || !d.Overflow || s.Debts[0].Micros < got {
			t.Errorf("after charge %d the state is %+v, and the debt in the settlement %v; want %d tokens", i+1, d, s.Debts[0], min(want, 5))
		}
	}
	if d := m.take("newcomer", hourly, 1); d.Allowed {
		t.Errorf("after charges of 6, a call was answered %+v", d)
	}
}

// loanLimits returns a limit that lends n tokens.
func loanLimits(t testing.TB, n int) []store.Limit {
	t.Helper()
	rate, err := gcra.NewLoan(n)
	if err != nil {
		t.Fatal(err)
	}
	l, err := store.NewLimit("at once", rate)
	if err != nil {
		t.Fatal(err)
	}
	return []store.Limit{l}
}
