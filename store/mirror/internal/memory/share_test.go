package memory

import (
	"testing"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
)

// TestSharesAreKept up to a bound.
func TestSharesAreKept(t *testing.T) {
	s := shares{nodes: 1}
	p := testkit.Limits(t, ratelimit.PerSecond(10))
	if &s.of(p)[0] != &p[0] {
		t.Error("the share of one node is not the policy itself")
	}
	s.nodes = 2
	if first, second := s.of(p), s.of(p); &first[0] != &second[0] {
		t.Error("a share was made twice")
	}
	for range 2 * maxShares {
		s.of(testkit.Limits(t, ratelimit.PerSecond(10)))
		if len(s.known) > maxShares {
			t.Fatalf("%d shares are kept", len(s.known))
		}
	}
}
