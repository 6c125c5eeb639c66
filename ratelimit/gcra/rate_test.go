package gcra_test

import (
	"cmp"
	"encoding/binary"
	"math"
	"math/big"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

func bucketOf(t testing.TB, l ratelimit.Limit) *store.Limit {
	t.Helper()
	return &testkit.Limits(t, l)[0]
}

// ratOf is the value of a debt of b in microseconds.
func ratOf(b *store.Limit, d gcra.Debt) *big.Rat {
	r := big.NewRat(int64(d.Frac), int64(b.Denominator()))
	return r.Add(r, rat(d.Micros))
}

func mustEqual[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s is %v, want %v", what, got, want)
	}
}

func TestBucketCompiled(t *testing.T) {
	for _, test := range []struct {
		limit    ratelimit.Limit
		den      uint32
		one      gcra.Debt
		capacity gcra.Debt
	}{
		{ratelimit.PerSecond(5), 1, gcra.Debt{Micros: 200_000}, gcra.Debt{Micros: 1_000_000}},
		{ratelimit.PerSecond(3), 3, gcra.Debt{Micros: 333_333, Frac: 1}, gcra.Debt{Micros: 1_000_000}},
		{ratelimit.PerSecond(3).WithBurst(2), 3, gcra.Debt{Micros: 333_333, Frac: 1}, gcra.Debt{Micros: 666_666, Frac: 2}},
		{ratelimit.PerSecond(6), 3, gcra.Debt{Micros: 166_666, Frac: 2}, gcra.Debt{Micros: 1_000_000}},
		{ratelimit.PerSecond(700_001), 700_001, gcra.Debt{Micros: 1, Frac: 299_999}, gcra.Debt{Micros: 1_000_000}},
		{ratelimit.PerSecond(2_000_000), 2, gcra.Debt{Frac: 1}, gcra.Debt{Micros: 1_000_000}},
		{ratelimit.Limit{Rate: 1, Period: gcra.MaxRefill}, 1, gcra.Debt{Micros: 315_360_000_000_000}, gcra.Debt{Micros: 315_360_000_000_000}},
	} {
		b := bucketOf(t, test.limit)
		one, ok := b.Cost(1)
		if b.Denominator() != test.den || !ok || one != test.one || b.Capacity() != test.capacity {
			t.Errorf("%v: parts of %d, T %v, capacity %v; want %d, %v, %v",
				test.limit, b.Denominator(), one, b.Capacity(), test.den, test.one, test.capacity)
		}
	}
}

func TestBucketNameHash(t *testing.T) {
	a, b, c := bucketOf(t, ratelimit.PerSecond(1).Named("a")), bucketOf(t, ratelimit.PerHour(7).Named("a")), bucketOf(t, ratelimit.PerSecond(1).Named("b"))
	if a.NameHash() != b.NameHash() {
		t.Error("limits of one name have different hashes: they would not share their bucket")
	}
	if a.NameHash() == c.NameHash() {
		t.Error("limits of different names have one hash")
	}
	if d := bucketOf(t, ratelimit.PerSecond(1)); d.NameHash() != bucketOf(t, ratelimit.PerSecond(1).Named("default")).NameHash() {
		t.Error(`the name "" and the default name have different hashes`)
	}
}

func TestDebtLess(t *testing.T) {
	sorted := []gcra.Debt{{}, {Frac: 1}, {Frac: 2}, {Micros: 1}, {Micros: 1, Frac: 1}, {Micros: 2}, {Micros: math.MaxInt64}}
	for i, a := range sorted {
		for j, b := range sorted {
			if got := a.Less(b); got != (i < j) {
				t.Errorf("%v.Less(%v) is %v", a, b, got)
			}
		}
	}
}

func TestDebtDuration(t *testing.T) {
	for _, test := range []struct {
		debt gcra.Debt
		want time.Duration
	}{
		{gcra.Debt{}, 0},
		{gcra.Debt{Frac: 1}, time.Microsecond},
		{gcra.Debt{Micros: 1}, time.Microsecond},
		{gcra.Debt{Micros: 333_333, Frac: 2}, 333_334 * time.Microsecond},
		{gcra.Debt{Micros: int64(gcra.MaxRefill / time.Microsecond)}, gcra.MaxRefill},
	} {
		if got := test.debt.Duration(); got != test.want {
			t.Errorf("%v: %v, want %v", test.debt, got, test.want)
		}
	}
}

func TestBucketCost(t *testing.T) {
	for _, l := range testkit.Extremes {
		b, o := bucketOf(t, l), newOracle(l)
		burst := b.Burst()
		for _, n := range []int{math.MinInt, -1, 0, 1, 2, 3, burst / 2, burst - 1, burst, burst + 1, math.MaxInt} {
			got, ok := b.Cost(n)
			want := rat(0)
			if n >= 0 && n <= burst {
				want = o.cost(n)
			}
			if ok != (n >= 0 && n <= burst) || ratOf(b, got).Cmp(want) != 0 {
				t.Errorf("%v: Cost(%d) is %v, %v; want %v", l, n, got, ok, want)
			}
		}
		mustEqual(t, l.String()+": the capacity", ratOf(b, b.Capacity()).Cmp(o.capacity), 0)
	}
}

func TestBucketDebtAt(t *testing.T) {
	third := bucketOf(t, ratelimit.PerSecond(3)) // T = 333,333 1/3 µs, capacity 1 s
	for _, test := range []struct {
		name    string
		tat     gcra.TAT
		now     int64
		want    gcra.Debt
		clamped bool
	}{
		{"in the past", gcra.TAT{Micros: 10, Den: 3}, 11, gcra.Debt{}, false},
		{"now", gcra.TAT{Micros: 10, Den: 3}, 10, gcra.Debt{}, false},
		{"a third of a microsecond ahead", gcra.TAT{Micros: 10, Frac: 1, Den: 3}, 10, gcra.Debt{Frac: 1}, false},
		{"a third of a microsecond ago", gcra.TAT{Micros: 10, Frac: 2, Den: 3}, 11, gcra.Debt{}, false},
		{"ahead", gcra.TAT{Micros: 15, Frac: 2, Den: 3}, 10, gcra.Debt{Micros: 5, Frac: 2}, false},
		{"the capacity", gcra.TAT{Micros: 1_000_010, Den: 3}, 10, gcra.Debt{Micros: 1_000_000}, false},
		{"a third above the capacity", gcra.TAT{Micros: 1_000_010, Frac: 1, Den: 3}, 10, gcra.Debt{Micros: 1_000_000}, true},
		{"a microsecond above the capacity", gcra.TAT{Micros: 1_000_011, Den: 3}, 10, gcra.Debt{Micros: 1_000_000}, true},
		{"the clock set back", gcra.TAT{Micros: 500, Den: 3}, -5_000_000, gcra.Debt{Micros: 1_000_000}, true},
		{"another denominator, whole", gcra.TAT{Micros: 15, Den: 7}, 10, gcra.Debt{Micros: 5}, false},
		{"another denominator, rounded up", gcra.TAT{Micros: 15, Frac: 1, Den: 7}, 10, gcra.Debt{Micros: 6}, false},
		{"another denominator, rounded up to now", gcra.TAT{Micros: 9, Frac: 6, Den: 7}, 10, gcra.Debt{}, false},
		{"another denominator, rounded up to the capacity", gcra.TAT{Micros: 1_000_009, Frac: 6, Den: 7}, 10, gcra.Debt{Micros: 1_000_000}, false},
		{"another denominator, rounded up beyond it", gcra.TAT{Micros: 1_000_010, Frac: 1, Den: 7}, 10, gcra.Debt{Micros: 1_000_000}, true},
		{"not known", gcra.TAT{}, 10, gcra.Debt{}, false},
		{"the same interval", gcra.TAT{Micros: 333_343, Frac: 1, Den: 3, Num: 1_000_000}, 10, gcra.Debt{Micros: 333_333, Frac: 1}, false},
		{"another interval, a token", gcra.TAT{Micros: 10 + 142_857, Frac: 1, Den: 7, Num: 1_000_000}, 10, gcra.Debt{Micros: 333_333, Frac: 1}, true},
		{"another interval, half a token", gcra.TAT{Micros: 10 + 100_000, Den: 1, Num: 200_000}, 10, gcra.Debt{Micros: 166_666, Frac: 2}, true},
		{"another interval, a token and a half", gcra.TAT{Micros: 10 + 300_000, Den: 1, Num: 200_000}, 10, gcra.Debt{Micros: 500_000}, true},
		{"another interval, a millionth of a token", gcra.TAT{Micros: 11, Den: 1, Num: 1_000_000}, 10, gcra.Debt{Frac: 1}, true},
		{"another interval, more than the capacity", gcra.TAT{Micros: 10 + 800_000, Den: 1, Num: 200_000}, 10, gcra.Debt{Micros: 1_000_000}, true},
		{"another interval, now", gcra.TAT{Micros: 10, Den: 1, Num: 200_000}, 10, gcra.Debt{}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, clamped := third.DebtAt(test.tat, test.now)
			if got != test.want || clamped != test.clamped {
				t.Errorf("%+v at %d: %+v, clamped %v; want %+v, %v", test.tat, test.now, got, clamped, test.want, test.clamped)
			}
		})
	}
}

func TestBucketMerge(t *testing.T) {
	b := bucketOf(t, ratelimit.PerSecond(3))
	found := gcra.Debt{Micros: 100, Frac: 1}
	tat := func(micros int64, frac, den uint32) gcra.TAT {
		return gcra.TAT{Micros: micros, Frac: frac, Den: den}
	}
	for _, test := range []struct {
		name  string
		known store.Known
		want  gcra.Debt
	}{
		{"nothing", store.Known{}, found},
		{"less", store.Known{Debt: gcra.Debt{Micros: 100}}, found},
		{"as much", store.Known{Debt: found}, found},
		{"a third more", store.Known{Debt: gcra.Debt{Micros: 100, Frac: 2}}, gcra.Debt{Micros: 100, Frac: 2}},
		{"more than the capacity", store.Known{Debt: gcra.Debt{Micros: 2_000_000}}, gcra.Debt{Micros: 1_000_000}},
		{"of a foreign denominator", store.Known{Debt: gcra.Debt{Micros: 200, Frac: 3}}, gcra.Debt{Micros: 201}},
		{"the largest fraction", store.Known{Debt: gcra.Debt{Micros: 200, Frac: 2}}, gcra.Debt{Micros: 200, Frac: 2}},
		{"a TAT alone proves nothing", store.Known{TAT: tat(1500, 0, 3)}, found},
		{"a TAT that is nearer than the debt", store.Known{Debt: gcra.Debt{Micros: 900}, TAT: tat(1500, 2, 3)}, gcra.Debt{Micros: 500, Frac: 2}},
		{"a TAT that is farther than the debt", store.Known{Debt: gcra.Debt{Micros: 400}, TAT: tat(1500, 2, 3)}, gcra.Debt{Micros: 400}},
		{"a TAT in the past", store.Known{Debt: gcra.Debt{Micros: 900}, TAT: tat(900, 0, 3)}, found},
		{"a TAT of another denominator", store.Known{Debt: gcra.Debt{Micros: 900}, TAT: tat(1500, 1, 7)}, gcra.Debt{Micros: 501}},
		{"a TAT of the same interval", store.Known{Debt: gcra.Debt{Micros: 900}, TAT: gcra.TAT{Micros: 1500, Frac: 1, Den: 3, Num: 1_000_000}}, gcra.Debt{Micros: 500, Frac: 1}},
		{"a TAT of another interval", store.Known{Debt: gcra.Debt{Micros: 900}, TAT: gcra.TAT{Micros: 1500, Frac: 1, Den: 3, Num: 2_000_000}}, found},
		{"a TAT of another denominator and interval", store.Known{Debt: gcra.Debt{Micros: 900}, TAT: gcra.TAT{Micros: 1500, Frac: 1, Den: 7, Num: 1_000_000}}, found},
		{"both far too large", store.Known{Debt: gcra.Debt{Micros: math.MaxInt64 - 1, Frac: 9}, TAT: tat(1<<60, 0, 3)}, gcra.Debt{Micros: 1_000_000}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := b.Merge(found, test.known.Debt, test.known.TAT, 1000); got != test.want {
				t.Errorf("%+v, want %+v", got, test.want)
			}
		})
	}
}

func TestBucketRetryAfter(t *testing.T) {
	b := bucketOf(t, ratelimit.PerSecond(3))
	for _, test := range []struct {
		debt gcra.Debt
		n    int
		want time.Duration
	}{
		{gcra.Debt{}, 0, 0},
		{gcra.Debt{}, 3, 0},
		{gcra.Debt{}, 4, gcra.Never},
		{gcra.Debt{}, -1, gcra.Never},
		{gcra.Debt{Frac: 1}, 3, time.Microsecond},
		{gcra.Debt{Micros: 666_666, Frac: 2}, 1, 0},
		{gcra.Debt{Micros: 666_667}, 1, time.Microsecond},
		{gcra.Debt{Micros: 1_000_000}, 0, 0},
		{gcra.Debt{Micros: 1_000_000}, 1, 333_334 * time.Microsecond},
		{gcra.Debt{Micros: 1_000_000}, 3, time.Second},
	} {
		if got := b.RetryAfter(test.debt, test.n); got != test.want {
			t.Errorf("debt %v, cost %d: %v, want %v", test.debt, test.n, got, test.want)
		}
	}
}

// script supplies the choices of a history: random ones, or those of a fuzzer.
type script interface{ Uint64() uint64 }

// bytesScript reads a fuzzer's bytes, then zeros.
type bytesScript []byte

func (s *bytesScript) Uint64() uint64 {
	var word [8]byte
	*s = (*s)[copy(word[:], *s):]
	return binary.LittleEndian.Uint64(word[:])
}

// checkHistory leads a bucket through a history and compares every answer of the
// arithmetic with the oracle's. The bucket is kept as a store would keep it.
func checkHistory(t testing.TB, limits []ratelimit.Limit, s script, steps int) {
	t.Helper()
	l := limits[0]
	b, o := bucketOf(t, l), newOracle(l)
	var kept gcra.TAT // Den 0: forgotten
	now := int64(s.Uint64() % 1_000_000)
	upTo := func(n int64) int64 { return int64(s.Uint64() % uint64(max(n, 1))) }
	for range steps {
		one, _ := b.Cost(1)
		switch choice := s.Uint64() % 16; {
		case choice < 3: // no time passes
		case choice < 6:
			now += upTo(3)
		case choice < 10: // about a token's time
			now += upTo(2*one.Micros + 2)
		case choice == 10:
			now += upTo(b.Capacity().Micros*2 + 2)
		case choice == 11, choice == 12: // the clock steps back
			now -= upTo([]int64{10, b.Capacity().Micros*3 + 2}[choice-11])
			if kept.Den == 0 { // what was forgotten cannot come back
				o.tat = nil
			}
		case choice == 13: // full buckets are forgotten
			if d, _ := b.DebtAt(kept, now); kept.Den != 0 && d == (gcra.Debt{}) {
				kept = gcra.TAT{}
			}
		case choice == 14: // the limit changes
			l = limits[s.Uint64()%uint64(len(limits))]
			b = bucketOf(t, l)
			o.setLimit(l)
		case choice == 15 && kept.Den != 0: // it is not known under which limit it was stored
			kept.Num, o.made = 0, nil
		}

		var debt gcra.Debt
		stale := false
		if kept.Den != 0 {
			debt, stale = b.DebtAt(kept, now)
		}
		wantDebt, wantStale := o.debt(now)
		if ratOf(b, debt).Cmp(wantDebt) != 0 || stale != wantStale {
			t.Fatalf("%v at %d: the debt of %+v is %+v, stale %v; want %v, %v", l, now, kept, debt, stale, wantDebt, wantStale)
		}
		if debt.Frac >= b.Denominator() {
			t.Fatalf("%v: the fraction of %+v is not one of %d parts", l, debt, b.Denominator())
		}
		if stale {
			kept = b.TATAt(debt, now)
		}

		if s.Uint64()%8 == 0 { // somebody has seen another debt
			known, want := someKnown(b, o, s, now)
			merged := b.Merge(debt, known.Debt, known.TAT, now)
			if want.Cmp(wantDebt) < 0 {
				want = wantDebt
			}
			if ratOf(b, merged).Cmp(want) != 0 {
				t.Fatalf("%v at %d: %+v and %+v merge into %+v, want %v", l, now, debt, known, merged, want)
			}
			debt, wantDebt = merged, want
		}

		n := someCost(b, s)
		cost, possible := b.Cost(n)
		after := b.Add(debt, cost)
		admitted := possible && b.Fits(after)
		mustEqual(t, "admitted", admitted, o.admits(wantDebt, n))
		mustEqual(t, "Remaining", int64(b.Remaining(debt)), o.remaining(wantDebt))
		mustEqual(t, "RetryAfter", b.RetryAfter(debt, n), o.retryAfter(wantDebt, n))
		mustEqual(t, "RetryAfter is 0", b.RetryAfter(debt, n) == 0, admitted)
		mustEqual(t, "Duration", debt.Duration(), duration(wantDebt))
		if !admitted {
			continue
		}
		if n > 0 {
			o.charge(wantDebt, n, now)
			kept = b.TATAt(after, now)
			if got := ratOf(b, after); new(big.Rat).Add(got, rat(now)).Cmp(o.tat) != 0 {
				t.Fatalf("%v: %+v and the cost of %d is %+v, want %v", l, debt, n, after, o.tat)
			}
			num, den := b.Interval()
			mustEqual(t, "TATAt", kept, gcra.TAT{Micros: now + after.Micros, Frac: after.Frac, Den: den, Num: num})
			mustEqual(t, "Remaining", int64(b.Remaining(after)), o.remaining(ratOf(b, after)))
		}
	}
}

// someCost returns a cost: usually a small one, at times one of the whole bucket,
// and at times one that can never be admitted.
func someCost(b *store.Limit, s script) int {
	burst := b.Burst()
	r := s.Uint64()
	switch r % 16 {
	case 0:
		return 0
	case 1:
		return burst
	case 2:
		return burst/2 + 1
	case 3:
		return -int(r >> 40)
	case 4:
		return burst - min(burst, int(r>>60))
	case 5:
		if burst < math.MaxInt-16 {
			return burst + 1 + int(r>>60)
		}
		return math.MaxInt
	case 6, 7:
		return int((r >> 8) % uint64(burst))
	default:
		return 1
	}
}

// someKnown returns what somebody might know of a bucket, and the lower bound of
// the debt that it proves: min(Debt, TAT - now), at most the capacity.
func someKnown(b *store.Limit, o *oracle, s script, now int64) (store.Known, *big.Rat) {
	den := b.Denominator()
	known := store.Known{Debt: gcra.Debt{Micros: int64(s.Uint64() % uint64(2*b.Capacity().Micros+2)), Frac: uint32(s.Uint64() % uint64(den))}}
	proved := ratOf(b, known.Debt)
	if s.Uint64()%8 == 0 { // of a limit with more parts
		known.Debt.Frac = den + uint32(s.Uint64()%1000)
		proved = rat(known.Debt.Micros + 1)
	}
	if s.Uint64()%2 == 0 {
		known.TAT = gcra.TAT{Micros: now + int64(s.Uint64()%uint64(2*b.Capacity().Micros+20)) - 10, Frac: uint32(s.Uint64() % uint64(den)), Den: den}
		left := new(big.Rat).Add(rat(known.TAT.Micros-now), big.NewRat(int64(known.TAT.Frac), int64(den)))
		if s.Uint64()%4 == 0 && den > 1 {
			known.TAT.Den = den - 1
			known.TAT.Frac %= known.TAT.Den
			left = rat(known.TAT.Micros - now)
			if known.TAT.Frac > 0 {
				left = rat(known.TAT.Micros - now + 1)
			}
		}
		if left.Sign() < 0 {
			left = rat(0)
		}
		if left.Cmp(proved) < 0 {
			proved = left
		}
	}
	switch s.Uint64() % 4 {
	case 0: // the interval is known
		known.TAT.Num, _ = b.Interval()
		if known.TAT.Den != den {
			proved = rat(0) // it is another one
		}
	case 1:
		num, _ := b.Interval()
		known.TAT.Num, proved = num+1, rat(0)
	}
	if proved.Cmp(o.capacity) > 0 {
		proved = o.capacity
	}
	return known, proved
}

// TestBucketOracle: KEYRATE_ORACLE_HISTORIES makes it longer.
func TestBucketOracle(t *testing.T) {
	histories := testkit.Count(150, 600)
	if text := os.Getenv("KEYRATE_ORACLE_HISTORIES"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("KEYRATE_ORACLE_HISTORIES: %v", err)
		}
		histories = n
	}
	const steps = 100
	for seed := range uint64(histories) {
		rng := rand.New(rand.NewPCG(seed, 11))
		limits := make([]ratelimit.Limit, 1+rng.IntN(3))
		for i := range limits {
			limits[i] = testkit.RandomLimit(rng)
		}
		if seed < uint64(len(testkit.Extremes)) {
			limits = testkit.Extremes[seed : seed+1]
		}
		checkHistory(t, limits, rng, steps)
	}
	t.Logf("%d histories of %d steps, no difference", histories, steps)
}

func FuzzBucket(f *testing.F) {
	for i, l := range testkit.Extremes {
		rng := rand.New(rand.NewPCG(uint64(i), 12))
		choices := make([]byte, 400)
		for i := range choices {
			choices[i] = byte(rng.Uint64())
		}
		f.Add(uint32(l.Rate), int64(l.Period/time.Microsecond), int64(l.Burst), uint32(3), choices)
	}
	f.Fuzz(func(t *testing.T, rate uint32, period, burst int64, other uint32, choices []byte) {
		l := ratelimit.Limit{Rate: int(rate), Period: time.Duration(period) * time.Microsecond, Burst: int(burst)}
		if period > math.MaxInt64/1000 || !valid(l) {
			return
		}
		limits := []ratelimit.Limit{l}
		changed := ratelimit.Limit{Rate: int(other), Period: l.Period, Burst: 1}
		if valid(changed) {
			limits = append(limits, changed)
		}
		s := bytesScript(choices)
		checkHistory(t, limits, &s, min(len(choices)/16+1, 200))
	})
}

// TestDriftIsZero: 3/s for 1e9 simulated seconds. A caller that takes all tokens, at
// whatever moments, gets the burst and three for every second, not one more, not
// one less.
func TestDriftIsZero(t *testing.T) {
	const burst, end = 10_000, int64(1e9) * 1_000_000
	b := bucketOf(t, ratelimit.PerSecond(3).WithBurst(burst))
	rng := rand.New(rand.NewPCG(13, 14))
	const longest = (burst - 1) * 1_000_000 / 3 // or the bucket fills up, and what flows over is lost
	var total int64
	tat := b.TATAt(gcra.Debt{}, 0)
	for now := int64(0); now < end; now += cmp.Or(rng.Int64N(longest), 1) {
		debt, clamped := b.DebtAt(tat, now)
		n := b.Remaining(debt)
		cost, ok := b.Cost(n)
		after := b.Add(debt, cost)
		if clamped || !ok || !b.Fits(after) {
			t.Fatalf("after %d µs: clamped %v; cannot take the %d tokens that remain", now, clamped, n)
		}
		tat = b.TATAt(after, now)
		total += int64(n)
		if want := burst + 3*now/1_000_000; total != want {
			t.Fatalf("after %d µs: %d tokens were taken, want %d", now, total, want)
		}
	}
	if total < 3e9-burst {
		t.Fatalf("only %d tokens were taken: the test did not last", total)
	}
}

// TestDriftIsZeroOneByOne: a caller that waits as long as reported before each call of cost 1.
// Its TAT is an exact multiple of a third of a second.
func TestDriftIsZeroOneByOne(t *testing.T) {
	const calls = int64(300_000)
	b := bucketOf(t, ratelimit.PerSecond(3).WithBurst(2))
	tat := b.TATAt(gcra.Debt{}, 0)
	var now int64
	for i := range calls {
		debt, _ := b.DebtAt(tat, now)
		wait := b.RetryAfter(debt, 1)
		now += int64(wait / time.Microsecond)
		// Behind the burst a token comes every third of a second. Each wait is
		// rounded up to a microsecond, and all of them together by no more.
		if late := now*3 - max(i-1, 0)*1_000_000; late < 0 || late >= 3 {
			t.Fatalf("call %d came at %d µs", i, now)
		}
		debt, _ = b.DebtAt(tat, now)
		cost, _ := b.Cost(1)
		if debt = b.Add(debt, cost); !b.Fits(debt) {
			t.Fatalf("call %d: denied after the wait that was reported", i)
		}
		tat = b.TATAt(debt, now)
	}
}

// TestKnownBeyondAllNumbers: the largest debt that can be given is no small one, and
// a bucket that was full an age ago is full.
func TestKnownBeyondAllNumbers(t *testing.T) {
	b := bucketOf(t, ratelimit.PerSecond(3))
	largest := gcra.Debt{Micros: math.MaxInt64, Frac: math.MaxUint32}
	if got := b.Merge(gcra.Debt{}, largest, gcra.TAT{}, 1000); got != b.Capacity() {
		t.Errorf("the largest debt became %+v, want the capacity", got)
	}
	for _, past := range []gcra.TAT{{Micros: math.MinInt64, Den: 3}, {Micros: math.MinInt64, Frac: 1, Den: 7}} {
		if got, clamped := b.DebtAt(past, math.MaxInt64); got != (gcra.Debt{}) || clamped {
			t.Errorf("%+v is a debt of %+v, clamped %v; want none", past, got, clamped)
		}
		if got := b.Merge(gcra.Debt{}, largest, past, 1000); got != (gcra.Debt{}) {
			t.Errorf("known to have been full at %+v: a debt of %+v, want none", past, got)
		}
	}
}

// TestRemainingCarries: the room is 2^64 parts of a microsecond, so that its fraction
// carries into the upper half of the product.
func TestRemainingCarries(t *testing.T) {
	const rate, num = 1<<31 - 1, 1_000_000 // a prime: T is num/rate microseconds
	wide := int64(18_446_744_073_709 + 5)  // 2^64/num, and some
	burst := int(wide)
	if int64(burst) != wide {
		t.Skip("an int cannot hold this burst")
	}
	b := bucketOf(t, ratelimit.PerSecond(rate).WithBurst(burst))
	parts := new(big.Int).Mul(big.NewInt(int64(burst)), big.NewInt(num))
	parts.Sub(parts, new(big.Int).Lsh(big.NewInt(1), 64))
	micros, frac := new(big.Int).QuoRem(parts, big.NewInt(rate), new(big.Int))
	if got := b.Remaining(gcra.Debt{Micros: micros.Int64(), Frac: uint32(frac.Int64())}); got != burst-5 {
		t.Errorf("%d tokens remain, want %d", got, burst-5)
	}
}

// TestMergeOfABrokenFraction: a fraction that no bucket can have is rounded up.
func TestMergeOfABrokenFraction(t *testing.T) {
	p, err := ratelimit.NewPolicy(ratelimit.Limit{Rate: 7, Period: time.Hour, Burst: 100})
	if err != nil {
		t.Fatal(err)
	}
	b := &p.Compiled()[0]
	for _, frac := range []uint32{7, 50} {
		got := b.Merge(gcra.Debt{}, gcra.Debt{Micros: 1e9}, gcra.TAT{Micros: 1000 + 5e8, Frac: frac, Den: 7}, 1000)
		if want := (gcra.Debt{Micros: 5e8 + 1}); got != want {
			t.Errorf("a fraction of %d/7: %+v; want %+v", frac, got, want)
		}
	}
}

// TestRateShare: never more than the rate divided by the nodes, and a burst of one at least.
func TestRateShare(t *testing.T) {
	for _, c := range []struct {
		limit, want string
		nodes       int
	}{
		{"5/s", "1/1s", 5},
		{"10/s;burst=40", "5/1s;burst=20", 2},
		{"5/s", "5/2s;burst=2", 2},
		{"5/s", "1/2s", 10},
		{"7/1m;burst=3", "7/3m;burst=1", 3},
		{"1/87600h", "1/87600h", 2},          // ten years: twenty is no limit
		{"2/87600h;burst=1", "1/87600h", 64}, // and where little is left
	} {
		l, err := ratelimit.ParseLimit(c.limit)
		if err != nil {
			t.Errorf("%s: %v", c.limit, err)
			continue
		}
		want, err := ratelimit.ParseLimit(c.want)
		if err != nil {
			t.Fatal(err)
		}
		if got := bucketOf(t, l).Rate.Share(c.nodes); got != bucketOf(t, want).Rate {
			t.Errorf("one of %d shares of %s is %+v; want %+v", c.nodes, c.limit, got, want)
		}
	}
}

// TestRateShareOfALongPeriod: the period of the share is beyond MaxRefill.
func TestRateShareOfALongPeriod(t *testing.T) {
	whole := bucketOf(t, ratelimit.Limit{Rate: math.MaxInt32, Period: gcra.MaxRefill, Burst: 2})
	share := whole.Rate.Share(64)
	num, den := whole.Interval()
	if n, d := share.Interval(); n != 64*num || d != den || share.Burst() != 1 {
		t.Errorf("a burst of %d, and %d/%d µs for a token; want 1 and %d/%d", share.Burst(), n, d, 64*num, den)
	}
}

func valid(l ratelimit.Limit) bool {
	_, err := ratelimit.NewPolicy(l)
	return err == nil
}
