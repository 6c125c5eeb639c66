package gcra_test

import (
	"math"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
)

const second = 1_000_000

// slots returns the slots of both classes.
func slots(short, long gcra.Slot) [gcra.Classes]gcra.Slot {
	return [gcra.Classes]gcra.Slot{short, long}
}

// TestClassLength: what a hold lasts is documented in seconds.
func TestClassLength(t *testing.T) {
	if s, l := gcra.Short.Length(), gcra.Long.Length(); s != time.Second.Microseconds() || l != 10*time.Second.Microseconds() {
		t.Errorf("the lengths are %d and %d µs; want 1 s and 10 s", s, l)
	}
}

// TestHold: a hold joins the present slot, whose end names it.
func TestHold(t *testing.T) {
	var b gcra.Bucket
	five := rateOf(t, ratelimit.PerSecond(5))
	step := func(now int64, n int, wantName int64, want gcra.Slot) {
		t.Helper()
		b.Open(five, now)
		if name := b.Hold(n, now); name != wantName || b.Slots != slots(want, gcra.Slot{}) {
			t.Errorf("%d held at %d: name %d, slots %+v; want %d, %+v", n, now, name, b.Slots, wantName, want)
		}
	}
	step(5*second, 2, 2*6*second, gcra.Slot{End: 6 * second, Newer: 2})
	step(5*second+1, 1, 2*6*second, gcra.Slot{End: 6 * second, Newer: 3})
	step(6*second-1, 1, 2*6*second, gcra.Slot{End: 6 * second, Newer: 4})
	step(6*second, 7, 2*7*second, gcra.Slot{End: 7 * second, Newer: 7, Older: 4})
	step(7*second, 1, 2*8*second, gcra.Slot{End: 8 * second, Newer: 1, Older: 7})
	step(8*second, 1, 2*9*second, gcra.Slot{End: 9 * second, Newer: 1, Older: 1})
	step(10*second, 1, 2*11*second, gcra.Slot{End: 11 * second, Newer: 1}) // nothing was held any more

	// Counters never overflow.
	b = gcra.Bucket{}
	for range 5 {
		b.Hold(math.MaxInt, second)
		b.Renew(0, math.MaxInt, second)
	}
	if held := b.Held(); int64(held) != min(1<<53-1, math.MaxInt) {
		t.Errorf("%d are held; want as many as a script can count", held)
	}
}

// TestSlotsEnd: what a slot holds becomes a debt at its end, in the order of time.
func TestSlotsEnd(t *testing.T) {
	five := rateOf(t, ratelimit.PerSecond(5)) // T 0.2 s
	slow := rateOf(t, ratelimit.PerSecond(1).WithBurst(100))
	for _, test := range []struct {
		name  string
		b     gcra.Bucket
		r     *gcra.Rate
		now   int64
		spent int64
		slots [gcra.Classes]gcra.Slot
	}{
		{"before the end", gcra.Bucket{Slots: slots(gcra.Slot{End: 10 * second, Newer: 2, Older: 1}, gcra.Slot{})}, five, 10*second - 1, 0, slots(gcra.Slot{End: 10 * second, Newer: 2, Older: 1}, gcra.Slot{})},
		{"at the end", gcra.Bucket{Slots: slots(gcra.Slot{End: 10 * second, Newer: 2, Older: 1}, gcra.Slot{})}, five, 10 * second, 200_000, slots(gcra.Slot{End: 11 * second, Older: 2}, gcra.Slot{})},
		{"0.1 s later", gcra.Bucket{Slots: slots(gcra.Slot{End: 10 * second, Newer: 2, Older: 1}, gcra.Slot{})}, five, 10*second + 100_000, 100_000, slots(gcra.Slot{End: 11 * second, Older: 2}, gcra.Slot{})},
		{"at the second end", gcra.Bucket{Slots: slots(gcra.Slot{End: 10 * second, Newer: 2, Older: 1}, gcra.Slot{})}, five, 11 * second, 400_000, slots(gcra.Slot{}, gcra.Slot{})},
		{"long after", gcra.Bucket{Slots: slots(gcra.Slot{End: 10 * second, Newer: 2, Older: 1}, gcra.Slot{})}, five, 12 * second, 0, slots(gcra.Slot{}, gcra.Slot{})},
		{"with nothing older", gcra.Bucket{Slots: slots(gcra.Slot{End: 10 * second, Newer: 2}, gcra.Slot{})}, five, 10*second + 1, 0, slots(gcra.Slot{End: 11 * second, Older: 2}, gcra.Slot{})},
		{"with nothing newer", gcra.Bucket{Slots: slots(gcra.Slot{End: 10 * second, Older: 2}, gcra.Slot{})}, five, 10 * second, 400_000, slots(gcra.Slot{}, gcra.Slot{})},
		{"beside a debt", gcra.Bucket{TAT: at(five, 10*second, 300_000), Slots: slots(gcra.Slot{End: 10 * second, Older: 2}, gcra.Slot{})}, five, 10 * second, 700_000, slots(gcra.Slot{}, gcra.Slot{})},
		{"beside a debt that has ended before", gcra.Bucket{TAT: at(five, 9*second, 300_000), Slots: slots(gcra.Slot{End: 10 * second, Older: 2}, gcra.Slot{})}, five, 10*second + 50_000, 350_000, slots(gcra.Slot{}, gcra.Slot{})},
		{"beyond the capacity", gcra.Bucket{TAT: at(five, 10*second, 900_000), Slots: slots(gcra.Slot{End: 10 * second, Older: 5}, gcra.Slot{})}, five, 10 * second, 1_900_000, slots(gcra.Slot{}, gcra.Slot{})},
		{"beyond two capacities", gcra.Bucket{TAT: at(five, 10*second, 900_000), Slots: slots(gcra.Slot{End: 10 * second, Older: 50}, gcra.Slot{})}, five, 10 * second, 2_000_000, slots(gcra.Slot{}, gcra.Slot{})},
		{"of the long class", gcra.Bucket{Slots: slots(gcra.Slot{}, gcra.Slot{End: 10 * second, Newer: 2, Older: 1})}, five, 10 * second, 200_000, slots(gcra.Slot{}, gcra.Slot{End: 20 * second, Older: 2})},
		{"of the long class, at the second end", gcra.Bucket{Slots: slots(gcra.Slot{}, gcra.Slot{End: 10 * second, Newer: 2, Older: 1})}, five, 20*second + 100_000, 300_000, slots(gcra.Slot{}, gcra.Slot{})},
		// 2 tokens at 10 s are paid at 10.4 s; 3 at 10.3 s follow them until 11 s.
		{"of both, the short class first", gcra.Bucket{Slots: slots(gcra.Slot{End: 10 * second, Older: 2}, gcra.Slot{End: 10*second + 300_000, Older: 3})}, five, 10*second + 500_000, 500_000, slots(gcra.Slot{}, gcra.Slot{})},
		{"of both, the long class first", gcra.Bucket{Slots: slots(gcra.Slot{End: 10*second + 300_000, Older: 3}, gcra.Slot{End: 10 * second, Older: 2})}, five, 10*second + 500_000, 500_000, slots(gcra.Slot{}, gcra.Slot{})},
		// 1 token at 10 s is paid at 10.2 s; 3 at 10.3 s until 10.9 s. In the other order 10.9 s would be 11.1 s.
		{"of both, with a pause", gcra.Bucket{Slots: slots(gcra.Slot{End: 10*second + 300_000, Older: 3}, gcra.Slot{End: 10 * second, Older: 1})}, five, 10*second + 500_000, 400_000, slots(gcra.Slot{}, gcra.Slot{})},
		{"of both, four ends", gcra.Bucket{Slots: slots(gcra.Slot{End: 10 * second, Newer: 1, Older: 1}, gcra.Slot{End: second, Newer: 4, Older: 3})}, five, 11 * second, 1_000_000, slots(gcra.Slot{}, gcra.Slot{})},
		{"of another interval", gcra.Bucket{TAT: at(five, 0, 0), Slots: slots(gcra.Slot{End: 10 * second, Older: 2}, gcra.Slot{})}, slow, 10*second + 100_000, 1_500_000, slots(gcra.Slot{}, gcra.Slot{})},
		{"of a loan", gcra.Bucket{TAT: at(loanOf(t, 3), 0, 0), Slots: slots(gcra.Slot{End: 10 * second, Newer: 1, Older: 2}, gcra.Slot{})}, loanOf(t, 3), 10 * second, 0, slots(gcra.Slot{End: 11 * second, Older: 1}, gcra.Slot{})},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := test.b
			if b.TAT == (gcra.TAT{}) {
				b.TAT = at(five, 0, 0)
			}
			spent, _, _ := b.Open(test.r, test.now)
			if spent != micros(test.spent) || b.Slots != test.slots {
				t.Errorf("spent %v, slots %+v; want %d, %+v", spent, b.Slots, test.spent, test.slots)
			}
			again := b
			if s, stale, _ := again.Open(test.r, test.now); s != spent || stale || again != b {
				t.Errorf("opened again: spent %v, stale %v, %+v; want no change of %+v", s, stale, again, b)
			}
		})
	}
}

// TestSlotsSetBack: what is held in a slot of the future begins one at now, whose name is
// none that could be in use.
func TestSlotsSetBack(t *testing.T) {
	five := rateOf(t, ratelimit.PerSecond(5))
	const now = 100 * second
	for _, test := range []struct {
		name  string
		slot  gcra.Slot
		stale bool
		want  gcra.Slot
	}{
		{"begins now", gcra.Slot{End: now + second, Newer: 2}, false, gcra.Slot{End: now + second, Newer: 2}},
		{"begins in a microsecond", gcra.Slot{End: now + second + 1, Newer: 2, Older: 1}, true, gcra.Slot{End: now + second, Newer: 3}},
		{"begins in an hour and a half microsecond", gcra.Slot{End: now + 3600*second + 500_000, Newer: 2}, true, gcra.Slot{End: now + second, Newer: 2}},
		// The end of the new slot would be that of the old one, less whole lengths: one more.
		{"begins in a second", gcra.Slot{End: now + 2*second, Newer: 2}, true, gcra.Slot{End: now + second + 1, Newer: 2}},
		{"begins in an hour", gcra.Slot{End: now + 3600*second, Newer: 1, Older: 1}, true, gcra.Slot{End: now + second + 1, Newer: 2}},
	} {
		for c := range gcra.Classes {
			b, want := gcra.Bucket{}, gcra.Bucket{}
			b.Slots[c], want.Slots[c] = test.slot, test.want
			stale := test.stale
			if gcra.Class(c) == gcra.Long {
				b.Slots[c].End = now + (test.slot.End-now)*10
				want.Slots[c].End = now + 10*second + (test.want.End-now)%second
				if !test.stale {
					want.Slots[c] = b.Slots[c]
				}
			}
			name := b.Slots[c].End*gcra.Classes + int64(c)
			_, gotStale, _ := b.Open(five, now)
			if b.Slots != want.Slots || gotStale != stale {
				t.Errorf("%s, class %d: %+v, stale %v; want %+v, %v", test.name, c, b.Slots, gotStale, want.Slots, stale)
			}
			if !stale {
				continue
			}
			if b.Settle(five, micros(0), name, 1, 0, 0, now); b.Held() != test.slot.Newer+test.slot.Older {
				t.Errorf("%s, class %d: a name of before frees tokens", test.name, c)
			}
		}
	}
}

// TestSettle: what a settlement frees and charges, by what has become of its hold.
func TestSettle(t *testing.T) {
	five := rateOf(t, ratelimit.PerSecond(5)) // T 0.2 s
	const begun = 10 * second                 // when 4 tokens are held, until 12 s
	for _, test := range []struct {
		name      string
		now       int64 // of the settlement
		n, actual int
		reset     int64
		after     int64
		lost      int
		held      int
	}{
		{"all", begun, 4, 4, 0, 800_000, 0, 0},
		{"a part", begun, 4, 1, 0, 200_000, 0, 0},
		{"nothing", begun, 4, 0, 0, 0, 0, 0},
		{"more", begun, 4, 7, 0, 1_400_000, 0, 0},
		{"more than two bursts", begun, 4, 13, 0, 2_000_000, 3, 0},
		{"of one of two holds", begun, 3, 1, 0, 200_000, 0, 1},
		{"of more than is held", begun, 9, 1, 0, 200_000, 0, 0},
		{"in the second half", begun + second, 4, 1, 0, 200_000, 0, 0},
		{"just before the end", begun + 2*second - 1, 4, 1, 0, 200_000, 0, 0},
		// The slot has ended, and has left 0.8 s at 12 s.
		{"at the end", begun + 2*second, 4, 4, 0, 800_000, 0, 0},
		{"at the end, a part", begun + 2*second, 4, 1, 0, 800_000, 0, 0},
		{"late", begun + 2*second + 300_000, 4, 4, 0, 800_000, 0, 0},
		{"late, half", begun + 2*second + 300_000, 4, 2, 0, 500_000, 0, 0},
		{"late, a part", begun + 2*second + 300_000, 4, 3, 0, 600_000, 0, 0},
		{"late, nothing", begun + 2*second + 300_000, 4, 0, 0, 500_000, 0, 0},
		{"late, more", begun + 2*second + 300_000, 4, 6, 0, 1_200_000, 0, 0},
		{"late, when all has drained", begun + 2*second + 800_000, 4, 4, 0, 800_000, 0, 0},
		{"late, an hour", begun + 3600*second, 4, 4, 0, 800_000, 0, 0},
		{"late, more than two bursts", begun + 3600*second, 4, 12, 0, 2_000_000, 2, 0},
		{"late, more than two bursts less what is left", begun + 2*second + 300_000, 4, 12, 0, 2_000_000, 2, 0},
	} {
		b := gcra.Bucket{TAT: at(five, 0, 0)}
		b.Open(five, begun)
		name := b.Hold(4, begun)
		spent, _, _ := b.Open(five, test.now)
		after, lost := b.Settle(five, spent, name, test.n, test.actual, test.reset, test.now)
		found, _, _ := b.Open(five, test.now)
		if after != micros(test.after) || lost != test.lost || found != after || b.Held() != test.held {
			t.Errorf("%s: %v, %d lost, %d held, then %v is found; want %d µs, %d, %d", test.name, after, lost, b.Held(), found, test.after, test.lost, test.held)
		}
	}
}

// TestSettleUnknown: a name that the bucket does not have, since it was reset, or lost with
// the data of the store.
func TestSettleUnknown(t *testing.T) {
	five := rateOf(t, ratelimit.PerSecond(5))
	const begun = 10 * second
	name := int64(2 * (begun + second)) // of the slot that began then
	for _, test := range []struct {
		name  string
		hold  int64
		reset int64
		now   int64
		after int64
	}{
		{"lost", name, 0, begun + 500_000, 600_000},
		{"lost, and late", name, 0, begun + 2*second + 100_000, 100_000}, // 0.5 s are thought to be left
		{"reset after it", name, begun + 400_000, begun + 500_000, 0},
		{"reset in its microsecond", name, begun, begun + 500_000, 0},
		{"reset before it, and lost", name, begun - 1, begun + 500_000, 600_000},
		{"reset, and late", name, begun + 400_000, begun + 3*second, 0},
		{"a name of the future", name + 20*second, 0, begun + 500_000, 600_000},
		{"a long one, lost", name + 18*second + 1, 0, begun + 15*second, 600_000},
		{"a long one, reset", name + 18*second + 1, begun + 5*second, begun + 15*second, 0},
		{"no name of any bucket", -7, 0, begun + second, 600_000},
	} {
		b := gcra.Bucket{TAT: at(five, 0, 0)}
		spent, _, _ := b.Open(five, test.now)
		b.Hold(2, test.now) // another's
		after, lost := b.Settle(five, spent, test.hold, 3, 3, test.reset, test.now)
		if after != micros(test.after) || lost != 0 || b.Held() != 2 {
			t.Errorf("%s: %v, %d lost, %d held; want %d µs, none, and 2 of another", test.name, after, lost, b.Held(), test.after)
		}
	}
}

// TestRenew: a hold moves to the long class, or begins anew there.
func TestRenew(t *testing.T) {
	five := rateOf(t, ratelimit.PerSecond(5))
	const begun = 10 * second
	open := func(now int64) (b gcra.Bucket, short int64) {
		b.TAT = at(five, 0, 0)
		b.Open(five, begun)
		short = b.Hold(3, begun)
		b.Open(five, now)
		return b, short
	}
	for _, test := range []struct {
		name  string
		now   int64
		n     int
		spent int64
		want  [gcra.Classes]gcra.Slot
	}{
		{"all", begun, 3, 0, slots(gcra.Slot{}, gcra.Slot{End: begun + 10*second, Newer: 3})},
		{"one of two", begun + 300_000, 2, 0, slots(gcra.Slot{End: begun + second, Newer: 1}, gcra.Slot{End: begun + 300_000 + 10*second, Newer: 2})},
		{"in the second half", begun + second, 3, 0, slots(gcra.Slot{}, gcra.Slot{End: begun + 11*second, Newer: 3})},
		{"late", begun + 2*second + 100_000, 3, 500_000, slots(gcra.Slot{}, gcra.Slot{End: begun + 12*second + 100_000, Newer: 3})},
	} {
		b, short := open(test.now)
		long := b.Renew(short, test.n, test.now)
		spent, _, _ := b.Open(five, test.now)
		if b.Slots != test.want || spent != micros(test.spent) || long != 2*b.Slots[gcra.Long].End+1 {
			t.Errorf("%s: slots %+v, %v spent, name %d; want %+v, %d µs", test.name, b.Slots, spent, long, test.want, test.spent)
		}
	}

	// Once more, in the next slot: it leaves the slot before.
	b, short := open(begun)
	long := b.Renew(short, 3, begun)
	b.Open(five, begun+10*second)
	if b.Slots[gcra.Long] != (gcra.Slot{End: begun + 20*second, Older: 3}) {
		t.Fatalf("after ten seconds: %+v", b.Slots)
	}
	again := b.Renew(long, 3, begun+10*second)
	if b.Slots != slots(gcra.Slot{}, gcra.Slot{End: begun + 20*second, Newer: 3}) || again == long {
		t.Errorf("renewed once more: %+v, name %d", b.Slots, again)
	}
	// A renewal whose answer was lost is repeated: the hold counts twice, which only denies.
	b.Renew(long, 3, begun+10*second)
	if b.Held() != 6 {
		t.Errorf("repeated: %d held; want 6", b.Held())
	}
	if b.Settle(five, micros(0), again, 3, 0, 0, begun+10*second); b.Held() != 3 {
		t.Errorf("settled: %d held; want 3", b.Held())
	}
}

// TestLeasable: a lease gets what there is room for after the cost, up to the rest of half the
// burst that the short class does not hold.
func TestLeasable(t *testing.T) {
	for _, test := range []struct {
		burst, spent, short, older, long int
		cost, want                       int
	}{
		{burst: 60, want: 30},
		{burst: 61, want: 30},
		{burst: 1, want: 0},
		{burst: 60, cost: 40, want: 20},
		{burst: 60, cost: 60, want: 0},
		{burst: 60, cost: 61, want: 0},
		{burst: 60, spent: 25, cost: 10, want: 25},
		{burst: 60, short: 10, want: 20},
		{burst: 60, short: 10, older: 15, want: 5},
		{burst: 60, short: 20, older: 20, want: 0},
		{burst: 60, long: 10, want: 30},
		{burst: 60, long: 40, want: 20},
		{burst: 60, spent: 20, long: 50, want: 0},
	} {
		rate := rateOf(t, ratelimit.PerMinute(60).WithBurst(test.burst))
		var b gcra.Bucket
		b.Hold(test.older, second)
		spent, _, _ := b.Open(rate, 2*second)
		b.Hold(test.short, 2*second)
		b.Renew(0, test.long, 2*second)
		spent, _ = b.Charge(rate, spent, test.spent, 2*second)
		if n := b.Leasable(rate, spent, test.cost); n != test.want {
			t.Errorf("%+v: %d tokens can be leased", test, n)
		}
	}
	if n := new(gcra.Bucket).Leasable(rateOf(t, ratelimit.PerMinute(60)), gcra.Debt{}, math.MaxInt); n != 0 {
		t.Errorf("beside the largest cost %d tokens can be leased", n)
	}
}

// TestHoldOfNothing begins no slot.
func TestHoldOfNothing(t *testing.T) {
	var b gcra.Bucket
	if name := b.Renew(b.Hold(0, second), 0, second); name != gcra.Classes*11*second+int64(gcra.Long) || !b.Plain() {
		t.Errorf("named %d, in the slots %+v", name, b.Slots)
	}
}
