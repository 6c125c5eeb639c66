package ratelimit_test

import (
	"fmt"
	"testing"

	"github.com/keyrate/keyrate/ratelimit"
)

// enforced returns the keys of many for which a limit is enforced.
func enforced(t *testing.T, l ratelimit.Limit, keys int) map[string]bool {
	t.Helper()
	limiter := newLimiter(t, l, ratelimit.Config{})
	found := map[string]bool{}
	for i := range keys {
		key := fmt.Sprint("customer-", i)
		for range 2 {
			r, err := limiter.Allow(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			if !r.Allowed {
				found[key] = true
			} else if r.WouldDeny() == found[key] && found[key] {
				t.Errorf("%s: %+v", key, r)
			}
		}
	}
	return found
}

// TestEnforcedFor: a limit is enforced for its percentage of the keys, for the same ones by every
// limiter, for more of them if it grows, and for others under another name.
func TestEnforcedFor(t *testing.T) {
	const keys = 4000
	hour := ratelimit.PerHour(1)
	var last map[string]bool
	for _, percent := range []int{1, 10, 25, 50, 99} {
		found := enforced(t, hour.EnforcedFor(percent), keys)
		if want := keys * percent / 100; len(found) < want-120 || len(found) > want+120 { // four standard deviations
			t.Errorf("%d %%: %d of %d keys", percent, len(found), keys)
		}
		for key := range last {
			if !found[key] {
				t.Errorf("%d %%: %s is no longer among them", percent, key)
			}
		}
		again := enforced(t, hour.EnforcedFor(percent), keys)
		for key := range found {
			if !again[key] {
				t.Errorf("%d %%: another limiter does not enforce it for %s", percent, key)
			}
		}
		last = found
	}
	half, other := enforced(t, hour.EnforcedFor(50), keys), enforced(t, hour.Named("other").EnforcedFor(50), keys)
	both := 0
	for key := range half {
		if other[key] {
			both++
		}
	}
	if both < keys/4-120 || both > keys/4+120 {
		t.Errorf("%d keys are in both halves, want about %d", both, keys/4)
	}
}

// TestEnforcedForBeside: beside an enforced limit it watches the keys for which it is not enforced.
func TestEnforcedForBeside(t *testing.T) {
	limiter := newLimiter(t, policyOf(t, ratelimit.PerHour(3), ratelimit.PerDay(1).Named("new").EnforcedFor(50)), ratelimit.Config{})
	denied, watched := 0, 0
	for i := range 200 {
		key := fmt.Sprint("customer-", i)
		for range 2 {
			r, err := limiter.Allow(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case !r.Allowed:
				denied++
			case r.WouldDeny():
				watched++
			}
		}
	}
	if denied+watched != 200 || denied < 60 || watched < 60 {
		t.Errorf("%d keys were denied and %d watched, want about 100 of each", denied, watched)
	}
}

// TestEnforcedForHomes: all keys of an organisation are in or out for a limit that they share.
func TestEnforcedForHomes(t *testing.T) {
	p := policyOf(t, ratelimit.PerHour(1).Named("org").SharedByHome().EnforcedFor(50))
	denied := 0
	for home := range 100 {
		limiter := newLimiter(t, p.In(fmt.Sprint("org-", home)), ratelimit.Config{})
		outcomes := map[bool]bool{}
		for i := range 5 {
			r, err := limiter.Allow(t.Context(), fmt.Sprint("key-", i))
			if err != nil {
				t.Fatal(err)
			}
			if i > 0 {
				outcomes[r.Allowed] = true
			}
		}
		if len(outcomes) != 1 {
			t.Errorf("organisation %d: its keys differ", home)
		}
		if outcomes[false] {
			denied++
		}
	}
	if denied < 30 || denied > 70 {
		t.Errorf("%d of 100 organisations", denied)
	}
}

// TestEnforcedForText: its text is read back, and what it cannot be is rejected.
func TestEnforcedForText(t *testing.T) {
	for _, text := range []string{"5/s;enforce-for=10%", "5/s;burst=9;name=a;shared;enforce-for=99%", "5/s;enforce-from=2027-01-31;enforce-for=1%", "3 at a time;enforce-for=50%"} {
		l, err := ratelimit.ParseLimit(text)
		if err != nil || l.String() != text || !l.Shadow {
			t.Errorf("%s: %v, %v", text, l, err)
		}
	}
	for _, text := range []string{"5/s;enforce-for=10", "5/s;enforce-for=0%", "5/s;enforce-for=100%", "5/s;enforce-for=-1%", "5/s;enforce-for=", "5/s;enforce-for=1.5%"} {
		if l, err := ratelimit.ParseLimit(text); err == nil {
			t.Errorf("%s: %v", text, l)
		}
	}
	for _, l := range []ratelimit.Limit{ratelimit.PerSecond(1).EnforcedFor(100), ratelimit.PerSecond(1).EnforcedFor(-1), {Rate: 1, Period: 1e9, EnforceFor: 5}} {
		if _, err := ratelimit.NewPolicy(l); err == nil {
			t.Errorf("%+v is accepted", l)
		}
	}
	if l := ratelimit.PerSecond(1).EnforcedFor(5).Shadowed(); l.EnforceFor != 0 {
		t.Errorf("%+v", l)
	}
}
