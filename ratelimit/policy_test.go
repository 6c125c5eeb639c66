package ratelimit_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

func TestNewPolicy(t *testing.T) {
	named := func(names ...string) []ratelimit.Limit {
		limits := make([]ratelimit.Limit, len(names))
		for i, name := range names {
			limits[i] = ratelimit.PerSecond(5).Named(name)
		}
		return limits
	}
	for _, test := range []struct {
		name   string
		limits []ratelimit.Limit
		fields string
		want   string
	}{
		{"one", named(""), "", ""},
		{"four", named("", "b", "c", "d"), "", ""},
		{"none", nil, "limits", `limits "0 of them" must be 1 to 4; to exempt a key, use ratelimit.Unlimited`},
		{"five", named("a", "b", "c", "d", "e"), "limits", `limits "5 of them" must be 1 to 4`},
		{"a name twice", named("a", "b", "a"), "Name", `limit "a": Name "a" must differ from the other limits of the policy`},
		{"no name twice", named("", ""), "Name", `Name "default" must differ`},
		{"the default name and none", named("", "default"), "Name", `Name "default" must differ`},
		{"names that differ in case", named("a", "A"), "", ""},
		{"all at once", append(named("a", "a", "b", "c"), ratelimit.Limit{Name: "d", Burst: -1}), "limits Name Rate Period Burst", "limit \"d\": Rate 0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := ratelimit.NewPolicy(test.limits...)
			if fields(err) != test.fields || (p == nil) != (err != nil) || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Fatalf("%v, %v; want faults of %q and %q", p, err, test.fields, test.want)
			}
			if err != nil {
				return
			}
			if len(p.Compiled()) != len(test.limits) || len(p.Limits()) != len(test.limits) {
				t.Errorf("%d limits, want %d", len(p.Compiled()), len(test.limits))
			}
			for i, l := range p.Limits() {
				if p.Compiled()[i].Name != l.Name || p.Compiled()[i].Burst() != l.Burst || canonical(l) != canonical(test.limits[i]) {
					t.Errorf("limit %d is %#v", i, l)
				}
			}
		})
	}
}

// A Policy never changes, whatever is done with what it was made from and what it
// returns.
func TestPolicyIsImmutable(t *testing.T) {
	limits := []ratelimit.Limit{ratelimit.PerSecond(5)}
	p := policyOf(t, limits...)
	limits[0].Rate = 7
	p.Limits()[0].Rate = 8
	if got := p.Limits()[0].Rate; got != 5 {
		t.Errorf("the rate is %d, want 5", got)
	}
	if got, err := p.PolicyFor(t.Context(), "any key"); got != p || err != nil {
		t.Errorf("PolicyFor: %p, %v; want %p", got, err, p)
	}
	if len(ratelimit.Unlimited.Compiled()) != 0 || len(ratelimit.Unlimited.Limits()) != 0 {
		t.Error("Unlimited has limits")
	}
}

// TestAllOrNothing: 10/s and 1000/h are decided together.
func TestAllOrNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		second, hour := ratelimit.PerSecond(10).Named("second"), ratelimit.PerHour(1000).Named("hour")
		l := newLimiter(t, policyOf(t, second, hour), ratelimit.Config{})
		state := func(r ratelimit.Result, name string) ratelimit.LimitState {
			for i := range r.Len() {
				if s := r.State(i); s.Limit.Name == name {
					return s
				}
			}
			t.Fatalf("no limit %q", name)
			return ratelimit.LimitState{}
		}

		if got := admitted(t, l, "k", 25); got != 10 {
			t.Fatalf("%d of 25 calls at once were admitted, want 10", got)
		}
		// The 15 that were denied by one limit were not charged to the other.
		r := allow(t, l, "k", 1)
		if s := state(r, "hour"); s.Remaining != 990 || s.Violated || s.RetryAfter != 0 || s.ResetAfter != 36*time.Second {
			t.Errorf("the limit that had room: %+v", s)
		}
		if s := state(r, "second"); s.Remaining != 0 || !s.Violated || s.RetryAfter != 100*time.Millisecond || s.ResetAfter != time.Second {
			t.Errorf("the limit that had none: %+v", s)
		}
		if r.Allowed || r.Limit().Name != "second" || r.RetryAfter() != 100*time.Millisecond {
			t.Errorf("the denial: %+v", r)
		}

		// Take ten in every second until the hour's are gone: its burst, and one
		// more for each 3.6 seconds.
		total, seconds := 10, 0
		for got := 10; got == 10; total += got {
			time.Sleep(time.Second)
			seconds++
			got = admitted(t, l, "k", 10)
		}
		if want := 1000 + seconds*10/36; total != want {
			t.Errorf("%d calls were admitted in %d seconds, want %d", total, seconds, want)
		}
		r = allow(t, l, "k", 1)
		if want := 3600*time.Millisecond - time.Duration(seconds)*time.Second%(3600*time.Millisecond); r.Allowed || r.Limit().Name != "hour" || r.RetryAfter() != want {
			t.Errorf("the denial by the hour: %+v, want a wait of %v", r, want)
		}

		// Both deny: the longest wait decides, and it is enough.
		both := newLimiter(t, policyOf(t, second.WithBurst(1), hour.WithBurst(1)), ratelimit.Config{})
		allow(t, both, "k", 1)
		r = allow(t, both, "k", 1)
		if r.Allowed || r.Limit().Name != "hour" || r.RetryAfter() != 3600*time.Millisecond || !r.State(0).Violated || !r.State(1).Violated || r.State(1).RetryAfter != 100*time.Millisecond {
			t.Errorf("both deny: %+v, %+v", r, r.State(1))
		}
		time.Sleep(r.RetryAfter() - time.Microsecond)
		if allow(t, both, "k", 1).Allowed {
			t.Error("admitted before the wait was over")
		}
		time.Sleep(time.Microsecond)
		if !allow(t, both, "k", 1).Allowed {
			t.Error("denied after the wait that was reported")
		}
	})
}

// Two policies that name the same limit share its bucket.
func TestPoliciesShareALimitByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		daily := ratelimit.PerDay(3).Named("daily")
		read, write := policyOf(t, ratelimit.PerDay(100).Named("read"), daily), policyOf(t, daily, ratelimit.PerDay(100).Named("write"))
		s := newFaultyStore()
		reading, writing := newLimiterOn(t, s, read, ratelimit.Config{}), newLimiterOn(t, s, write, ratelimit.Config{})
		if got := admitted(t, reading, "k", 2) + admitted(t, writing, "k", 2); got != 3 {
			t.Errorf("%d calls were admitted, want 3", got)
		}
		if got := admitted(t, reading, "another key", 4); got != 3 {
			t.Errorf("another key: %d calls were admitted, want 3", got)
		}
	})
}

// TestPolicySharedByLimiters: two limiters see the date of one policy pass together, and
// each has a report of its own.
func TestPolicySharedByLimiters(t *testing.T) {
	p := policyOf(t, ratelimit.PerHour(1).Shadowed())
	s := memstore.New(memstore.Config{})
	one, two := newLimiterOn(t, s, p, ratelimit.Config{}), newLimiterOn(t, s, p, ratelimit.Config{})
	allow(t, one, "k", 1)
	allow(t, two, "k", 1)
	if one.ShadowReport().WouldDeny != 0 || two.ShadowReport().WouldDeny != 1 {
		t.Errorf("%+v, %+v", one.ShadowReport(), two.ShadowReport())
	}
}
