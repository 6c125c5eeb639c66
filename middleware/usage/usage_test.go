package usage

import (
	"math"
	"testing"
)

func TestTokens(t *testing.T) {
	for _, c := range []struct {
		u    Usage
		want int64
	}{
		{Usage{}, 0},
		{Usage{Input: 1, Output: 20, CacheRead: 300, CacheWrite: 4000}, 4321},
		{Usage{Output: math.MaxInt32}, math.MaxInt32},
		{Usage{Output: math.MaxInt32 + 1}, min(math.MaxInt32+1, math.MaxInt)},
		{Usage{Input: maxCount, Output: maxCount}, min(2*maxCount, math.MaxInt)},
	} {
		if got := int64(c.u.Tokens()); got != c.want {
			t.Errorf("%+v: %d, want %d", c.u, got, c.want)
		}
	}
}
