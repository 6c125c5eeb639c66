package memory

import (
	"testing"

	"github.com/keyrate/keyrate/ratelimit"
)

// TestShare: never more than the rate divided by the nodes, and a burst of one at least.
func TestShare(t *testing.T) {
	for _, c := range []struct {
		limit, want string
		nodes       int
	}{
		{"5/s", "1/1s", 5},
		{"10/s;burst=40", "5/1s;burst=20", 2},
		{"5/s", "5/2s;burst=2", 2},
		{"5/s", "1/2s", 10},
		{"7/1m;burst=3", "7/3m;burst=1", 3},
		{"1/87600h", "1/87600h", 2},                                      // ten years: twenty is no limit
		{"2147483647/2562047h;burst=2", "33554431/2562047h;burst=1", 64}, // the period would be beyond time.Duration
		{"37/2562047h;burst=1", "1/87600h", 64},                          // and where nothing is left
	} {
		l, err := ratelimit.ParseLimit(c.limit)
		if err != nil {
			t.Errorf("%s: %v", c.limit, err)
			continue
		}
		if l.Burst == 0 {
			l.Burst = l.Rate
		}
		want, err := ratelimit.ParseLimit(c.want)
		if err != nil {
			t.Fatal(err)
		}
		if want.Burst == 0 {
			want.Burst = want.Rate
		}
		if got := share(l, c.nodes); got != want {
			t.Errorf("one of %d shares of %s is %+v; want %+v", c.nodes, c.limit, got, want)
		}
	}
}

// TestSharesAreKept up to a bound.
func TestSharesAreKept(t *testing.T) {
	s := shares{nodes: 1}
	p := mustPolicy(t, ratelimit.PerSecond(10))
	if s.of(p) != p {
		t.Error("the share of one node is not the policy itself")
	}
	s.nodes = 2
	if first, second := s.of(p), s.of(p); first != second {
		t.Error("a share was made twice")
	}
	for range 2 * maxShares {
		s.of(mustPolicy(t, ratelimit.PerSecond(10)))
		if len(s.known) > maxShares {
			t.Fatalf("%d shares are kept", len(s.known))
		}
	}
}
