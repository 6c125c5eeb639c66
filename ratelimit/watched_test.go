package ratelimit

import (
	"crypto/sha256"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit/internal/top"
)

// TestDenialsOutOfOrder: callers overtake each other between the clock and the lock.
func TestDenialsOutOfOrder(t *testing.T) {
	w := watched{denials: top.Denials{Max: 1}}
	key, start := sha256.Sum256(nil), time.Now()
	for _, after := range []time.Duration{2 * time.Second, time.Second, 3 * time.Second, 0, 2 * time.Second} {
		w.add(key, "l", 1, 0, start.Add(after))
	}
	if s := w.counters()[0].Seen; !s.First.Equal(start) || !s.Last.Equal(start.Add(3*time.Second)) {
		t.Errorf("first %v, last %v", s.First.Sub(start), s.Last.Sub(start))
	}
}
