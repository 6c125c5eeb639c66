package ratelimit_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

func TestAtOnceText(t *testing.T) {
	for text, want := range map[string]ratelimit.Limit{
		"10 at a time":                         ratelimit.AtOnce(10),
		"1 at a time;name=calls":               ratelimit.AtOnce(1).Named("calls"),
		"10 at a time;name=default":            ratelimit.AtOnce(10).Named("default"),
		"10 at a time;shadow":                  ratelimit.AtOnce(10).Shadowed(),
		"10 at a time;enforce-from=2027-01-31": ratelimit.AtOnce(10).EnforcedFrom(time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)),
		"2147483647 at a time":                 ratelimit.AtOnce(1<<31 - 1),
		"5/s;name=concurrent":                  ratelimit.PerSecond(5).Named("concurrent"),
	} {
		got, err := ratelimit.ParseLimit(text)
		if err != nil || got != want || want.String() != text {
			t.Errorf("%q is read as %#v, %v, and %#v is written as %q", text, got, err, want, want.String())
		}
		if written := policyOf(t, want).Limits()[0]; written.String() != text || written.Burst != want.Rate {
			t.Errorf("%q: with its defaults it is %#v", text, written)
		}
	}
	for text, want := range map[string]string{
		"10 at a time;burst=x":    "must have no burst",
		"0 at a time":             "such as 10 at a time",
		"x at a time":             `such as "10 at a time"`,
		" at a time":              "must begin with a whole number",
		"2147483649 at a time":    "from 1 to 2147483648", // as too large, or, for an int of 32 bits, as no number
		"10 at a time;name=a;x=1": "its part 3 is none of them",
	} {
		if _, err := ratelimit.ParseLimit(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: the error is %v, not %q", text, err, want)
		}
	}
}

// TestAtOnceBesideARate needs no name, and its own name differs from that of rates.
func TestAtOnceBesideARate(t *testing.T) {
	p, err := ratelimit.ParsePolicy("5/s, 10 at a time")
	if err != nil {
		t.Fatal(err)
	}
	limits := p.Limits()
	if p.String() != "5/s, 10 at a time" || limits[0].Name != "default" || limits[1].Name != "concurrent" {
		t.Errorf("%v: %#v", p, limits)
	}
	if !p.Compiled()[1].Loan() || p.Compiled()[1].Burst() != 10 || p.Compiled()[0].Loan() {
		t.Errorf("compiled as %v", p.Compiled())
	}
}

func TestAtOnceHasNeitherPeriodNorBurst(t *testing.T) {
	for _, test := range []struct {
		limit ratelimit.Limit
		field string
	}{
		{ratelimit.Limit{Rate: 10, Concurrent: true, Period: time.Second}, "Period"},
		{ratelimit.AtOnce(10).WithBurst(11), "Burst"},
		{ratelimit.AtOnce(0), "Rate"},
		{ratelimit.AtOnce(-1), "Rate"},
	} {
		_, err := ratelimit.NewPolicy(test.limit)
		faults := ratelimit.Faults(err)
		if len(faults) != 1 || faults[0].Field != test.field || faults[0].Limit != "concurrent" {
			t.Errorf("%#v: the error is %v, and should name %s", test.limit, err, test.field)
		}
	}
}

// TestAllowIsNotForCallsAtATime: it would never give a place back.
func TestAllowIsNotForCallsAtATime(t *testing.T) {
	for _, policy := range []string{"10 at a time", "5/s, 10 at a time;name=calls"} {
		p, err := ratelimit.ParsePolicy(policy)
		if err != nil {
			t.Fatal(err)
		}
		l := newLimiter(t, p, ratelimit.Config{})
		_, err = l.Allow(t.Context(), "k")
		fault, ok := errors.AsType[*ratelimit.LimitError](err)
		if !ok || fault.Field != "Concurrent" || !strings.Contains(err.Error(), "Limiter.Hold") {
			t.Errorf("%s: Allow returns %v", policy, err)
		}
		if err := l.Wait(t.Context(), "k"); !errors.As(err, new(*ratelimit.LimitError)) {
			t.Errorf("%s: Wait returns %v", policy, err)
		}
		if r, err := l.AllowN(t.Context(), "k", 0); err != nil || !r.Allowed {
			t.Errorf("%s: AllowN of nothing returns %v, %v", policy, r, err)
		}
	}
}

func TestPeekCountsFreePlaces(t *testing.T) {
	l := newLimiter(t, ratelimit.AtOnce(3), ratelimit.Config{})
	r := peek(t, l, "k")
	s := r.State(0)
	if !r.Allowed || r.Remaining() != 3 || r.ResetAfter() != 0 || s.NextAfter != 0 || s.Violated {
		t.Errorf("Peek returns %+v", s)
	}
	text, err := json.Marshal(r)
	if want := `"limits":[{"name":"concurrent","limit":"3 at a time","remaining":3,"violated":false,"reset_after_ms":0}]`; err != nil || !strings.Contains(string(text), want) {
		t.Errorf("it is written as %s, %v", text, err)
	}
}

// TestCallsAtATimeNeedAHolder: a store that cannot count them is rejected where the policy is
// known, and otherwise each decision fails.
func TestCallsAtATimeNeedAHolder(t *testing.T) {
	isFault := func(err error) bool {
		faults := ratelimit.Faults(err)
		return len(faults) == 1 && strings.Contains(err.Error(), "store must be a store.Holder")
	}
	plain := newFaultyStore()
	for _, limits := range []ratelimit.Limits{ratelimit.AtOnce(3), policyOf(t, ratelimit.PerSecond(1), ratelimit.AtOnce(3).Shadowed())} {
		if _, err := ratelimit.New(plain, limits, ratelimit.Config{}); !isFault(err) {
			t.Errorf("%v: New returns %v", limits, err)
		}
		if _, err := ratelimit.New(memstore.New(memstore.Config{}), limits, ratelimit.Config{}); err != nil {
			t.Error(err)
		}
	}
	l := newLimiterOn(t, plain, ratelimit.PerSecond(5), ratelimit.Config{})
	if _, err := l.With(ratelimit.AtOnce(3)); !isFault(err) {
		t.Errorf("With returns %v", err)
	}
	p := policyOf(t, ratelimit.AtOnce(3))
	l = newLimiterOn(t, plain, ratelimit.LimitsFunc(func(_ context.Context, _ string) (*ratelimit.Policy, error) { return p, nil }), ratelimit.Config{})
	if _, err := l.Peek(t.Context(), "k"); !isFault(err) {
		t.Errorf("Peek returns %v", err)
	}
	if h := l.Check(t.Context()); h.Status != store.StatusDegraded || !slices.Contains(h.Warnings, "the look-up of limits failed 1 times in a row") {
		t.Errorf("Check returns %+v", h)
	}
	plain.takes = 0
	if _, err := l.Peek(t.Context(), "k"); !isFault(err) {
		t.Errorf("Peek returns %v", err)
	}
	if plain.takes != 0 {
		t.Error("the store was asked")
	}
}

// TestTablesRejectCallsAtATime on a store that cannot count them.
func TestTablesRejectCallsAtATime(t *testing.T) {
	c := plans.TableConfig{Default: policyOf(t, ratelimit.PerSecond(5)), Plans: map[string]*ratelimit.Policy{"gold": policyOf(t, ratelimit.AtOnce(3))}}
	table, err := plans.NewTable(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ratelimit.New(newFaultyStore(), table, ratelimit.Config{}); err == nil || !strings.Contains(err.Error(), `TableConfig.Plans["gold"] "3 at a time" must need no more than the limiter's store can do: ratelimit: limit "concurrent": store must be a store.Holder`) {
		t.Errorf("New returns %v", err)
	}
	table, err = plans.NewTable(plans.TableConfig{Default: c.Default})
	if err != nil {
		t.Fatal(err)
	}
	newLimiterOn(t, newFaultyStore(), table, ratelimit.Config{})
	if err := table.Replace(c); err == nil || !strings.Contains(err.Error(), "must be a store.Holder") {
		t.Errorf("Replace returns %v", err)
	}
}

func TestRetryHintIsNotNegative(t *testing.T) {
	if _, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.AtOnce(1), ratelimit.Config{RetryHint: -1}); err == nil || !strings.Contains(err.Error(), "Config.RetryHint") {
		t.Errorf("New returns %v", err)
	}
}
