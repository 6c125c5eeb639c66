package main

import (
	"fmt"
	"slices"
	"testing"
)

func TestKeys(t *testing.T) {
	for _, n := range []int{0, 7, 10, 1_000_000, 9_999_999_999} {
		if got, want := newKey(n), fmt.Sprintf("api-key-%016d", n); got != want || len(got) != keySize {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestStreams(t *testing.T) {
	for _, distribution := range []string{uniform, zipf} {
		a, b := newStream(distribution, 100, 10_000), newStream(distribution, 100, 10_000)
		if !slices.Equal(a, b) {
			t.Errorf("%s: two streams differ", distribution)
		}
		counts := map[string]int{}
		for offset := 0; offset < len(a); offset += keySize {
			counts[a.at(offset)]++
		}
		if len(counts) != 100 {
			t.Errorf("%s: %d keys, want 100", distribution, len(counts))
		}
		first := counts[newKey(0)]
		if distribution == uniform && (first < 50 || first > 150) || distribution == zipf && first < 1500 {
			t.Errorf("%s: the first key has %d of 10,000 draws", distribution, first)
		}
	}
}
