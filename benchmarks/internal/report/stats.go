package report

import "slices"

// Median returns the middle of the samples, which must not be empty.
func Median(samples []float64) float64 {
	sorted := slices.Sorted(slices.Values(samples))
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

// spread returns half the distance between the quartiles, relative to the median:
// between them is the middle half of the samples.
func spread(samples []float64) float64 {
	m := Median(samples)
	if m == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(samples))
	outer := len(sorted) / 4
	return (sorted[len(sorted)-1-outer] - sorted[outer]) / 2 / m
}

// Ratio returns the median of a divided by the median of b, so that a reader can check it
// with the printed medians.
func Ratio(a, b []float64) float64 { return Median(a) / Median(b) }

// Floor returns the whole number of n per call: what the measurement itself allocates is
// not part of a call.
func Floor(n uint64, calls int) float64 { return float64(n / uint64(calls)) }
