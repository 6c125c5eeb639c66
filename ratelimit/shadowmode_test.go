package ratelimit_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// TestShadow: for the same calls a limiter in shadow mode would deny exactly those
// that an enforcing one denies, and admits all.
func TestShadow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		denials := 0
		for seed := range uint64(40) {
			rng := rand.New(rand.NewPCG(seed, 22))
			p := randomPolicy(t, rng)
			enforcing, shadow := newLimiter(t, p, ratelimit.Config{}), newLimiter(t, p, ratelimit.Config{Shadow: true})
			for range 60 {
				time.Sleep(randomSleep(rng))
				n := rng.IntN(4)
				want, got := allow(t, enforcing, "k", n), allow(t, shadow, "k", n)
				if want.Shadow() || want.WouldDeny() {
					t.Fatalf("enforcing: %+v", want)
				}
				if !got.Allowed || !got.Shadow() || got.WouldDeny() == want.Allowed {
					t.Fatalf("%v: shadow mode answers %+v, enforcement %+v", p.Limits(), got, want)
				}
				if got.Limit() != want.Limit() || got.Remaining() != want.Remaining() || got.RetryAfter() != want.RetryAfter() || got.ResetAfter() != want.ResetAfter() {
					t.Fatalf("%v: shadow mode reports %+v, enforcement %+v", p.Limits(), got, want)
				}
				for i := range len(p.Compiled()) {
					if got.State(i) != want.State(i) {
						t.Fatalf("%v: shadow mode reports %+v, enforcement %+v", p.Limits(), got.State(i), want.State(i))
					}
				}
				if !want.Allowed {
					denials++
				}
			}
		}
		if denials == 0 {
			t.Error("no call was denied: the histories prove nothing")
		}
		p := policyOf(t, ratelimit.PerHour(1))
		shadow := newLimiter(t, p, ratelimit.Config{Shadow: true})
		allow(t, shadow, "k", 1)
		if r := peek(t, shadow, "k"); !r.Allowed || !r.WouldDeny() || r.RetryAfter() != time.Hour {
			t.Errorf("Peek in shadow mode: %+v", r)
		}
	})
}

// TestShadowServesAfterAFault: a limiter that only watches must not be in the way.
func TestShadowServesAfterAFault(t *testing.T) {
	s := newFaultyStore()
	s.take = func(context.Context, store.Request) (store.Decision, error) {
		return store.Decision{}, errors.New("down")
	}
	for _, shadow := range []bool{true, false} {
		l := newLimiterOn(t, s, ratelimit.PerSecond(1), ratelimit.Config{Shadow: shadow})
		r, err := l.Allow(t.Context(), "k")
		if err == nil || r.Allowed != shadow || r.Shadow() != shadow || r.WouldDeny() || r.Policy() != nil || r.Len() != 0 || r.Policy() == ratelimit.Unlimited {
			t.Errorf("shadow %v: %+v, %v", shadow, r, err)
		}
		if err := l.Wait(t.Context(), "k"); (err == nil) != shadow {
			t.Errorf("shadow %v: Wait: %v", shadow, err)
		}
	}
}

// TestShadowServesANegativeCost: it is a fault, and where nothing is enforced a fault
// denies no call, whichever way that was said.
func TestShadowServesANegativeCost(t *testing.T) {
	for name, l := range map[string]*ratelimit.Limiter{
		"Config.Shadow": newLimiter(t, ratelimit.PerHour(1), ratelimit.Config{Shadow: true}),
		"Limit.Shadow":  newLimiter(t, ratelimit.PerHour(1).Shadowed(), ratelimit.Config{}),
		"dated":         newLimiter(t, ratelimit.PerHour(1).EnforcedFrom(time.Now().Add(time.Hour)), ratelimit.Config{}),
	} {
		if r, err := l.AllowN(t.Context(), "k", -1); len(ratelimit.Faults(err)) != 1 || !r.Allowed || !r.Shadow() {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	beside := newLimiter(t, policyOf(t, ratelimit.PerHour(1), ratelimit.PerHour(1).Named("new").Shadowed()), ratelimit.Config{})
	if r, err := beside.AllowN(t.Context(), "k", -1); len(ratelimit.Faults(err)) != 1 || r.Allowed || r.Shadow() {
		t.Errorf("one limit is enforced: %+v, %v", r, err)
	}
}

// TestShadowWaitNeverWaits: Wait, too, sees nothing of limits that are watched.
func TestShadowWaitNeverWaits(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for name, p := range map[string]*ratelimit.Policy{
		"all":    policyOf(t, ratelimit.PerDay(1).Shadowed(), ratelimit.PerDay(2).Named("b").Shadowed()),
		"beside": policyOf(t, ratelimit.PerSecond(1_000_000), ratelimit.PerDay(1).Named("b").Shadowed()),
	} {
		l := newLimiter(t, p, ratelimit.Config{})
		for range 20 {
			if err := l.Wait(ctx, "k"); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if report := l.ShadowReport(); report.Decisions != 20 || report.WouldDeny != 19 {
			t.Errorf("%s: %+v", name, report)
		}
	}
}
