package memstore

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// TestTakeOneIsTake: of two stores with the same hashes, one is asked with TakeOne and the
// other with Take. Their answers are the same
// in random histories: costs that are nothing, too much and negative, limits that
// change, resets, and tables so small that keys share overflow buckets.
func TestTakeOneIsTake(t *testing.T) {
	var policies [][]store.Limit
	for _, l := range []ratelimit.Limit{
		ratelimit.PerSecond(5),
		ratelimit.PerSecond(3).WithBurst(7),
		ratelimit.PerHour(2),
		{Rate: 1, Period: 1900 * time.Millisecond, Burst: 4},
		{Rate: 700_001, Period: time.Second, Burst: 3},
		ratelimit.PerSecond(5).Named("other"),
	} {
		p, err := ratelimit.NewPolicy(l)
		if err != nil {
			t.Fatal(err)
		}
		policies = append(policies, p.Compiled())
	}
	keys := []string{"", "a", "b", "c", "d", "e", "f", "g"}
	taken, shared := 0, 0
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		maxKeys := 1 + random.IntN(12)
		one, other := newManual(maxKeys), newManual(maxKeys)
		other.seeds = one.seeds
		for step := range 200 {
			key, p := keys[random.IntN(len(keys))], policies[random.IntN(len(policies))]
			if random.IntN(3) > 0 {
				p = policies[0]
			}
			cost := 1
			if random.IntN(4) == 0 {
				cost = random.IntN(10) - 1
			}
			if random.IntN(40) == 0 {
				one.reset(key, p)
				other.reset(key, p)
			}
			want := other.take(key, p, cost)
			debt, held, allowed := one.TakeOne(key, &p[0], cost)
			if taken++; want.Overflow {
				shared++
			}
			if debt != want.Debts[0] || held != want.Held[0] || allowed != want.Allowed {
				t.Fatalf("seed %d, step %d: cost %d under %v: %v, %d, %v; Take says %v, %d, %v", seed, step, cost, p, debt, held, allowed, want.Debts[0], want.Held[0], want.Allowed)
			}
			if random.IntN(2) == 0 {
				d := random.Int64N(1 << random.IntN(34))
				one.now += d
				other.now += d
			}
		}
		if one.count(t) != other.count(t) {
			t.Fatalf("seed %d: %d buckets, Take left %d", seed, one.count(t), other.count(t))
		}
	}
	if min(taken, shared) < 1000 {
		t.Errorf("%d calls, %d of them shared; want 1000 of each", taken, shared)
	}
}

// TestTakeWithoutLimits: a mistake of the caller is an error, and releases the lock.
func TestTakeWithoutLimits(t *testing.T) {
	s := New(Config{})
	if d, err := s.Take(t.Context(), store.Request{Key: "k", Cost: 1}); err == nil || d.Allowed {
		t.Errorf("%+v, %v; want an error", d, err)
	}
	if mu := &s.shard(s.hash("k")).mu; !mu.TryLock() {
		t.Error("the shard is locked for ever")
	}
}
