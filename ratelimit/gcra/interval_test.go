package gcra_test

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
)

// TestIndex: rates of one interval have one index, also if they are made at once, and there
// is none for more than MaxIntervals.
//
// It runs in a process of its own: other tests may have used up the indices.
func TestIndex(t *testing.T) {
	const alone = "KEYRATE_TEST_INDEX"
	if os.Getenv(alone) == "" {
		test := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestIndex$", "-test.v")
		test.Env = append(os.Environ(), alone+"=1")
		if out, err := test.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestIndex") {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	five := rateOf(t, ratelimit.PerSecond(5))
	for _, same := range []ratelimit.Limit{ratelimit.PerSecond(5).WithBurst(7), ratelimit.PerMinute(300), {Rate: 1, Period: 200 * time.Millisecond}} {
		if got := rateOf(t, same).Index(); got != five.Index() || got == 0 {
			t.Errorf("5/s has the index %d, %v has %d", five.Index(), same, got)
		}
	}
	for _, other := range []*gcra.Rate{rateOf(t, ratelimit.PerSecond(3)), rateOf(t, ratelimit.PerSecond(10))} {
		if got := other.Index(); got == five.Index() || got == 0 {
			t.Errorf("5/s has the index %d, and %+v has %d", five.Index(), other, got)
		}
	}
	if got := loanOf(t, 5).Index(); got != 0 {
		t.Errorf("a loan has the index %d; want 0", got)
	}
	if share := five.Share(3); share.Index() == five.Index() || share.Index() == 0 {
		t.Errorf("5/s has the index %d, and a third of it %d", five.Index(), share.Index())
	}

	// What was stored under an index comes back with its interval.
	num, den := five.Interval()
	if got, want := gcra.TATOf(7, 0, five.Index()), (gcra.TAT{Micros: 7, Den: den, Num: num}); got != want {
		t.Errorf("%+v; want %+v", got, want)
	}
	if got, want := gcra.TATOf(7, 3, 0), (gcra.TAT{Micros: 7, Frac: 3, Den: 1}); got != want {
		t.Errorf("without an index: %+v; want %+v", got, want)
	}

	// At once.
	const goroutines = 8
	var all [goroutines][]gcra.Rate
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(41, 1)) // each makes the same limits
			for range 2000 {
				r := *rateOf(t, testkit.RandomLimit(rng))
				num, den := r.Interval()
				if got := gcra.TATOf(1, 0, r.Index()); got.Num != num || got.Den != den {
					t.Errorf("the index %d stands for %d/%d; want %d/%d", r.Index(), got.Num, got.Den, num, den)
				}
				all[i] = append(all[i], r)
			}
		})
	}
	wg.Wait()
	indices := map[uint32]gcra.Rate{}
	for i := range all {
		for j, r := range all[i] {
			if r != all[0][j] {
				t.Fatalf("limit %d is %+v on one goroutine, and %+v on another", j, all[0][j], r)
			}
			if other, ok := indices[r.Index()]; ok && !other.SameInterval(&r) {
				t.Fatalf("%+v and %+v have one index", other, r)
			}
			indices[r.Index()] = r
		}
	}

	// More than there is room for. This comes last: the rates of later tests have no index.
	without := 0
	for i := range gcra.MaxIntervals + 10 {
		r, err := gcra.NewRate(1, time.Duration(i+1)*time.Microsecond, 1)
		if err != nil {
			t.Fatal(err)
		}
		switch again, _ := gcra.NewRate(2, time.Duration(2*i+2)*time.Microsecond, 3); {
		case again.Index() != r.Index():
			t.Fatalf("one interval has the indices %d and %d", r.Index(), again.Index())
		case r.Index() == 0:
			without++
		case r.Index() > gcra.MaxIntervals:
			t.Fatalf("the index %d is above MaxIntervals", r.Index())
		}
	}
	if without < 10 {
		t.Errorf("%d rates have no index; want ten or more", without)
	}
	if got := rateOf(t, ratelimit.PerSecond(5)).Index(); got != five.Index() {
		t.Errorf("5/s has the index %d, and had %d", got, five.Index())
	}
}

// TestLoan: a loan has a burst, and no token of it can be spent.
func TestLoan(t *testing.T) {
	for _, n := range []int{0, -1} {
		if _, err := gcra.NewLoan(n); err == nil {
			t.Errorf("a loan of %d is accepted", n)
		}
	}
	if most := int64(gcra.MaxBurst) + 1; int64(int(most)) == most {
		if _, err := gcra.NewLoan(int(most)); err == nil {
			t.Errorf("a loan of %d is accepted", most)
		}
	}
	r := loanOf(t, 3)
	cost, ok := r.Cost(3)
	if !r.Loan() || r.Burst() != 3 || r.Capacity() != micros(0) || cost != micros(0) || !ok {
		t.Errorf("a loan of 3 is %+v, and 3 cost %v, %v", r, cost, ok)
	}
	if _, ok := r.Cost(4); ok {
		t.Error("4 of 3 have a cost")
	}
	if r.Remaining(micros(0)) != 3 || r.RetryAfter(micros(0), 3) != 0 || r.RetryAfter(micros(0), 4) != gcra.Never {
		t.Errorf("%d remain, after %v, and %v for 4", r.Remaining(micros(0)), r.RetryAfter(micros(0), 3), r.RetryAfter(micros(0), 4))
	}
	if share := r.Share(2); !share.Loan() || share.Burst() != 1 {
		t.Errorf("half of it is %+v", share)
	}
	if share := r.Share(9); !share.Loan() || share.Burst() != 1 {
		t.Errorf("a ninth of it is %+v", share)
	}
	if five := rateOf(t, ratelimit.PerSecond(5)); five.Loan() || (&gcra.Rate{}).Loan() {
		t.Error("a rate is a loan")
	}
}
