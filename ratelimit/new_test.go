package ratelimit_test

import (
	"errors"
	"strings"
	"testing"
	"time"

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
	if r := l.DenialReport(); !r.Since.IsZero() || r.Denied != 0 || r.Keys != nil {
		t.Errorf("DenialReport: %+v", r)
	}
}

// TestZeroStores answer with an error, and New rejects them.
func TestZeroStores(t *testing.T) {
	five := policyOf(t, ratelimit.PerSecond(5))
	for name, backend := range map[string]store.Store{"memstore": new(memstore.Store)} {
		if d, err := backend.Take(t.Context(), store.Request{Key: "key", Limits: five.Compiled(), Cost: 1}); err == nil || d.Allowed {
			t.Errorf("%s: Take: %+v, %v", name, d, err)
		}
		if err := backend.Reset(t.Context(), store.Request{Key: "key", Limits: five.Compiled()}); err == nil {
			t.Errorf("%s: Reset returns no error", name)
		}
		if l, err := ratelimit.New(backend, ratelimit.PerSecond(5), ratelimit.Config{}); l != nil || err == nil || !strings.Contains(err.Error(), "zero Store") {
			t.Errorf("%s: New: %v", name, err)
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

func TestNewRejects(t *testing.T) {
	backend, limit := memstore.New(memstore.Config{}), ratelimit.PerSecond(5)
	for _, test := range []struct {
		name    string
		backend store.Store
		limits  ratelimit.Limits
		config  ratelimit.Config
		want    []string
	}{
		{"no store", nil, limit, ratelimit.Config{}, []string{"store is nil; pass one, such as memstore.New(memstore.Config{})"}},
		{"a store that is a nil pointer", (*memstore.Store)(nil), limit, ratelimit.Config{}, []string{"store is nil"}},
		{"no limits", backend, nil, ratelimit.Config{}, []string{`limits "nil" must be given, such as ratelimit.PerSecond(5)`}},
		{"the zero Limit", backend, ratelimit.Limit{}, ratelimit.Config{}, []string{"Rate 0 must be", "Period 0s must be"}},
		{"a nil Policy", backend, (*ratelimit.Policy)(nil), ratelimit.Config{}, []string{`Policy "nil" must be made with ratelimit.NewPolicy; to exempt a key, use ratelimit.Unlimited`}},
		{"the zero Policy", backend, &ratelimit.Policy{}, ratelimit.Config{}, []string{`Policy "zero value" must be made with ratelimit.NewPolicy`}},
		{"a nil Table", backend, (*plans.Table)(nil), ratelimit.Config{}, []string{`limits "nil"`}},
		{"a nil LimitsFunc", backend, ratelimit.LimitsFunc(nil), ratelimit.Config{}, []string{`limits "nil"`}},
		{"a negative timeout", backend, limit, ratelimit.Config{Timeout: -time.Second}, []string{"Config.Timeout -1s must not be negative; 0 means 50ms"}},
		{"all at once", nil, ratelimit.Limit{}, ratelimit.Config{Timeout: -1}, []string{"store is nil", "Rate 0", "Period 0s", "Config.Timeout -1ns"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			l, err := ratelimit.New(test.backend, test.limits, test.config)
			if l != nil || err == nil {
				t.Fatalf("New: %v, %v", l, err)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not hold %q: %v", want, err)
				}
			}
			if lines := strings.Count(err.Error(), "ratelimit: "); lines != len(test.want) {
				t.Errorf("%d faults are named, want %d: %v", lines, len(test.want), err)
			}
		})
	}
}

func TestNewTakesAnyLimits(t *testing.T) {
	p := policyOf(t, ratelimit.PerDay(5))
	table, err := plans.NewTable(plans.TableConfig{Default: p})
	if err != nil {
		t.Fatal(err)
	}
	limit := ratelimit.PerDay(5)
	for _, limits := range []ratelimit.Limits{limit, &limit, p, table, valueLimits{p}, ratelimit.LimitsFunc(table.PolicyFor)} {
		if got := admitted(t, newLimiter(t, limits, ratelimit.Config{}), "k", 6); got != 5 {
			t.Errorf("%T: %d of 6 calls were admitted, want 5", limits, got)
		}
	}
}
