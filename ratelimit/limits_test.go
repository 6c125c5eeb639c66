package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

func TestLimitsFuncFaults(t *testing.T) {
	panics := func(v any) ratelimit.LimitsFunc {
		return func(context.Context, string) (*ratelimit.Policy, error) { panic(v) }
	}
	returns := func(p *ratelimit.Policy, err error) ratelimit.LimitsFunc {
		return func(context.Context, string) (*ratelimit.Policy, error) { return p, err }
	}
	p := policyOf(t, ratelimit.PerSecond(5))
	for _, test := range []struct {
		name   string
		limits ratelimit.Limits
		want   string
		is     error
	}{
		{"nil", returns(nil, nil), `ratelimit: Policy "nil" must be made with ratelimit.NewPolicy; to exempt a key, use ratelimit.Unlimited`, nil},
		{"the zero Policy", returns(&ratelimit.Policy{}, nil), `ratelimit: Policy "zero value" must be made with ratelimit.NewPolicy; to exempt a key, use ratelimit.Unlimited`, nil},
		{"a copy of Unlimited", returns(func() *ratelimit.Policy { p := *ratelimit.Unlimited; return &p }(), nil), `ratelimit: Policy "zero value" must be made with ratelimit.NewPolicy; to exempt a key, use ratelimit.Unlimited`, nil},
		{"an error", returns(nil, errDown), `ratelimit: PolicyFor failed: the backend is down`, errDown},
		{"an error and a policy", returns(p, errDown), `ratelimit: PolicyFor failed: the backend is down`, errDown},
		{"an error that holds the key", returns(nil, fmt.Errorf("no canary: %w", errDown)), `ratelimit: PolicyFor failed: the text of the error holds the key and is withheld`, errDown},
		{"a typed nil error", returns(nil, (*keyError)(nil)), `ratelimit: PolicyFor must return a policy or an error: it panicked`, nil},
		{"a panic", panics("canary"), `ratelimit: PolicyFor must return a policy or an error: it panicked`, nil},
		{"a panic with an error", panics(errors.New("canary")), `ratelimit: PolicyFor must return a policy or an error: it panicked`, nil},
		{"the zero Table", ratelimit.LimitsFunc(new(plans.Table).PolicyFor), `ratelimit: PolicyFor failed: ratelimit: Table "zero value" must be made with plans.NewTable`, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newFaultyStore()
			l := newLimiterOn(t, s, test.limits, ratelimit.Config{})
			r, allowErr := l.Allow(t.Context(), "canary")
			_, peekErr := l.Peek(t.Context(), "canary")
			for _, err := range []error{allowErr, peekErr, l.Reset(t.Context(), "canary"), l.Wait(t.Context(), "canary")} {
				if err == nil || err.Error() != test.want || store.ErrorClass(err) != store.ClassLimits || r.Allowed {
					t.Errorf("%+v, %v; want %s", r, err, test.want)
				}
				if test.is != nil && !errors.Is(err, test.is) {
					t.Errorf("errors.Is does not find %v in %v", test.is, err)
				}
				if holds(renderings(t, err), "canary") {
					t.Error("the key can be read")
				}
			}
			if s.takes != 0 {
				t.Errorf("the store was asked %d times", s.takes)
			}
		})
	}
}

// TestNewLooksAtPointers: what New can see to be of no use, it rejects, rather than
// letting every call be a fault.
func TestNewLooksAtPointers(t *testing.T) {
	s := memstore.New(memstore.Config{})
	bad, good := ratelimit.PerSecond(-5), ratelimit.PerSecond(2)
	for _, test := range []struct {
		limits ratelimit.Limits
		want   string
	}{
		{&bad, "Rate -5"},
		{(*ratelimit.Limit)(nil), "limits"},
		{new(plans.Table), "plans.NewTable"},
		{(*plans.Table)(nil), "limits"},
	} {
		if _, err := ratelimit.New(s, test.limits, ratelimit.Config{}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("New(%T) gave %v; want an error with %q", test.limits, err, test.want)
		}
	}
	l, err := ratelimit.New(s, &good, ratelimit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	good.Rate = -1 // compiled by now
	if got := admitted(t, l, "k", 3); got != 2 {
		t.Errorf("%d calls were admitted, want 2", got)
	}
}

// TestCheckSeesTheLookUp: while the limits of keys cannot be looked up nothing is
// decided, however well the store is.
func TestCheckSeesTheLookUp(t *testing.T) {
	p := policyOf(t, ratelimit.PerSecond(5))
	var failing atomic.Bool
	l := newLimiter(t, ratelimit.LimitsFunc(func(context.Context, string) (*ratelimit.Policy, error) {
		if failing.Load() {
			panic("canary")
		}
		return p, nil
	}), ratelimit.Config{})
	call := func() { _, _ = l.Allow(t.Context(), "k") }
	call()
	if h := l.Check(t.Context()); h.Status != store.StatusOK || len(h.Warnings) != 0 {
		t.Errorf("at first: %+v", h)
	}
	failing.Store(true)
	call()
	call()
	if h := l.Check(t.Context()); h.Status != store.StatusDegraded || len(h.Warnings) != 1 || h.Warnings[0] != "the look-up of limits failed 2 times in a row" {
		t.Errorf("while it fails: %+v", h)
	}
	failing.Store(false)
	call()
	if h := l.Check(t.Context()); h.Status != store.StatusOK || len(h.Warnings) != 0 {
		t.Errorf("afterwards: %+v", h)
	}
}

// TestPanicErrorKeepsWhatItHides: an operator can find the cause, a log line cannot
// show it.
func TestPanicErrorKeepsWhatItHides(t *testing.T) {
	l := newLimiter(t, ratelimit.LimitsFunc(func(context.Context, string) (*ratelimit.Policy, error) { panic("canary") }), ratelimit.Config{})
	_, err := l.Allow(t.Context(), "k")
	found, ok := errors.AsType[*store.PanicError](err)
	if !ok || found.Value != "canary" || !strings.Contains(string(found.Stack), "TestPanicErrorKeepsWhatItHides") {
		t.Errorf("in %v there is %+v", err, found)
	}
	if holds(renderings(t, err), "canary") || holds(renderings(t, found), "canary") {
		t.Error("the value can be read")
	}
}

func TestLimitsFuncGetsContextAndKey(t *testing.T) {
	type contextKey struct{}
	gold := policyOf(t, ratelimit.PerDay(3))
	l := newLimiter(t, ratelimit.LimitsFunc(func(ctx context.Context, key string) (*ratelimit.Policy, error) {
		if ctx.Value(contextKey{}) != "plan" || key != "k" {
			return nil, errDown
		}
		return gold, nil
	}), ratelimit.Config{})
	ctx := context.WithValue(t.Context(), contextKey{}, "plan")
	if r, err := l.Allow(ctx, "k"); err != nil || r.Policy() != gold || r.Remaining() != 2 {
		t.Errorf("Allow: %+v, %v", r, err)
	}
	if r, err := l.Peek(ctx, "k"); err != nil || r.Policy() != gold || r.Remaining() != 2 {
		t.Errorf("Peek: %+v, %v", r, err)
	}
	if err := l.Reset(ctx, "k"); err != nil {
		t.Errorf("Reset: %v", err)
	}
}
