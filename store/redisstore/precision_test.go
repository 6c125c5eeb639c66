package redisstore

import (
	"fmt"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// TestFractionsAtTheEdge: a cost that exceeds the capacity by a fraction of a microsecond is
// denied, and one that fits exactly is admitted. The sum of two fractions may be a whole
// microsecond, or more. (If it is exactly one, af >= den and af > den in take.lua lead to
// the same decision.)
func TestFractionsAtTheEdge(t *testing.T) {
	server := miniredis.RunT(t)
	now := epoch
	server.SetTime(now)
	s := newStore(t, patient(t, server.Addr()), Config{})
	sevenths := policy(t, ratelimit.Limit{Rate: 7, Period: time.Second, Burst: 7})   // a token is 142857 1/7 us, the bucket 1 s
	thirds := policy(t, ratelimit.Limit{Rate: 3, Period: time.Second, Burst: 4})     // 333333 1/3 us, 1333333 1/3 us
	elevenths := policy(t, ratelimit.Limit{Rate: 11, Period: time.Second, Burst: 3}) // 90909 1/11 us, 272727 3/11 us
	for _, test := range []struct {
		policy       []store.Limit
		micros, frac int64 // of the debt
		cost         int
		allowed      bool
	}{
		{sevenths, 714285, 4, 2, true},  // 999999 6/7
		{sevenths, 714285, 5, 2, true},  // 1000000: the capacity
		{sevenths, 714285, 6, 2, false}, // 1000000 1/7
		{sevenths, 714286, 0, 2, false},
		{sevenths, 857142, 6, 1, true},
		{sevenths, 857143, 0, 1, false},
		{thirds, 999999, 2, 1, true}, // 1333333
		{thirds, 1000000, 0, 1, true},
		{thirds, 1000000, 1, 1, false}, // 1333333 2/3
		{thirds, 666666, 2, 2, true},   // 1333333 1/3
		{thirds, 666667, 0, 2, false},
		{elevenths, 181818, 2, 1, true},
		{elevenths, 181818, 3, 1, false},
		{elevenths, 90908, 10, 2, true},  // 272727 1/11
		{elevenths, 90909, 1, 2, true},   // 272727 3/11
		{elevenths, 90909, 2, 2, false},  // 272727 4/11
		{elevenths, 181817, 10, 1, true}, // 272727
	} {
		b := &test.policy[0]
		key := fmt.Sprint(b.Denominator(), test.micros, test.frac)
		value := fmt.Sprintf("1:%d:%d:%d:0:0", now.UnixMicro()+test.micros, test.frac, b.Denominator())
		if err := server.Set(s.names.owner("", key).bucket(b), value); err != nil {
			t.Fatal(err)
		}
		d, err := s.Take(t.Context(), store.Request{Key: key, Limits: test.policy, Cost: test.cost, Timeout: patience})
		debt := gcra.Debt{Micros: test.micros, Frac: uint32(test.frac)}
		cost, _ := b.Cost(test.cost)
		if want := b.Fits(b.Add(debt, cost)); want != test.allowed {
			t.Errorf("%s: the arithmetic of package ratelimit says %v", key, want)
		}
		if err != nil || d.Allowed != test.allowed {
			t.Errorf("a debt of %d %d/%d us and a cost of %d: admitted %v, %v; want %v", test.micros, test.frac, b.Denominator(), test.cost, d.Allowed, err, test.allowed)
		}
	}
}

// TestValueLivesUntilFull: a value expires when its bucket is full, rounded up to a
// millisecond, even for a fraction of a microsecond.
func TestValueLivesUntilFull(t *testing.T) {
	server := miniredis.RunT(t)
	server.SetTime(epoch)
	s := newStore(t, patient(t, server.Addr()), Config{})
	for _, test := range []struct {
		period time.Duration
		rate   int
		cost   int
		life   time.Duration
	}{
		{300_001 * time.Microsecond, 3, 1, 101 * time.Millisecond}, // full after 100000 1/3 us
		{300_001 * time.Microsecond, 3, 2, 201 * time.Millisecond}, // 200000 2/3
		{300_000 * time.Microsecond, 3, 1, 100 * time.Millisecond}, // 100000
		{300_001 * time.Microsecond, 3, 3, 301 * time.Millisecond}, // 300001
		{700_003 * time.Microsecond, 7, 1, 101 * time.Millisecond}, // 100000 3/7
		{700_003 * time.Microsecond, 7, 2, 201 * time.Millisecond}, // 200000 6/7
		{2_000_001 * time.Microsecond, 2, 1, 1001 * time.Millisecond},
		{time.Second, 3, 1, 334 * time.Millisecond}, // 333333 1/3
	} {
		p := policy(t, ratelimit.Limit{Rate: test.rate, Period: test.period, Burst: 10})
		key := fmt.Sprint(test)
		if _, err := s.Take(t.Context(), store.Request{Key: key, Limits: p, Cost: test.cost, Timeout: patience}); err != nil {
			t.Fatal(err)
		}
		if life := server.TTL(s.names.owner("", key).bucket(&p[0])); life != test.life {
			t.Errorf("%d of %d per %v: the value lives %v; want %v", test.cost, test.rate, test.period, life, test.life)
		}
	}
}
