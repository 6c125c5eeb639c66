package redisstore

import (
	"testing"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// TestZeroStore: a zero Store answers with an error, and ratelimit.New rejects it.
func TestZeroStore(t *testing.T) {
	s := new(Store)
	limits := policy(t, ratelimit.PerSecond(5))
	if d, err := s.Take(t.Context(), store.Request{Key: "k", Limits: limits, Cost: 1, Timeout: patience}); err == nil || d.Allowed {
		t.Errorf("Take: %+v, %v", d, err)
	}
	if err := s.Reset(t.Context(), store.Request{Key: "k", Limits: limits}); err == nil {
		t.Error("Reset returns no error")
	}
	if l, err := ratelimit.New(s, ratelimit.PerSecond(5), ratelimit.Config{}); l != nil || err == nil {
		t.Error("ratelimit.New takes it")
	}
}
