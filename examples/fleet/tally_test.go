package main

import (
	"testing"
	"time"
)

// TestQuantile: a time is known to a sixteenth.
func TestQuantile(t *testing.T) {
	for _, took := range []time.Duration{8, 15, 16, 17, 100, 999, 12_345, time.Millisecond, 50 * time.Millisecond, time.Second, 30 * time.Second} {
		var n tally
		n[bucketOf(took)]++
		if got := n.quantile(0.5); (got - took).Abs() > took/16+1 {
			t.Errorf("%v is read as %v", took, got)
		}
	}
	var n tally
	for ms := range 100 {
		n[bucketOf(time.Duration(ms)*time.Millisecond)]++
	}
	if p50, p99 := n.quantile(0.5), n.quantile(0.99); (p50-50*time.Millisecond).Abs() > 4*time.Millisecond || (p99-99*time.Millisecond).Abs() > 7*time.Millisecond {
		t.Errorf("p50 %v, p99 %v", p50, p99)
	}
	if least, most := bucketOf(-1), bucketOf(1<<62); least != buckets || most != tallyLen-1 {
		t.Errorf("words %d to %d, want %d to %d", least, most, buckets, tallyLen-1)
	}
}
