package report

import (
	"math"
	"testing"
)

func TestStatistics(t *testing.T) {
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-9 {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	near("median of one", Median([]float64{3}), 3)
	near("median of three", Median([]float64{9, 1, 3}), 3)
	near("median of four", Median([]float64{9, 1, 3, 5}), 4)
	near("spread", spread([]float64{90, 100, 120}), 0.15)
	near("spread without the outer quarters", spread([]float64{1000, 120, 90, 110, 100, 100, 100, 0}), 0.05)
	near("spread of nothing", spread([]float64{0, 0}), 0)
	near("ratio", Ratio([]float64{10, 30, 20}, []float64{5, 15, 1}), 4)
}
