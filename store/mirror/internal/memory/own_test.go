package memory

import (
	"fmt"
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror/internal/clock"
)

// TestOwnIsBounded, as the rest of what is known of a shard is.
func TestOwnIsBounded(t *testing.T) {
	m := New(256, 2, clock.Start(), true)
	limits := testkit.Limits(t, ratelimit.PerDay(10))
	for i := range 10_000 {
		r := store.Request{Key: fmt.Sprint(i), Limits: limits, Cost: 1, Timeout: time.Second}
		var a Attempt
		m.Begin(&r, &a, new(clock.Shared))
		m.Alone(&r, &a, false)
	}
	own := 0
	for i := range m.shards {
		own += len(m.shards[i].own)
	}
	if own == 0 || own > 512 {
		t.Errorf("there is something to hand over of %d buckets; want at most 512", own)
	}
}
