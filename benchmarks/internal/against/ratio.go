package against

import (
	"slices"

	"github.com/keyrate/keyrate/benchmarks/internal/report"
)

// A ratio is that of two medians, with the bounds of its 95 % interval.
type ratio struct{ value, low, high float64 }

// compare returns the ratio of after to before, whose samples are the medians of the
// processes of each pair. It is the median of the ratios of all pairs: what slows one half
// of a pair slows the other half, too, and cancels. Its interval is the exact one by ranks,
// whatever the distribution of the ratios: see [rank].
//
// If both samples of a pair are 0, their ratio is 1.
func compare(before, after []float64) ratio {
	ratios := make([]float64, len(before))
	for i := range ratios {
		if ratios[i] = after[i] / before[i]; before[i] == after[i] {
			ratios[i] = 1
		}
	}
	slices.Sort(ratios)
	k := rank(len(ratios))
	return ratio{report.Median(ratios), ratios[k], ratios[len(ratios)-1-k]}
}

// rank returns how many of n sorted samples to leave out at each end, so that the others
// span the median of their distribution with a probability of 95 % at least: 5 of 20, for
// 95.9 %. The number of samples below the median is that of heads among n coins. Fewer than
// six samples cannot reach 95 %, and none is left out.
func rank(n int) int {
	probability := 1.0 // of exactly k heads
	for range n {
		probability /= 2
	}
	below := probability // of k heads at most
	k := 0
	for ; below <= 0.025; k++ {
		probability *= float64(n-k) / float64(k+1)
		below += probability
	}
	return max(k-1, 0)
}
