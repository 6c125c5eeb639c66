package redis

import (
	"testing"
	"time"
)

func TestLatenciesResolveNanoseconds(t *testing.T) {
	for _, latency := range []time.Duration{
		1, 37, 151, 1023, 1024, 1025, 2047, 2048, 2050, 4096, 9_999, 71_234, time.Millisecond, 1_234_567, time.Second, 100 * time.Second,
	} {
		var l latencies
		l.add(latency)
		h, err := l.histogram()
		if err != nil {
			t.Fatal(err)
		}
		got := time.Duration(h.ValueAtQuantile(50))
		if slack := latency / 500; got < latency-slack || got > latency+slack || h.TotalCount() != 1 {
			t.Errorf("%d ns counts as %d ns, %d times", latency, got, h.TotalCount())
		}
	}
	var l latencies
	for _, latency := range []time.Duration{-1, 0, time.Hour} {
		l.add(latency)
	}
	if h, err := l.histogram(); err != nil || h.TotalCount() != 3 {
		t.Errorf("%v, %v", h, err)
	}
}
