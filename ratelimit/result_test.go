package ratelimit_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
)

func names(r *ratelimit.Result) []string {
	var names []string
	for i := range r.Len() {
		names = append(names, r.State(i).Limit.Name)
	}
	return names
}

// TestResultStateOrder: the deciding limit first, the others in the policy's order.
func TestResultStateOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := func(name string, burst int) ratelimit.Limit {
			return ratelimit.PerHour(10).WithBurst(burst).Named(name)
		}
		for _, test := range []struct {
			bursts [4]int
			want   []string
		}{
			{[4]int{2, 3, 4, 5}, []string{"a", "b", "c", "d"}},
			{[4]int{3, 2, 4, 5}, []string{"b", "a", "c", "d"}},
			{[4]int{4, 3, 2, 5}, []string{"c", "a", "b", "d"}},
			{[4]int{5, 4, 3, 2}, []string{"d", "a", "b", "c"}},
			{[4]int{2, 2, 2, 2}, []string{"a", "b", "c", "d"}},
			{[4]int{3, 2, 2, 3}, []string{"b", "a", "c", "d"}},
		} {
			l := newLimiter(t, policyOf(t, limit("a", test.bursts[0]), limit("b", test.bursts[1]), limit("c", test.bursts[2]), limit("d", test.bursts[3])), ratelimit.Config{})
			for _, n := range []int{1, 1, 1} { // the third is denied
				r := allow(t, l, "k", n)
				if got := names(&r); !slices.Equal(got, test.want) {
					t.Errorf("%v: the order is %v, want %v", test.bursts, got, test.want)
				}
				for i := range r.Len() {
					s := r.State(i)
					if want := policyOf(t, s.Limit).Compiled()[0].RetryAfter(debt(s.ResetAfter), 1); s.NextAfter != want {
						t.Errorf("%v: NextAfter of State(%d) is %v, want %v", test.bursts, i, s.NextAfter, want)
					}
				}
				first := r.State(0)
				if first.Limit != r.Limit() || first.Remaining != r.Remaining() || first.RetryAfter != r.RetryAfter() || first.ResetAfter != r.ResetAfter() || first.Violated == r.Allowed {
					t.Errorf("%v: State(0) is %+v, the result %+v", test.bursts, first, r)
				}
			}
		}
	})
}

// TestResultDeciding: of a denial the limit with the longest wait, otherwise the
// one with the fewest tokens left.
func TestResultDeciding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := policyOf(t, ratelimit.PerSecond(10).Named("a"), ratelimit.PerMinute(4).Named("b"), ratelimit.PerHour(100).WithBurst(3).Named("c"))
		for _, test := range []struct {
			name  string
			spend int
			n     int
			allow bool
			want  string
			retry time.Duration
		}{
			{"admitted", 0, 1, true, "c", 0},
			{"reported only", 1, 0, true, "c", 0},
			{"denied by one", 3, 1, false, "c", 36 * time.Second},
			{"two waits", 3, 2, false, "c", 72 * time.Second},
			{"above the burst of one", 0, 4, false, "c", gcra.Never},
			{"above the burst of two", 0, 5, false, "c", gcra.Never},
			{"above the burst of all", 0, 11, false, "c", gcra.Never},
		} {
			l := newLimiter(t, p, ratelimit.Config{})
			allow(t, l, "k", test.spend)
			r := allow(t, l, "k", test.n)
			if r.Allowed != test.allow || r.Limit().Name != test.want || r.RetryAfter() != test.retry {
				t.Errorf("%s: %+v", test.name, r)
			}
		}

		// Fewest tokens and longest wait are different limits.
		l := newLimiter(t, policyOf(t, ratelimit.PerHour(3).Named("slow").WithBurst(5), ratelimit.PerSecond(4).Named("quick")), ratelimit.Config{})
		if r := allow(t, l, "k", 4); !r.Allowed || r.Limit().Name != "quick" || r.Remaining() != 0 || r.ResetAfter() != time.Second {
			t.Errorf("admitted: %+v", r)
		}
		if r := allow(t, l, "k", 2); r.Allowed || r.Limit().Name != "slow" || r.Remaining() != 1 || r.RetryAfter() != 20*time.Minute || r.ResetAfter() != 80*time.Minute {
			t.Errorf("denied by both: %+v", r)
		}
		if r := allow(t, l, "k", 1); r.Allowed || r.Limit().Name != "quick" || r.State(1).Violated || r.State(1).RetryAfter != 0 {
			t.Errorf("denied by one: %+v", r)
		}
		// Equal waits: the fewer tokens decide.
		l = newLimiter(t, policyOf(t, ratelimit.PerHour(1).WithBurst(3).Named("three"), ratelimit.PerHour(1).WithBurst(2).Named("two")), ratelimit.Config{})
		if r := allow(t, l, "k", 4); r.Limit().Name != "two" || r.RetryAfter() != gcra.Never || r.Remaining() != 2 {
			t.Errorf("equal waits: %+v", r)
		}
	})
}

func TestZeroResultDenies(t *testing.T) {
	var r ratelimit.Result
	if r.Allowed || r.Policy() == ratelimit.Unlimited || r.Len() != 0 || r.Policy() != nil {
		t.Errorf("%+v", r)
	}
}

// TestStateOutOfRange: a handler may ask for State(0) before it knows that the key
// is exempt.
func TestStateOutOfRange(t *testing.T) {
	exempt, err := newLimiter(t, ratelimit.Unlimited, ratelimit.Config{}).Allow(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	one, err := newLimiter(t, ratelimit.PerSecond(5), ratelimit.Config{}).Allow(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		r *ratelimit.Result
		i int
	}{{&exempt, 0}, {new(ratelimit.Result), 0}, {&one, 1}, {&one, -1}} {
		if s := test.r.State(test.i); s != (ratelimit.LimitState{}) {
			t.Errorf("State(%d) of %d: %+v", test.i, test.r.Len(), s)
		}
	}
}

// TestResultIsSmall: a Result is returned by value from each decision.
func TestResultIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(ratelimit.Result{}); n > 96 {
		t.Errorf("%d bytes, want at most 96", n)
	}
}
