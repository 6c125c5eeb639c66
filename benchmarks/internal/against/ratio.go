package against

import (
	"math/rand/v2"
	"slices"

	"github.com/keyrate/keyrate/benchmarks/internal/report"
)

// resamples is how often the bootstrap draws.
const resamples = 2_000

// A ratio is that of two medians, with the bounds of its 95 % interval.
type ratio struct{ value, low, high float64 }

// compare returns the ratio of the medians of after and before, whose samples come in
// pairs. Its interval is that of the percentile bootstrap: it draws as many pairs as there
// are, with replacement, computes the ratio, and takes the middle 95 % of all ratios. Pairs
// are drawn whole, because what slows one half of a pair slows the other half, too.
//
// If all samples are 0, the ratio is 1.
func compare(before, after []float64) ratio {
	if !slices.ContainsFunc(slices.Concat(before, after), func(v float64) bool { return v != 0 }) {
		return ratio{1, 1, 1}
	}
	random := rand.New(rand.NewPCG(1, 2)) // the same samples have the same interval
	drawnBefore, drawnAfter := make([]float64, len(before)), make([]float64, len(after))
	found := make([]float64, resamples)
	for n := range found {
		for i := range before {
			at := random.IntN(len(before))
			drawnBefore[i], drawnAfter[i] = before[at], after[at]
		}
		found[n] = report.Ratio(drawnAfter, drawnBefore)
	}
	slices.Sort(found)
	const outside = resamples * 25 / 1000 // at each end
	return ratio{report.Ratio(after, before), found[outside], found[resamples-1-outside]}
}
