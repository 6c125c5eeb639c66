package ratelimit_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

// TestZeroLimiter answers everything with one error, and panics at nothing.
func TestZeroLimiter(t *testing.T) {
	l := new(ratelimit.Limiter)
	_, allow := l.Allow(t.Context(), "key")
	_, allowN := l.AllowN(t.Context(), "key", 3)
	_, peek := l.Peek(t.Context(), "key")
	_, with := l.With(ratelimit.PerSecond(1))
	_, instead := l.Instead(ratelimit.PerSecond(1))
	for name, err := range map[string]error{
		"Allow": allow, "AllowN": allowN, "Peek": peek, "With": with, "Instead": instead,
		"Wait": l.Wait(t.Context(), "key"), "Reset": l.Reset(t.Context(), "key"),
	} {
		if fault, ok := errors.AsType[*ratelimit.LimitError](err); !ok || fault.Field != "Limiter" || !strings.Contains(err.Error(), "ratelimit.New") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if h := l.Check(t.Context()); h.Status != store.StatusFailed || len(h.Warnings) != 1 {
		t.Errorf("Check: %+v", h)
	}
	if r := l.ShadowReport(); !r.Since.IsZero() || r.Decisions != 0 || r.Keys != nil || l.Shadow() {
		t.Errorf("ShadowReport: %+v", r)
	}
}

// TestZeroStores answer with an error, be it through a limiter or not.
func TestZeroStores(t *testing.T) {
	five := policyOf(t, ratelimit.PerSecond(5))
	for name, backend := range map[string]store.Store{"memstore": new(memstore.Store)} {
		if d, err := backend.Take(t.Context(), store.Request{Key: "key", Limits: five.Compiled(), Cost: 1}); err == nil || d.Allowed {
			t.Errorf("%s: Take: %+v, %v", name, d, err)
		}
		if err := backend.Reset(t.Context(), "key", five.Compiled()); err == nil {
			t.Errorf("%s: Reset returns no error", name)
		}
		l := newLimiterOn(t, backend, ratelimit.PerSecond(5), ratelimit.Config{})
		if r, err := l.Allow(t.Context(), "key"); err == nil || r.Allowed || !strings.Contains(err.Error(), "zero Store") {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

// TestZeroLimits are rejected by New, and wherever else they come from.
func TestZeroLimits(t *testing.T) {
	for name, limits := range map[string]ratelimit.Limits{
		"a Limit": ratelimit.Limit{}, "a Policy": &ratelimit.Policy{}, "a Table": &plans.Table{}, "a Cache": &plans.Cache{},
	} {
		if l, err := ratelimit.New(memstore.New(memstore.Config{}), limits, ratelimit.Config{}); l != nil || err == nil {
			t.Errorf("New takes %s that is zero", name)
		}
	}
	for name, limits := range map[string]ratelimit.Limits{"a Cache": new(plans.Cache), "a Table": new(plans.Table)} {
		if p, err := limits.PolicyFor(t.Context(), "key"); p != nil || err == nil {
			t.Errorf("%s that is zero answers %v, %v", name, p, err)
		}
	}
}
