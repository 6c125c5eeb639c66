package ratelimit_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

// TestEnforcedFrom: a limit denies no call until its date, and then what it has seen
// counts; each date of a policy begins a phase of its own.
func TestEnforcedFrom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		p := policyOf(t,
			ratelimit.PerHour(3).Named("second").EnforcedFrom(start.Add(2*time.Minute)),
			ratelimit.PerHour(5).Named("first").EnforcedFrom(start.Add(time.Minute)),
			ratelimit.PerHour(1).Named("never").Shadowed(),
		)
		l := newLimiter(t, p, ratelimit.Config{})
		check := func(what string, allowed, shadow, would bool, enforced, beside int) {
			t.Helper()
			r := allow(t, l, "k", 1)
			if r.Allowed != allowed || r.Shadow() != shadow || r.WouldDeny() != would || r.Len() != enforced || len(shadowStates(&r)) != beside {
				t.Errorf("%s: %+v, %d limits and %d beside", what, r, r.Len(), len(shadowStates(&r)))
			}
			for i := range r.Len() {
				if s := r.State(i); s.Limit.Shadow != shadow || !shadow && s.Limit.EnforceFrom != 0 {
					t.Errorf("%s: %+v", what, s.Limit)
				}
			}
		}
		check("before", true, true, false, 3, 0) // all are charged
		check("before", true, true, true, 3, 0)  // the third limit had one token: none is charged
		time.Sleep(time.Minute - time.Nanosecond)
		check("just before the first date", true, true, true, 3, 0)
		time.Sleep(time.Nanosecond)
		for range 2 { // of the five one is gone, of the three one
			check("from the first date", true, false, true, 1, 2)
		}
		check("from the first date", true, false, true, 1, 2)
		check("from the first date", true, false, true, 1, 2)
		check("from the first date", false, false, false, 1, 2)
		time.Sleep(time.Minute)
		check("from the second date", false, false, false, 2, 1)
		if err := l.Reset(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		check("reset", true, false, false, 2, 1)
		check("reset", true, false, true, 2, 1)
		check("reset", true, false, true, 2, 1)
		check("reset", false, false, false, 2, 1)
	})
}

// TestEnforcedFromThePast: a date that has passed makes an ordinary limit.
func TestEnforcedFromThePast(t *testing.T) {
	l := newLimiter(t, ratelimit.PerHour(1).EnforcedFrom(time.Unix(1, 0)), ratelimit.Config{})
	first, second := allow(t, l, "k", 1), allow(t, l, "k", 1)
	if !first.Allowed || second.Allowed || first.Shadow() || first.Limit() != ratelimit.PerHour(1).WithBurst(1).Named("default") {
		t.Errorf("%+v, %+v", first, second)
	}
	if n := l.ShadowReport().Decisions; n != 0 {
		t.Errorf("%d decisions were watched", n)
	}
}

// TestEnforcedFromForAll: callers of many goroutines see the date pass once, and no call
// is decided by a mixture.
func TestEnforcedFromForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		date := time.Now().Add(time.Second)
		l := newLimiter(t, policyOf(t, ratelimit.PerHour(1).EnforcedFrom(date), ratelimit.PerHour(2).Named("two").EnforcedFrom(date)), ratelimit.Config{})
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 200 {
					before := time.Now().Before(date)
					r, err := l.Allow(t.Context(), "k")
					if err != nil || r.Len() != 2 || r.Shadow() != before || before && !r.Allowed {
						t.Errorf("before the date %v: %+v, %v", before, r, err)
					}
					time.Sleep(10 * time.Millisecond)
				}
			})
		}
		wg.Wait()
	})
}

// TestEnforcedFromTheEpoch: the zero of the clock is a date that has passed, and not the
// lack of one, which would watch for ever.
func TestEnforcedFromTheEpoch(t *testing.T) {
	l := newLimiter(t, ratelimit.PerHour(1).EnforcedFrom(time.Unix(0, 500)), ratelimit.Config{})
	if first, second := allow(t, l, "k", 1), allow(t, l, "k", 1); first.Shadow() || !first.Allowed || second.Allowed {
		t.Errorf("%+v, %+v", first, second)
	}
	for _, before := range []time.Time{{}, time.Unix(-1, 0), time.Unix(lastDate+1, 0)} {
		if _, err := ratelimit.NewPolicy(ratelimit.PerHour(1).EnforcedFrom(before)); err == nil {
			t.Errorf("%v is no date that can be written down", before)
		}
	}
}
