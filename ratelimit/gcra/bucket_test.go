package gcra_test

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
)

func rateOf(t testing.TB, l ratelimit.Limit) *gcra.Rate {
	t.Helper()
	return &bucketOf(t, l).Rate
}

func loanOf(t testing.TB, n int) *gcra.Rate {
	t.Helper()
	r, err := gcra.NewLoan(n)
	if err != nil {
		t.Fatal(err)
	}
	return &r
}

func micros(n int64) gcra.Debt { return gcra.Debt{Micros: n} }

// at returns the TAT of a bucket of r that owes n microseconds at the instant now.
func at(r *gcra.Rate, now, n int64) gcra.TAT { return r.TATAt(micros(n), now) }

// TestOpen: every rule by which a bucket comes to an instant and a rate.
func TestOpen(t *testing.T) {
	const now = 10_000_000
	five := rateOf(t, ratelimit.PerSecond(5))                // T 0.2 s, capacity 1 s
	slow := rateOf(t, ratelimit.PerSecond(1).WithBurst(100)) // T 1 s, capacity 100 s
	two := rateOf(t, ratelimit.PerSecond(2))                 // T 0.5 s, capacity 1 s
	third := rateOf(t, ratelimit.PerSecond(3))
	loan := loanOf(t, 2)
	type bucket = gcra.Bucket
	for _, test := range []struct {
		name  string
		b     bucket
		r     *gcra.Rate
		spent gcra.Debt
		stale bool
		same  bool
		want  bucket // in which the TAT is that of spent
	}{
		{"full", bucket{}, five, micros(0), false, true, bucket{}},
		{"full in the past", bucket{TAT: at(five, 0, 5)}, five, micros(0), false, true, bucket{}},
		{"full now", bucket{TAT: at(five, now, 0)}, five, micros(0), false, true, bucket{}},
		{"in debt", bucket{TAT: at(five, now, 300_000)}, five, micros(300_000), false, true, bucket{}},
		{"empty", bucket{TAT: at(five, now, 1_000_000)}, five, micros(1_000_000), false, true, bucket{}},
		{"above the capacity: clamped", bucket{TAT: at(five, now, 1_000_001)}, five, micros(1_000_000), true, true, bucket{}},
		{"over the capacity", bucket{TAT: at(five, now, 900_000), Over: 2}, five, micros(1_300_000), false, true, bucket{Over: 2}},
		{"no more over it", bucket{TAT: at(five, now, 500_000), Over: 2}, five, micros(900_000), false, true, bucket{}},
		{"less over it", bucket{TAT: at(five, now, 700_000), Over: 2}, five, micros(1_100_000), false, true, bucket{Over: 1}},
		{"over it, the TAT in the past", bucket{TAT: at(five, now, -100_000), Over: 2}, five, micros(300_000), false, true, bucket{}},
		{"over it, and clamped", bucket{TAT: at(five, now, 1_100_000), Over: 2}, five, micros(1_400_000), true, true, bucket{Over: 2}},

		{"of an unknown interval", bucket{TAT: gcra.TAT{Micros: now + 300_000, Den: 1}}, five, micros(300_000), false, true, bucket{}},
		{"of an unknown interval, rounded up", bucket{TAT: gcra.TAT{Micros: now + 300_000, Frac: 1, Den: 7}}, five, micros(300_001), false, true, bucket{}},
		{"of an unknown interval, clamped", bucket{TAT: gcra.TAT{Micros: now + 3_000_000, Den: 1}}, five, micros(1_000_000), true, true, bucket{}},
		{"of another interval, full", bucket{TAT: at(slow, now, 0)}, five, micros(0), false, true, bucket{}},
		{"of another interval", bucket{TAT: at(five, now, 600_000)}, slow, micros(3_000_000), true, false, bucket{Former: at(five, now, 600_000)}},
		{"of another interval, part of a token", bucket{TAT: at(five, now, 700_000)}, slow, micros(3_500_000), true, false, bucket{Former: at(five, now, 700_000)}},
		{"of another interval, clamped", bucket{TAT: at(five, now, 600_000)}, two, micros(1_000_000), true, false, bucket{Former: at(five, now, 600_000)}},
		{"of another interval, over the capacity", bucket{TAT: at(five, now, 1_000_000), Over: 3}, slow, micros(8_000_000), true, false, bucket{Former: at(five, now, 1_600_000)}},
		{"of another interval, over a lower capacity", bucket{TAT: at(five, now, 1_000_000), Over: 3}, two, micros(2_000_000), true, false, bucket{Over: 2, Former: at(five, now, 1_600_000)}},
		{"of another interval, over a lower capacity by one", bucket{TAT: at(five, now, 1_000_000), Over: 1}, two, micros(1_500_000), true, false, bucket{Over: 1, Former: at(five, now, 1_200_000)}},

		{"the former interval, which owed more", bucket{TAT: at(five, now, 600_000), Former: at(slow, now, 50_000_000)}, slow, micros(50_000_000), true, false, bucket{Former: at(five, now, 600_000)}},
		{"the former interval, which owed less", bucket{TAT: at(five, now, 600_000), Former: at(slow, now, 2_000_000)}, slow, micros(3_000_000), true, false, bucket{Former: at(five, now, 600_000)}},
		{"the former interval, when nothing else is owed", bucket{TAT: at(five, now, 0), Former: at(slow, now, 2_000_000)}, slow, micros(2_000_000), false, true, bucket{}},
		{"the former interval, when it is over", bucket{TAT: at(five, now, 600_000), Former: at(slow, now, 0)}, slow, micros(3_000_000), true, false, bucket{Former: at(five, now, 600_000)}},
		{"the same interval, with a former one", bucket{TAT: at(five, now, 600_000), Former: at(slow, now, 2_000_000)}, five, micros(600_000), false, true, bucket{Former: at(slow, now, 2_000_000)}},
		{"the same interval, with a former one that is over", bucket{TAT: at(five, now, 600_000), Former: at(slow, now, 0)}, five, micros(600_000), false, true, bucket{}},
		{"a third interval", bucket{TAT: at(five, now, 600_000), Former: at(two, now, 900_000)}, slow, micros(3_000_000), true, false, bucket{Former: at(five, now, 600_000)}},
		{"a third interval, part of a microsecond", bucket{TAT: gcra.TAT{Micros: now + 333_333, Frac: 1, Den: 3, Num: 1_000_000}}, slow, micros(1_000_000), true, false, bucket{Former: gcra.TAT{Micros: now + 333_333, Frac: 1, Den: 3, Num: 1_000_000}}},

		{"another interval, when something is held", bucket{TAT: at(five, now, 0), Slots: slots(gcra.Slot{End: now + 1, Newer: 2}, gcra.Slot{})}, slow, micros(0), true, true, bucket{Slots: slots(gcra.Slot{End: now + 1, Newer: 2}, gcra.Slot{})}},
		{"the same interval, when something is held", bucket{TAT: at(five, now, 0), Slots: slots(gcra.Slot{End: now + 1, Newer: 2}, gcra.Slot{})}, five, micros(0), false, true, bucket{Slots: slots(gcra.Slot{End: now + 1, Newer: 2}, gcra.Slot{})}},

		{"a loan", bucket{}, loan, micros(0), false, true, bucket{}},
		{"a loan, of what was spent", bucket{TAT: at(five, now, 600_000)}, loan, micros(0), true, true, bucket{}},
		{"of a loan", bucket{TAT: at(loan, now, 0)}, third, micros(0), false, true, bucket{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := test.b
			spent, stale, same := b.Open(test.r, now)
			if spent != test.spent || stale != test.stale || same != test.same {
				t.Errorf("spent %v, stale %v, same %v; want %v, %v, %v", spent, stale, same, test.spent, test.stale, test.same)
			}
			over := test.r.Capacity()
			want := test.want
			want.TAT = test.r.TATAt(spent, now)
			if over.Less(spent) {
				one, _ := test.r.Cost(1)
				want.TAT.Micros -= int64(want.Over) * one.Micros
			}
			if b != want {
				t.Errorf("the bucket is %+v; want %+v", b, want)
			}
			again := b
			if s, stale, same := again.Open(test.r, now); again != b || s != spent || stale || !same {
				t.Errorf("opened again, spent %v, stale %v, same %v: %+v; want no change of %+v", s, stale, same, again, b)
			}
		})
	}
}

// TestSpend: whatever is spent up to two capacities is found again, also later; more is not.
func TestSpend(t *testing.T) {
	rng := rand.New(rand.NewPCG(31, 1))
	for range 20_000 {
		l := testkit.RandomLimit(rng)
		r := rateOf(t, l)
		twice := r.Add(r.Capacity(), r.Capacity())
		now := rng.Int64N(1 << 50)
		spent := gcra.Debt{Micros: rng.Int64N(twice.Micros + 2), Frac: rng.Uint32N(r.Denominator())}
		if rng.IntN(4) == 0 {
			spent = r.Add(r.Capacity(), gcra.Debt{Frac: rng.Uint32N(r.Denominator())})
		}
		want := spent
		if twice.Less(want) {
			want = twice
		}
		var b gcra.Bucket
		b.Spend(r, spent, now)
		if b.Over > r.Burst() || !r.Fits(gcra.Debt{Micros: b.TAT.Micros - now, Frac: b.TAT.Frac}) {
			t.Fatalf("%v: %v was spent: %+v has more than a burst over the capacity, or beneath it", l, spent, b)
		}
		if (b.Over > 0) != r.Capacity().Less(want) {
			t.Fatalf("%v: %v was spent: Over is %d", l, spent, b.Over)
		}
		for _, later := range []int64{0, 1, rng.Int64N(want.Micros + 1), want.Micros} {
			c := b
			left := want
			if left.Micros -= later; left.Micros < 0 {
				left = micros(0)
			}
			if got, stale, same := c.Open(r, now+later); got != left || stale || !same {
				t.Fatalf("%v: %v was spent and %d µs later %v is found, stale %v, same %v; want %v", l, spent, later, got, stale, same, left)
			}
		}
	}
}

// TestCharge: up to two capacities are charged, and what exceeds them is counted.
func TestCharge(t *testing.T) {
	five, third, loan := rateOf(t, ratelimit.PerSecond(5)), rateOf(t, ratelimit.PerSecond(3)), loanOf(t, 5)
	for _, test := range []struct {
		r     *gcra.Rate
		spent gcra.Debt
		n     int
		after gcra.Debt
		lost  int
	}{
		{five, micros(0), 0, micros(0), 0},
		{five, micros(0), 3, micros(600_000), 0},
		{five, micros(0), 5, micros(1_000_000), 0},
		{five, micros(0), 6, micros(1_200_000), 0},
		{five, micros(0), 10, micros(2_000_000), 0},
		{five, micros(0), 11, micros(2_000_000), 1},
		{five, micros(0), 1_000_000, micros(2_000_000), 999_990},
		{five, micros(600_000), 7, micros(2_000_000), 0},
		{five, micros(600_000), 8, micros(2_000_000), 1},
		{five, micros(600_001), 7, micros(2_000_000), 1}, // a part of a token is lost
		{five, micros(799_999), 7, micros(2_000_000), 1},
		{five, micros(800_000), 7, micros(2_000_000), 1},
		{five, micros(2_000_000), 1, micros(2_000_000), 1},
		{five, micros(2_000_000), 12, micros(2_000_000), 12},
		{third, gcra.Debt{Frac: 1}, 6, micros(2_000_000), 1},
		{third, gcra.Debt{Micros: 333_333, Frac: 1}, 5, micros(2_000_000), 0},
		{third, gcra.Debt{Micros: 333_333, Frac: 2}, 4, gcra.Debt{Micros: 1_666_667}, 0},
		{loan, micros(0), 3, micros(0), 0}, // nothing is ever spent
	} {
		var b gcra.Bucket
		b.Spend(test.r, test.spent, 1000)
		after, lost := b.Charge(test.r, test.spent, test.n, 1000)
		found, _, _ := b.Open(test.r, 1000)
		if after != test.after || lost != test.lost || found != after {
			t.Errorf("%d tokens beside %v: %v, %d lost, %v found; want %v, %d", test.n, test.spent, after, lost, found, test.after, test.lost)
		}
	}
}

// TestRoom: what is neither spent nor held.
func TestRoom(t *testing.T) {
	five := rateOf(t, ratelimit.PerSecond(5))
	for _, test := range []struct {
		spent gcra.Debt
		held  int
		want  int
	}{
		{micros(0), 0, 5},
		{micros(1), 0, 4},
		{micros(200_000), 0, 4},
		{micros(0), 3, 2},
		{micros(400_000), 3, 0},
		{micros(400_001), 3, -1},
		{micros(1_000_000), 3, -3},
		{micros(2_000_000), 3, -3}, // an overrun has no room either, but counts no token
		{micros(0), 9, -4},
	} {
		var b gcra.Bucket
		if test.held > 0 {
			b.Hold(test.held, 1000)
		}
		b.Spend(five, test.spent, 1000)
		if got := b.Room(five, test.spent); got != test.want || b.Held() != test.held {
			t.Errorf("%v spent and %d held: room for %d, %d held; want %d", test.spent, test.held, got, b.Held(), test.want)
		}
	}
}

// TestPlain: a bucket is plain if its TAT is all that there is.
func TestPlain(t *testing.T) {
	five := rateOf(t, ratelimit.PerSecond(5))
	tat := at(five, 1000, 300_000)
	for _, test := range []struct {
		name string
		b    gcra.Bucket
		want bool
	}{
		{"zero", gcra.Bucket{}, true},
		{"in debt", gcra.Bucket{TAT: tat}, true},
		{"over", gcra.Bucket{TAT: tat, Over: 1}, false},
		{"changed", gcra.Bucket{TAT: tat, Former: tat}, false},
		{"held in the short class", gcra.Bucket{Slots: [gcra.Classes]gcra.Slot{{End: 5, Newer: 1}}}, false},
		{"held in the long class", gcra.Bucket{Slots: [gcra.Classes]gcra.Slot{{}, {End: 5, Older: 1}}}, false},
	} {
		if got := test.b.Plain(); got != test.want {
			t.Errorf("%s: %v; want %v", test.name, got, test.want)
		}
	}
}

// TestFullAt: at FullAt, and not a microsecond earlier, a bucket equals the zero Bucket.
func TestFullAt(t *testing.T) {
	histories := testkit.Count(3000, 100_000)
	held, over, former := 0, 0, 0
	for seed := range uint64(histories) {
		rng := rand.New(rand.NewPCG(seed, 32))
		rates := []*gcra.Rate{rateOf(t, testkit.RandomLimit(rng)), rateOf(t, testkit.RandomLimit(rng))}
		if rng.IntN(2) == 0 { // where slots are as long as refills
			rates = []*gcra.Rate{rateOf(t, ratelimit.PerSecond(5)), rateOf(t, ratelimit.Limit{Rate: 7, Period: 10 * time.Second})}
		}
		b, now := randomBucket(rng, rates, 1+rng.IntN(12))
		full := b.FullAt()
		if b == (gcra.Bucket{}) || full <= now {
			continue
		}
		if b.Held() > 0 {
			held++
		}
		if b.Over > 0 {
			over++
		}
		if b.Former != (gcra.TAT{}) {
			former++
		}
		for _, r := range rates {
			at, zero := b, gcra.Bucket{}
			spent, _, _ := at.Open(r, full)
			zero.Open(r, full)
			if at != zero || spent != micros(0) {
				t.Fatalf("seed %d: at %d the bucket %+v is %+v, not full", seed, full, b, at)
			}
			before, zero := b, gcra.Bucket{}
			before.Open(r, full-1)
			zero.Open(r, full-1)
			if before == zero {
				t.Fatalf("seed %d: at %d, a microsecond before FullAt, the bucket %+v is full", seed, full-1, b)
			}
		}
	}
	if min(held, over, former)*20 < histories {
		t.Errorf("of %d buckets %d held something, %d were over and %d changed; want more", histories, held, over, former)
	}
}

// randomBucket leads a bucket through some operations, the last of them at now.
func randomBucket(rng *rand.Rand, rates []*gcra.Rate, steps int) (b gcra.Bucket, now int64) {
	now = rng.Int64N(1_000_000) + 1
	var names []int64
	for range steps {
		r := rates[rng.IntN(len(rates))]
		spent, _, _ := b.Open(r, now)
		n := 1 + rng.IntN(min(r.Burst(), 10))
		switch rng.IntN(6) {
		case 0, 1:
			names = append(names, b.Hold(n, now))
		case 2:
			if len(names) > 0 {
				names = append(names, b.Renew(names[rng.IntN(len(names))], n, now))
			}
		case 3:
			if len(names) > 0 {
				b.Settle(r, spent, names[rng.IntN(len(names))], n, rng.IntN(2*n), 0, now)
			}
		default:
			b.Charge(r, spent, n, now)
		}
		switch rng.IntN(4) {
		case 0:
			now += rng.Int64N(2_500_000)
		case 1:
			now += rng.Int64N(20_000)
		}
	}
	b.Open(rates[0], now)
	return b, now
}

// TestRescale: as many tokens, the rest rounded up to a part, at most two bursts.
func TestRescale(t *testing.T) {
	five, third, seven := rateOf(t, ratelimit.PerSecond(5)), rateOf(t, ratelimit.PerSecond(3)), rateOf(t, ratelimit.PerSecond(7))
	slow := rateOf(t, ratelimit.PerSecond(1).WithBurst(100))
	for _, test := range []struct {
		name     string
		from, to *gcra.Rate
		d, want  gcra.Debt
	}{
		{"the same interval", five, five, micros(123_456), micros(123_456)},
		{"the same interval, above all", five, five, micros(1 << 60), micros(1 << 60)},
		{"nothing", five, slow, micros(0), micros(0)},
		{"whole tokens", five, slow, micros(600_000), micros(3_000_000)},
		{"whole tokens that are a fraction", third, seven, gcra.Debt{Micros: 666_666, Frac: 2}, gcra.Debt{Micros: 285_714, Frac: 2}},
		{"half a token", five, slow, micros(700_000), micros(3_500_000)},
		{"a microsecond", slow, five, micros(1), micros(1)}, // 0.2 µs, rounded up
		{"a microsecond beside tokens", slow, five, micros(2_000_001), micros(400_001)},
		{"a part", third, five, gcra.Debt{Frac: 1}, micros(1)},
		{"two bursts", slow, five, micros(10_000_000), micros(2_000_000)},
		{"more than two bursts", slow, five, micros(11_000_000), micros(2_000_000)},
		{"all but two bursts", slow, five, micros(9_999_999), micros(2_000_000)}, // rounded up
		{"the largest debt", five, slow, gcra.Debt{Micros: 1 << 62}, micros(200_000_000)},
		{"from a loan", loanOf(t, 2), five, micros(500_000), micros(0)},
		{"to a loan", five, loanOf(t, 2), micros(500_000), micros(0)},
	} {
		num, den := test.from.Interval()
		if got := test.to.Rescale(test.d, num, den); got != test.want {
			t.Errorf("%s: %v; want %v", test.name, got, test.want)
		}
	}
}

// TestRescaleOracle compares with rational numbers.
func TestRescaleOracle(t *testing.T) {
	rng := rand.New(rand.NewPCG(33, 1))
	for range testkit.Count(20_000, 200_000) {
		from, to := bucketOf(t, testkit.RandomLimit(rng)), bucketOf(t, testkit.RandomLimit(rng))
		d := gcra.Debt{Micros: rng.Int64N(2*from.Capacity().Micros + 1), Frac: rng.Uint32N(from.Denominator())}
		num, den := from.Interval()
		got := to.Rescale(d, num, den)
		want := rescaled(ratOf(from, d), interval(from), interval(to))
		if interval(from).Cmp(interval(to)) == 0 {
			want = ratOf(from, d) // even above two bursts
		} else if most := new(big.Rat).Mul(interval(to), rat(2*int64(to.Burst()))); want.Cmp(most) > 0 {
			want = most
		}
		if ratOf(to, got).Cmp(want) != 0 || got.Frac >= to.Denominator() {
			t.Fatalf("%v of %v under %v is %v; want %v", d, from, to, got, want)
		}
	}
}

// TestRescaleDrift: what flips between limits add at one instant is less than a token,
// however many they are: whole tokens are exact, and the rest can only become one.
func TestRescaleDrift(t *testing.T) {
	const flips = 4000
	rng := rand.New(rand.NewPCG(34, 1))
	worst := new(big.Rat)
	for range 300 {
		a, b := bucketOf(t, testkit.RandomLimit(rng)), bucketOf(t, testkit.RandomLimit(rng))
		d := gcra.Debt{Micros: rng.Int64N(min(a.Capacity().Micros, 1<<40) + 1), Frac: rng.Uint32N(a.Denominator())}
		tokens := func(d gcra.Debt) *big.Rat { return new(big.Rat).Quo(ratOf(a, d), interval(a)) }
		aNum, aDen := a.Interval()
		bNum, bDen := b.Interval()
		if most := rat(2 * int64(min(a.Burst(), b.Burst()))); tokens(d).Cmp(most) > 0 {
			continue // it would be cut
		}
		now := d
		for i := range flips {
			next := a.Rescale(b.Rescale(now, aNum, aDen), bNum, bDen)
			if next.Less(now) {
				t.Fatalf("flip %d between %v and %v: %v became %v, which is less", i, a, b, now, next)
			}
			// Each flip rounds up by less than one part of either interval.
			grown := new(big.Rat).Sub(tokens(next), tokens(now))
			if most := new(big.Rat).Add(big.NewRat(1, int64(aNum)), big.NewRat(1, int64(bNum))); grown.Cmp(most) >= 0 {
				t.Fatalf("flip %d between %v and %v: %v became %v", i, a, b, now, next)
			}
			if next == now {
				break // and so on
			}
			now = next
		}
		grown := new(big.Rat).Sub(tokens(now), tokens(d))
		if grown.Cmp(rat(1)) >= 0 {
			t.Fatalf("%d flips between %v and %v: %v became %v, %v tokens more; want less than one", flips, a, b, d, now, grown.FloatString(6))
		}
		if grown.Cmp(worst) > 0 {
			worst = grown
		}
	}
	t.Logf("%d flips add %s tokens at most", flips, worst.FloatString(6))
	if worst.Sign() == 0 {
		t.Error("nothing was ever rounded: the test shows nothing")
	}
}

// TestOverAndEnded: what was owed beyond the capacity and what was held are more together than an
// int of 32 bits.
func TestOverAndEnded(t *testing.T) {
	r, err := gcra.NewRate(1000, time.Second, math.MaxInt32)
	if err != nil {
		t.Fatal(err)
	}
	b := gcra.Bucket{Over: math.MaxInt32 - 1, Slots: [gcra.Classes]gcra.Slot{{End: 10_000_000, Newer: math.MaxInt32, Older: math.MaxInt32}}}
	b.TAT = r.TATAt(r.Capacity(), 9_500_000)
	spent, stale, _ := b.Open(&r, 20_000_000)
	if want := r.Add(r.Capacity(), r.Capacity()); spent != want || !stale {
		t.Errorf("%v, %v; want %v, which is cut off", spent, stale, want)
	}
}
