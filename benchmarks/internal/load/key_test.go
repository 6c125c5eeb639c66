package load

import (
	"fmt"
	"slices"
	"testing"
)

func TestKeys(t *testing.T) {
	for _, n := range []int{0, 7, 10, 1_000_000, 9_999_999_999} {
		if got, want := NewKey(n), fmt.Sprintf("api-key-%016d", n); got != want || len(got) != KeySize {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestStreams(t *testing.T) {
	for _, distribution := range []string{Uniform, Zipf} {
		a, b := NewStream(distribution, 100, 10_000), NewStream(distribution, 100, 10_000)
		if !slices.Equal(a, b) {
			t.Errorf("%s: two streams differ", distribution)
		}
		counts := map[string]int{}
		for offset := 0; offset < len(a); offset += KeySize {
			counts[a.At(offset)]++
		}
		if len(counts) != 100 {
			t.Errorf("%s: %d keys, want 100", distribution, len(counts))
		}
		first := counts[NewKey(0)]
		if distribution == Uniform && (first < 50 || first > 150) || distribution == Zipf && first < 1500 {
			t.Errorf("%s: the first key has %d of 10,000 draws", distribution, first)
		}
	}
}
