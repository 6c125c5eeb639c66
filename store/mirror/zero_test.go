package mirror_test

import (
	"testing"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/mirror"
)

// TestZeroStore answers with an error.
func TestZeroStore(t *testing.T) {
	s := new(mirror.Store)
	five, err := ratelimit.NewPolicy(ratelimit.PerSecond(5))
	if err != nil {
		t.Fatal(err)
	}
	if d, err := s.Take(t.Context(), ratelimit.Request{Key: "key", Policy: five, Cost: 1}); err == nil || d.Allowed {
		t.Errorf("Take: %+v, %v", d, err)
	}
	if err := s.Reset(t.Context(), "key", five); err == nil {
		t.Error("Reset returns no error")
	}
}
