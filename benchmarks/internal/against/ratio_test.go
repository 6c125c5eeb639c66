package against

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestRatioOfMedians(t *testing.T) {
	for _, c := range []struct {
		name          string
		before, after []float64
		want          ratio
	}{
		{"one pair", []float64{10}, []float64{5}, ratio{0.5, 0.5, 0.5}},
		{"the same ratio in each pair", []float64{1, 2, 4}, []float64{2, 4, 8}, ratio{2, 2, 2}},
		{"constant counts", []float64{3, 3, 3, 3}, []float64{2, 2, 2, 2}, ratio{2. / 3, 2. / 3, 2. / 3}},
		{"nothing but zeros", []float64{0, 0}, []float64{0, 0}, ratio{1, 1, 1}},
	} {
		got := compare(c.before, c.after)
		if math.Abs(got.value-c.want.value)+math.Abs(got.low-c.want.low)+math.Abs(got.high-c.want.high) > 1e-12 {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	if got := compare([]float64{0, 0, 0}, []float64{1, 1, 1}); !math.IsInf(got.value, 1) {
		t.Errorf("from nothing to something: %v", got)
	}
}

// TestRank compares with the tables of the sign test.
func TestRank(t *testing.T) {
	for n, want := range map[int]int{1: 0, 5: 0, 6: 0, 8: 0, 9: 1, 10: 1, 12: 2, 15: 3, 20: 5, 25: 7, 30: 9, 40: 13} {
		if got := rank(n); got != want {
			t.Errorf("of %d samples %d are left out at each end, want %d", n, got, want)
		}
	}
}

// TestInterval: of many comparisons of 20 pairs of noisy samples, about 95 % of the
// intervals contain the true ratio. Noise that a pair shares does not widen them.
func TestInterval(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	const runs, truth = 1000, 0.9
	for _, c := range []struct {
		name        string
		shared, own float64
		widest      float64 // on average
	}{
		{"noise of each sample", 0, 0.05, 0.1},
		{"noise that a pair shares", 1, 0.01, 0.02},
	} {
		hits, width := 0, 0.0
		for range runs {
			before, after := make([]float64, 20), make([]float64, 20)
			for i := range before {
				slow := 50 * (1 + c.shared*random.ExpFloat64())
				before[i] = slow * (1 + c.own*random.NormFloat64())
				after[i] = truth * slow * (1 + c.own*random.NormFloat64())
			}
			got := compare(before, after)
			if got.low > got.value || got.value > got.high {
				t.Fatalf("%s: %v", c.name, got)
			}
			if got.low <= truth && truth <= got.high {
				hits++
			}
			width += (got.high - got.low) / runs
		}
		if hits < runs*93/100 {
			t.Errorf("%s: %d of %d intervals contain the true ratio", c.name, hits, runs)
		}
		if width > c.widest {
			t.Errorf("%s: the intervals are %.3f wide on average, want at most %.3f", c.name, width, c.widest)
		}
		t.Logf("%s: %d of %d intervals hit, %.3f wide on average", c.name, hits, runs, width)
	}
}
