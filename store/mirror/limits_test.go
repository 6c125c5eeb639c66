package mirror_test

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror"
)

// TestLimitsThatChange from request to request, with failures and with memories that are far
// too small. Answers are possible. If limits stay and nothing fails, the shared store would
// give each denial as well.
func TestLimitsThatChange(t *testing.T) {
	for range 500 {
		seed := rand.Uint64()
		synctest.Test(t, func(t *testing.T) { changing(t, rand.New(rand.NewPCG(seed, 0))) })
		if t.Failed() {
			t.Fatalf("the seed is %d", seed)
		}
	}
}

func changing(t *testing.T, random *rand.Rand) {
	shared := newFaulty()
	s := newMirror(t, shared, mirror.Config{Nodes: 1 + random.IntN(9), MaxKeys: []int{0, 4}[random.IntN(2)]})
	stay, fails := random.IntN(2) == 0, random.IntN(2) == 0
	policies := randomPolicies(t, random, stay)
	for range 100 {
		if fails && random.IntN(10) == 0 {
			if random.IntN(2) == 0 {
				shared.down()
			} else {
				shared.up()
			}
		}
		time.Sleep(time.Duration(random.IntN([]int{2, 2000, 2_000_000, 300_000_000}[random.IntN(4)])))
		p, cost := policies[random.IntN(len(policies))], random.IntN(24)-1
		d := take(t, s, "key", p, cost)
		check(t, p, cost, d)
		if d.Source != store.FromKnowledge || !stay || fails {
			continue
		}
		truth, _ := shared.store.Take(t.Context(), store.Request{Key: shared.key("key"), Limits: p})
		room := true
		for i := range p {
			room = room && p[i].RetryAfter(truth.Debts[i], cost) == 0
			if truth.Debts[i].Less(d.Debts[i]) {
				t.Errorf("limit %d owes %v, and was reported to owe %v", i, truth.Debts[i], d.Debts[i])
			}
		}
		if room {
			t.Errorf("a cost of %d was denied, for which the shared store has room: %v", cost, truth.Debts)
		}
	}
}

// randomPolicies have up to three limits. If stay is set, a name always means the same limit.
func randomPolicies(t *testing.T, random *rand.Rand, stay bool) (policies [][]store.Limit) {
	defined := map[string]ratelimit.Limit{}
	for len(policies) < 3 {
		var limits []ratelimit.Limit
		for _, name := range []string{"a", "b", "c"}[:1+random.IntN(3)] {
			l := ratelimit.Limit{
				Name:   name,
				Rate:   1 + random.IntN([]int{5, 1000, 1 << 20}[random.IntN(3)]),
				Period: time.Duration(1+random.IntN([]int{3, 1000, 10_000_000}[random.IntN(3)])) * time.Microsecond,
				Burst:  1 + random.IntN(20),
			}
			if same, ok := defined[name]; ok && stay {
				l = same
			}
			if _, err := ratelimit.NewPolicy(l); err == nil {
				defined[name] = l
				limits = append(limits, l)
			}
		}
		if len(limits) > 0 {
			policies = append(policies, policy(t, limits...))
		}
	}
	return policies
}

// TestLimitRaisedElsewhere: a debt under the old limit is clamped to what the new limit can
// owe, at the instant when it was observed.
func TestLimitRaisedElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there, _ := pair(t, mirror.Config{Nodes: 2})
		old, raised := policy(t, ratelimit.PerDay(10)), policy(t, ratelimit.PerHour(10))
		take(t, here, "key", old, 10)
		time.Sleep(time.Minute)
		take(t, there, "key", raised, 1)
		time.Sleep(2 * time.Hour)
		if !take(t, here, "key", raised, 1).Allowed {
			t.Error("denied two hours after the limit was raised, with an empty debt")
		}
	})
}

// TestLimitRaised: a raised limit takes effect at once on the node that has it, whatever it
// knows.
func TestLimitRaised(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMirror(t, newFaulty(), mirror.Config{})
		hour, second := policy(t, ratelimit.PerHour(10)), policy(t, ratelimit.PerSecond(10))
		take(t, s, "key", hour, 10)
		if d := take(t, s, "key", hour, 1); d.Allowed {
			t.Fatal("an empty bucket admitted a request")
		}
		take(t, s, "key", second, 1)
		time.Sleep(100 * time.Millisecond)
		if d := take(t, s, "key", second, 1); !d.Allowed {
			t.Errorf("the key is denied under the raised limit, with the debts %v", d.Debts)
		}
	})
}
