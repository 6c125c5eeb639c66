package memstore

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/storetest"
)

// A guarded is a store beside a model of some of its keys. Whatever the store
// admits the model must admit, too; and unless an answer is marked Overflow, both
// must be the same.
type guarded struct {
	*manual
	t     *testing.T
	model *storetest.Model
}

func newGuarded(t *testing.T, maxKeys int) *guarded {
	t.Helper()
	return &guarded{newManual(maxKeys), t, storetest.NewModel()}
}

func (g *guarded) request(r store.Request) store.Decision {
	g.t.Helper()
	want := g.model.Peek(g.now, r)
	got, err := g.Take(context.Background(), r)
	if err != nil {
		g.t.Fatal(err)
	}
	if !got.Overflow {
		if err := storetest.Compare(r.Limits, got, want); err != nil {
			g.t.Fatalf("key %.40q, not marked Overflow, %v", r.Key, err)
		}
	}
	if got.Allowed && !want.Allowed {
		g.t.Fatalf("key %.40q was admitted %d tokens, having the debts %v", r.Key, r.Cost, want.Debts)
	}
	if got.Allowed {
		g.model.Take(g.now, r)
	}
	return got
}

func (g *guarded) take(key string, p []store.Limit, cost int) store.Decision {
	g.t.Helper()
	return g.request(store.Request{Key: key, Limits: p, Cost: cost})
}

func (g *guarded) advance(d time.Duration) { g.now += d.Microseconds() }

// slots returns how many places all tables have.
func (s *Store) slots() (n int) {
	for i := range s.shards {
		n += cap(s.shards[i].slots)
	}
	return n
}

// TestFlood: 10,000 exhausted keys fill the table; then a million others come.
func TestFlood(t *testing.T) {
	const exhausted = 10_000
	newcomers := testkit.Count(100_000, 1_000_000)
	if raceEnabled {
		newcomers = 100_000
	}
	hourly := testkit.Limits(t, ratelimit.PerHour(5))
	second := testkit.Limits(t, ratelimit.PerSecond(10).Named("second"))
	both := testkit.Limits(t, ratelimit.PerSecond(10).Named("second"), ratelimit.PerHour(5))
	g := newGuarded(t, exhausted)
	old := func(i int) string { return "exhausted " + strconv.Itoa(i) }
	for i := range exhausted {
		g.now++
		if d := g.take(old(i), hourly, 5); !d.Allowed || d.Overflow {
			t.Fatalf("key %d: %+v; want it admitted, in a bucket of its own", i, d)
		}
	}
	if n := g.count(t); n != exhausted {
		t.Fatalf("the table holds %d buckets; want %d", n, exhausted)
	}
	slots := g.slots()

	regular := func(i int) (string, []store.Limit) {
		return "regular " + strconv.Itoa(i), [][]store.Limit{hourly, second, both}[i%3]
	}
	const regulars = 300
	admitted, regularly := 0, 0
	for i := range newcomers {
		p := hourly
		if i%2 == 0 {
			p = second
		}
		d := g.manual.take("new "+strconv.Itoa(i), p, 1)
		if !d.Overflow {
			t.Fatalf("newcomer %d was answered %+v; want it marked Overflow", i, d)
		}
		if d.Allowed {
			admitted++
		}
		if i%50 == 0 {
			g.advance(time.Millisecond)
			if d := g.take(old(i/50*7%exhausted), hourly, 1); d.Allowed || d.Overflow {
				t.Fatalf("an exhausted key was answered %+v; want a denial by its own bucket", d)
			}
			key, p := regular(i / 50 % regulars)
			if g.take(key, p, 1).Allowed {
				regularly++
			}
		}
	}
	if admitted == 0 || regularly == 0 {
		t.Errorf("%d newcomers were admitted, and %d calls of those who came again; want some of both", admitted, regularly)
	}
	if n := g.count(t); n != exhausted || g.slots() != slots {
		t.Errorf("the flood left %d buckets in %d places; want %d in %d as before", n, g.slots(), exhausted, slots)
	}
	t.Logf("%d newcomers: %d admitted, and %d calls of %d who came again", newcomers, admitted, regularly, regulars)

	// Nothing was forgotten, and nothing put on top.
	for i := range exhausted {
		if d := g.take(old(i), hourly, 1); d.Allowed || d.Overflow {
			t.Fatalf("exhausted key %d was answered %+v; want a denial by its own bucket", i, d)
		}
	}
	g.advance(12 * time.Minute)
	for i := range exhausted {
		for _, want := range []bool{true, false} {
			if d := g.take(old(i), hourly, 1); d.Allowed != want || d.Overflow {
				t.Fatalf("after 12 minutes exhausted key %d was answered %+v; want allowed=%v", i, d, want)
			}
		}
	}

	// When all of it is paid back, there is room for newcomers of their own.
	g.advance(2 * time.Hour)
	for i := range exhausted {
		if d := g.take("late "+strconv.Itoa(i), hourly, 5); !d.Allowed || d.Overflow {
			t.Fatalf("late key %d was answered %+v; want a bucket of its own", i, d)
		}
		if i%50 == 0 {
			g.advance(time.Millisecond) // other shards are looked through once in a millisecond
		}
	}
	g.count(t)
}

// floodOfDecoys is the row of the torture table on caches that forget.
func floodOfDecoys(t *testing.T) {
	hourly := testkit.Limits(t, ratelimit.PerHour(3))
	g := newGuarded(t, 100)
	for i := range 100 {
		g.take("exhausted "+strconv.Itoa(i), hourly, 3)
	}
	for i := range 10_000 {
		g.now += 7
		g.manual.take("decoy "+strconv.Itoa(i), hourly, 1)
	}
	for i := range 100 {
		if d := g.take("exhausted "+strconv.Itoa(i), hourly, 1); d.Allowed || d.Overflow {
			t.Errorf("exhausted key %d was answered %+v; want a denial by its own bucket", i, d)
		}
	}
}

// TestOverflowDebtIsCarried: a newcomer that had to share takes the debt along
// into a bucket of its own.
func TestOverflowDebtIsCarried(t *testing.T) {
	short, hourly := testkit.Limits(t, ratelimit.PerSecond(1)), testkit.Limits(t, ratelimit.PerHour(2))
	g := newGuarded(t, 1)
	g.take("first", short, 1)
	if d := g.take("newcomer", hourly, 1); !d.Allowed || !d.Overflow {
		t.Fatalf("the newcomer was answered %+v; want it admitted by an overflow bucket", d)
	}
	g.advance(time.Second) // the first bucket is full, and its place is free
	if d := g.take("newcomer", hourly, 1); !d.Allowed || !d.Overflow || d.Debts[0].Micros != 3_599_000_000 {
		t.Fatalf("the newcomer was answered %+v; want it admitted, with the debt of both calls, marked Overflow", d)
	}
	if d := g.take("first", short, 0); !d.Allowed {
		t.Fatalf("the first key was answered %+v", d)
	}
	for range 3 {
		if d := g.take("newcomer", hourly, 1); d.Allowed || !d.Overflow {
			t.Fatalf("the newcomer was answered %+v; want a denial, marked Overflow", d)
		}
	}
	g.advance(1799 * time.Second)
	if d := g.take("newcomer", hourly, 1); !d.Allowed || !d.Overflow {
		t.Fatalf("after half an hour the newcomer was answered %+v; want it admitted, still marked Overflow", d)
	}
	g.advance(time.Hour)
	if d := g.take("newcomer", hourly, 1); !d.Allowed || d.Overflow || d.Debts[0].Micros != 1_800_000_000 {
		t.Fatalf("after the refill the newcomer was answered %+v; want its own debt alone, not marked Overflow", d)
	}
}

// TestOverflowCarriesWhatIsKnown: a shared bucket is charged with what the caller
// knew, too, as a bucket of the key's own would be.
func TestOverflowCarriesWhatIsKnown(t *testing.T) {
	hourly := testkit.Limits(t, ratelimit.PerHour(2))
	g := newGuarded(t, 1)
	g.take("first", hourly, 2)
	half := store.Knowledge{{Debt: gcra.Debt{Micros: 1_800_000_000}}}
	d := g.request(store.Request{Key: "newcomer", Limits: hourly, Cost: 1, Known: &half})
	if want := (gcra.Debt{Micros: 3_600_000_000}); !d.Allowed || d.Debts[0] != want {
		t.Fatalf("the newcomer was answered %+v; want it admitted, with the debts %v", d, want)
	}
	if d := g.take("newcomer", hourly, 1); d.Allowed { // Fatal in take
		t.Errorf("the newcomer was answered %+v; want a denial", d)
	}
}

// TestOverflowOfSeveralPeriods: limits of different periods that share do not
// clamp each other's debts, and do not make each other wait.
func TestOverflowOfSeveralPeriods(t *testing.T) {
	second, daily := ratelimit.PerSecond(10).WithBurst(100).Named("second"), ratelimit.PerDay(5).Named("daily")
	both, fast, slow := testkit.Limits(t, second, daily), testkit.Limits(t, second), testkit.Limits(t, daily)
	g := newGuarded(t, 1)
	g.take("first", testkit.Limits(t, ratelimit.PerDay(1)), 1)
	for i := range 200 { // keys that share the buckets of a class: all of them
		g.take("sharer "+strconv.Itoa(i), both, 5)
	}
	for i := range 200 {
		key := "sharer " + strconv.Itoa(i)
		for range 20 {
			g.advance(10 * time.Millisecond)
			g.take(key, fast, 1)
		}
		if d := g.take(key, slow, 1); d.Allowed || d.Debts[0].Micros < 23*3_600_000_000 {
			t.Fatalf("%s was answered %+v under the daily limit; want a denial by the debt of the day", key, d)
		}
	}
	// The day's debt is no debt of those who are held per second.
	g.advance(20 * time.Second)
	for i := range 200 {
		if d := g.take("late "+strconv.Itoa(i), fast, 1); !d.Allowed {
			t.Fatalf("late key %d was answered %+v; want it admitted", i, d)
		}
		g.advance(100 * time.Millisecond)
	}
}

// TestOverflowWaitIsBounded: no caller waits for longer than twice its own refill,
// whatever the others in his overflow bucket do.
func TestOverflowWaitIsBounded(t *testing.T) {
	g := newGuarded(t, 1)
	g.take("first", testkit.Limits(t, ratelimit.PerDay(1)), 1)
	narrow := testkit.Limits(t, ratelimit.Limit{Rate: 1, Period: 40 * time.Second, Burst: 1})
	wide := testkit.Limits(t, ratelimit.Limit{Rate: 1, Period: time.Second, Burst: 60})
	for i := range 1000 {
		g.take("wide "+strconv.Itoa(i), wide, 60)
	}
	g.advance(80 * time.Second)
	for i := range 64 {
		if d := g.take("narrow "+strconv.Itoa(i), narrow, 0); d.Debts[0] != (gcra.Debt{}) {
			t.Errorf("narrow key %d still has a debt of %v after twice its refill", i, d.Debts[0].Duration())
		}
	}
}

// TestOverflowOfFractions: limits of different denominators share a bucket
// without gaining a part of a microsecond.
func TestOverflowOfFractions(t *testing.T) {
	g := newGuarded(t, 1)
	g.take("first", testkit.Limits(t, ratelimit.PerDay(1)), 1)
	limits := [][]store.Limit{
		testkit.Limits(t, ratelimit.PerSecond(3)), testkit.Limits(t, ratelimit.PerSecond(7)),
		testkit.Limits(t, ratelimit.Limit{Rate: 700_001, Period: time.Second}),
	}
	admitted := 0
	for i := range 20_000 {
		g.now += int64(i*i%40_000) + 1
		if g.take("key "+strconv.Itoa(i%97), limits[i%97%3], 1).Allowed {
			admitted++
		}
	}
	if admitted < 100 {
		t.Errorf("%d calls were admitted; want more", admitted)
	}
}

// TestOverflowReset: a reset takes a key out of the overflow bucket as soon as
// there is room.
func TestOverflowReset(t *testing.T) {
	short, hourly := testkit.Limits(t, ratelimit.PerSecond(1)), testkit.Limits(t, ratelimit.PerHour(2))
	g := newGuarded(t, 1)
	g.take("first", short, 1)
	g.take("newcomer", hourly, 2)
	g.advance(time.Second)
	g.reset("newcomer", hourly)
	g.model.Reset(g.now, store.Request{Key: "newcomer", Limits: hourly})
	if d := g.take("newcomer", hourly, 2); !d.Allowed || d.Overflow {
		t.Fatalf("after the reset the newcomer was answered %+v; want it admitted by a bucket of its own", d)
	}
	if d := g.take("newcomer", hourly, 1); d.Allowed || d.Overflow {
		t.Fatalf("the newcomer was answered %+v; want a denial by a bucket of its own", d)
	}
}

// TestOverflowResetOfSeveral: all limits of a policy get buckets in one reset.
// Their home is the same, and a full bucket is a place that may be taken.
func TestOverflowResetOfSeveral(t *testing.T) {
	short := testkit.Limits(t, ratelimit.PerSecond(1))
	four := testkit.Limits(t, ratelimit.PerHour(1).Named("a"), ratelimit.PerHour(1).Named("b"), ratelimit.PerDay(1).Named("c"), ratelimit.PerDay(1).Named("d"))
	g := newGuarded(t, 4)
	for i := range 4 {
		g.take("short "+strconv.Itoa(i), short, 1)
	}
	if d := g.take("newcomer", four, 1); !d.Allowed || !d.Overflow {
		t.Fatalf("the newcomer was answered %+v; want it admitted by overflow buckets", d)
	}
	g.advance(time.Second)
	g.reset("newcomer", four)
	g.model.Reset(g.now, store.Request{Key: "newcomer", Limits: four})
	if d := g.take("newcomer", four, 1); !d.Allowed || d.Overflow {
		t.Fatalf("after the reset the newcomer was answered %+v; want it admitted by buckets of its own", d)
	}
	if n := g.count(t); n != 4 {
		t.Errorf("the table holds %d buckets; want 4", n)
	}
}

// TestOverflowOnlyOfThoseWithoutRoom: of two limits, one may have a bucket of its
// own while the other shares.
func TestOverflowOnlyOfThoseWithoutRoom(t *testing.T) {
	a, b := ratelimit.PerHour(2).Named("a"), ratelimit.PerDay(2).Named("b")
	g := newGuarded(t, 1)
	both := testkit.Limits(t, a, b)
	if d := g.take("key", both, 1); !d.Allowed || !d.Overflow {
		t.Fatalf("answered %+v; want it admitted, marked Overflow", d)
	}
	if d := g.take("key", testkit.Limits(t, a), 1); !d.Allowed || d.Overflow {
		t.Fatalf("answered %+v under the limit that has a bucket; want it admitted, not marked", d)
	}
	if d := g.take("key", testkit.Limits(t, b), 1); !d.Allowed || !d.Overflow {
		t.Fatalf("answered %+v under the limit that has none; want it admitted, marked Overflow", d)
	}
	for _, p := range [][]store.Limit{both, testkit.Limits(t, a), testkit.Limits(t, b)} {
		if d := g.take("key", p, 1); d.Allowed {
			t.Fatalf("answered %+v; want a denial", d)
		}
	}
	if n := g.count(t); n != 1 {
		t.Errorf("the table holds %d buckets; want 1", n)
	}
}

// TestOverflowIsPaidBack: once the overflow buckets are full, keys without a
// bucket are full again, to the microsecond, and nothing is marked.
func TestOverflowIsPaidBack(t *testing.T) {
	third := testkit.Limits(t, ratelimit.PerSecond(3).WithBurst(1)) // 333333 1/3 µs
	g := newGuarded(t, 1)
	g.take("first", testkit.Limits(t, ratelimit.PerDay(1)), 1)
	if d := g.take("newcomer", third, 1); !d.Allowed || !d.Overflow {
		t.Fatalf("answered %+v; want it admitted, marked Overflow", d)
	}
	g.now += 333_333
	if d := g.take("newcomer", third, 1); d.Allowed || !d.Overflow || d.Debts[0] != (gcra.Debt{Frac: 1}) {
		t.Fatalf("a third of a microsecond too early, answered %+v; want a denial, marked Overflow", d)
	}
	if !g.overflow.owes(g.now) {
		t.Error("a third of a microsecond too early, no overflow bucket owes anything")
	}
	g.now++
	if g.overflow.owes(g.now) {
		t.Error("after the refill an overflow bucket still owes something")
	}
	if d := g.take("newcomer", third, 0); !d.Allowed || d.Overflow || d.Debts[0] != (gcra.Debt{}) {
		t.Fatalf("after the refill, answered %+v; want a full bucket, not marked", d)
	}
}

// TestOverflowSpreads: newcomers are spread over the overflow buckets, and
// differently in each store.
func TestOverflowSpreads(t *testing.T) {
	hourly := testkit.Limits(t, ratelimit.PerHour(1))
	admitted := func() (which string) {
		g := newGuarded(t, 1)
		g.take("first", hourly, 1)
		n := 0
		for i := range 1000 {
			if g.take("newcomer "+strconv.Itoa(i), hourly, 1).Allowed {
				n++
				which += fmt.Sprint(i, " ")
			}
		}
		if n != perClass {
			t.Errorf("%d of 1000 newcomers were admitted; want one for each of %d buckets", n, perClass)
		}
		return which
	}
	if a, b := admitted(), admitted(); a == b {
		t.Errorf("the same newcomers were admitted by two stores: %s", a)
	}
}

// TestOverflowCharge: calls of different shards may find the same bucket full at
// once. Each is charged, whatever it found.
func TestOverflowCharge(t *testing.T) {
	three, seven := &testkit.Limits(t, ratelimit.PerSecond(3))[0], &testkit.Limits(t, ratelimit.PerSecond(7))[0]
	third, _ := three.Cost(1)
	seventh, _ := seven.Cost(1)
	check := func(o *overflow, when string, b *store.Limit, now int64, want gcra.Debt) {
		t.Helper()
		if got := o.debt(b, id{}, now); got != want {
			t.Errorf("%s, the debt is %+v; want %+v", when, got, want)
		}
		if !o.owes(now) && want != (gcra.Debt{}) {
			t.Errorf("%s, nothing is owed; want %+v", when, want)
		}
		if full := want.Micros + 2; o.owes(now + full) { // rounded up
			t.Errorf("%s, something is still owed %d µs later", when, full)
		}
	}
	var o overflow
	check(&o, "at first", three, 1000, gcra.Debt{})
	o.charge(three, id{}, 1, third, 1000)
	check(&o, "after a call", three, 1000, gcra.Debt{Micros: 333_333, Frac: 1})
	o.charge(three, id{}, 1, third, 1000)
	check(&o, "after another that found it full", three, 1000, gcra.Debt{Micros: 666_666, Frac: 2})
	check(&o, "two thirds of a microsecond too early", three, 1000+666_666, gcra.Debt{Frac: 2})
	o.charge(three, id{}, 1, third, 1000+666_666)
	check(&o, "after a call that found it full, which it nearly was", three, 1000+666_666, gcra.Debt{Micros: 333_334})
	check(&o, "in the end", three, 1000+1_000_000, gcra.Debt{})

	// Of another denominator.
	o = overflow{}
	o.charge(three, id{}, 1, third, 1000)
	o.charge(seven, id{}, 1, seventh, 1000)
	check(&o, "after a call under another limit", seven, 1000, gcra.Debt{Micros: 333_334 + 142_857, Frac: 1})
	o = overflow{}
	o.charge(three, id{}, 3, three.Capacity(), 1000)
	o.charge(seven, id{}, 1, seventh, 1000)
	if got := o.bucket(seven, id{}); *got != (gcra.TAT{Micros: 1000 + 1_000_000 + 142_857, Frac: 1, Den: 7}) {
		t.Errorf("a whole debt and one of sevenths make %+v", *got)
	}

	// What the call knew counts, if it is more.
	o = overflow{}
	o.charge(three, id{}, 1, gcra.Debt{Micros: 900_000, Frac: 1}, 1000)
	check(&o, "after a call that knew more", three, 1000, gcra.Debt{Micros: 900_000, Frac: 1})
	o.charge(three, id{}, 1, third, 500_000_000)
	check(&o, "long after", three, 500_000_000, third)
	o.charge(three, id{}, 1, third, 499_900_000)
	check(&o, "after a call of a shard whose time is behind", three, 500_000_000, gcra.Debt{Micros: 666_666, Frac: 2})
}

// TestOverflowClasses: limits share a bucket if their refills are within a factor
// of two, whatever they are.
func TestOverflowClasses(t *testing.T) {
	var o overflow
	at := func(l ratelimit.Limit, hash uint64) *gcra.TAT {
		return o.bucket(&testkit.Limits(t, l)[0], id{limit: hash})
	}
	micro := func(n int) ratelimit.Limit {
		return ratelimit.Limit{Rate: 1, Period: time.Duration(n) * time.Microsecond}
	}
	tiny := ratelimit.Limit{Rate: min(gcra.MaxRate, math.MaxInt), Period: time.Microsecond, Burst: 1}
	longest := ratelimit.Limit{Rate: 1, Period: gcra.MaxRefill}
	for _, test := range []struct {
		a, b ratelimit.Limit
		same bool
	}{
		{micro(1), micro(1).WithBurst(2), false}, {micro(2), micro(3), true}, {micro(3), micro(4), false}, {micro(1024), micro(2047), true},
		{tiny, tiny.Named("other"), true}, {tiny, micro(1), false}, {longest, longest.Named("other"), true}, {longest, micro(min(1<<40, math.MaxInt)), false},
	} {
		if same := at(test.a, 7) == at(test.b, 7); same != test.same {
			t.Errorf("%v and %v share a bucket: %v; want %v", test.a, test.b, same, test.same)
		}
	}
	seen := map[*gcra.TAT]bool{}
	for hash := range uint64(1000) {
		seen[at(longest, hash)] = true
	}
	if len(seen) != perClass {
		t.Errorf("a class has %d buckets; want %d", len(seen), perClass)
	}
}

// TestRecycleOfAnotherShard: a full bucket of another shard makes room at once;
// others are looked through once in a millisecond.
func TestRecycleOfAnotherShard(t *testing.T) {
	const maxKeys = 4097
	short, daily := testkit.Limits(t, ratelimit.Limit{Rate: 1, Period: time.Microsecond}), testkit.Limits(t, ratelimit.PerDay(1000)) // admits in a shared bucket, too
	g := newGuarded(t, maxKeys)
	if len(g.shards) != 2 {
		t.Fatalf("the store has %d shards; the test needs two", len(g.shards))
	}
	next := 0
	key := func(shard int) string { // of that shard
		for {
			next++
			if key := strconv.Itoa(next); g.shard(g.hash(key)) == &g.shards[shard] {
				return key
			}
		}
	}
	fill := func() {
		for g.room.used.Load() < maxKeys {
			g.manual.take(key(1), short, 1)
		}
	}
	own := func() bool {
		k := key(0)
		g.take(k, daily, 1)
		slot := g.shards[0].find(g.hash(k).of(&daily[0]))
		return slot != nil
	}
	g.now = 1
	fill()
	if own() {
		t.Error("a newcomer got a bucket though all were in debt")
	}
	g.now += recycleEvery
	if !own() {
		t.Error("a newcomer got no bucket though all of another shard were full")
	}
	fill() // at the same instant
	g.now += recycleEvery - 1
	if own() {
		t.Errorf("another shard was looked through twice within %d µs", recycleEvery)
	}
	g.now++
	if !own() {
		t.Errorf("another shard was not looked through again after %d µs", recycleEvery)
	}
	g.count(t)

	// The first time is at once.
	g = newGuarded(t, maxKeys)
	g.now = 1
	fill()
	g.now++
	if !own() {
		t.Error("the first newcomer got no bucket though all of another shard were full")
	}

	// A shard that has nothing to give is not the last that is looked at.
	g = newGuarded(t, 2*maxKeys)
	if len(g.shards) != 4 {
		t.Fatalf("the store has %d shards; the test needs four", len(g.shards))
	}
	g.now = 1
	for range 10 {
		g.manual.take(key(2), daily, 1)
		g.manual.take(key(3), daily, 1)
	}
	for g.room.used.Load() < 2*maxKeys {
		g.manual.take(key(1), short, 1)
	}
	for range 4 { // from wherever it begins
		g.now += recycleEvery
		if !own() {
			t.Error("a newcomer got no bucket though all of another shard were full")
		}
		for g.room.used.Load() < 2*maxKeys {
			g.manual.take(key(1), short, 1)
		}
	}

	// A shard that somebody works on is passed over.
	g = newGuarded(t, maxKeys)
	g.now = 1
	fill()
	g.now++
	g.shards[1].mu.Lock()
	if own() {
		t.Error("a shard that was locked was looked through")
	}
	g.shards[1].mu.Unlock()
	g.count(t)
}

// TestRecycle: the room of full buckets goes to newcomers of any shard.
func TestRecycle(t *testing.T) {
	const n = 20_000
	short, hourly := testkit.Limits(t, ratelimit.PerSecond(1)), testkit.Limits(t, ratelimit.PerHour(1))
	g := newGuarded(t, n)
	if len(g.shards) < 4 {
		t.Fatalf("the store has %d shards; the test needs more", len(g.shards))
	}
	for i := range n {
		g.take("short "+strconv.Itoa(i), short, 1)
	}
	if d := g.take("newcomer", testkit.Limits(t, ratelimit.PerDay(1)), 1); !d.Overflow {
		t.Fatalf("with a full table, answered %+v; want it marked Overflow", d)
	}
	g.advance(time.Second)
	own := 0
	for i := range n {
		if d := g.take("hourly "+strconv.Itoa(i), hourly, 1); d.Allowed && !d.Overflow {
			own++
		}
		g.advance(100 * time.Microsecond)
	}
	g.count(t)
	if own < n*99/100 {
		t.Errorf("%d of %d newcomers got a bucket; there was room for all", own, n)
	}
	if used := g.room.used.Load(); used > n {
		t.Errorf("the table holds %d buckets; want %d at most", used, n)
	}
}
