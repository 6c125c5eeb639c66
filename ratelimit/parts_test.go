package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

// partNames returns the names of the limits of PeekParts, with what is left, in order.
func partNames(t *testing.T, l *ratelimit.Limiter, key string) string {
	t.Helper()
	results, err := l.PeekParts(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range results {
		for i := range r.Len() {
			names = append(names, fmt.Sprintf("%s=%d", r.State(i).Limit.Name, r.State(i).Remaining))
		}
	}
	return strings.Join(names, " ")
}

// TestPartsAreKnown: PeekParts lists the limits of parts, Reset fills them all, and
// ResetLimit one.
func TestPartsAreKnown(t *testing.T) {
	gold := policyOf(t, ratelimit.PerDay(100))
	table, err := plans.NewTable(plans.TableConfig{Default: policyOf(t, ratelimit.PerDay(10)), Plans: map[string]*ratelimit.Policy{"gold": gold},
		Members: map[string]string{"k": "gold"}, Keys: map[string]*ratelimit.Policy{"staff": ratelimit.Unlimited}})
	if err != nil {
		t.Fatal(err)
	}
	for name, limits := range map[string]ratelimit.Limits{
		"a limit": ratelimit.PerDay(100), "a policy": gold, "a table": table,
		"a function": ratelimit.LimitsFunc(func(context.Context, string) (*ratelimit.Policy, error) { return gold, nil }),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLimiterOn(t, memstore.New(memstore.Config{}), limits, ratelimit.Config{})
				export := part(t, l.With, ratelimit.PerDay(2).Named("export"), ratelimit.PerHour(1).Named("export hourly").Shadowed())
				status := part(t, l.Instead, ratelimit.PerDay(5).Named("status"))
				nested := part(t, export.With, ratelimit.PerDay(3).Named("nested"))
				for _, l := range []*ratelimit.Limiter{export, export, status, nested} {
					if r, err := l.Allow(t.Context(), "k"); err != nil {
						t.Fatalf("%+v, %v", r, err)
					}
				}
				if r, _ := l.Peek(t.Context(), "k"); r.Remaining() != 98 || r.Len() != 1 {
					t.Errorf("%d are left of the key's own limits, want 98 (%d limits)", r.Remaining(), r.Len())
				}
				if r, _ := nested.Allow(t.Context(), "k"); r.Allowed {
					t.Error("the control is admitted")
				}
				if got := partNames(t, l, "k"); got != "export=0 nested=3 status=4" {
					t.Errorf("parts %s", got)
				}
				if got := partNames(t, export, "k"); got != "nested=3" {
					t.Errorf("parts of a part: %s", got)
				}
				if found, err := l.ResetLimit(t.Context(), "k", "export"); !found || err != nil {
					t.Fatal(found, err)
				}
				if got := partNames(t, l, "k"); got != "export=2 nested=3 status=4" {
					t.Errorf("after a reset of one: %s", got)
				}
				if r, err := export.Allow(t.Context(), "k"); err != nil || !r.Allowed {
					t.Errorf("after the reset of its limit: %+v, %v", r, err)
				}
				for _, unknown := range []string{"", "exports", "Export"} {
					if found, err := l.ResetLimit(t.Context(), "k", unknown); found || err != nil {
						t.Errorf("ResetLimit of %q: %v, %v", unknown, found, err)
					}
				}
				if found, err := l.ResetLimit(t.Context(), "k", "default"); !found || err != nil {
					t.Error(found, err)
				}
				if r, _ := l.Peek(t.Context(), "k"); r.Remaining() != 100 {
					t.Errorf("%d are left of the key's own limits after its reset", r.Remaining())
				}
				_, _ = nested.Allow(t.Context(), "k")
				if err := l.Reset(t.Context(), "k"); err != nil {
					t.Fatal(err)
				}
				if got := partNames(t, l, "k"); got != "export=2 nested=3 status=5" {
					t.Errorf("after a reset of all: %s", got)
				}
				runtime.KeepAlive([]*ratelimit.Limiter{export, status, nested})
			})
		})
	}
	// An exempt key has none.
	l := newLimiterOn(t, memstore.New(memstore.Config{}), table, ratelimit.Config{})
	export := part(t, l.With, ratelimit.PerDay(2).Named("export"))
	if got := partNames(t, l, "staff"); got != "" {
		t.Errorf("parts of an exempt key: %s", got)
	}
	found, err := l.ResetLimit(t.Context(), "staff", "none")
	if err := errors.Join(err, l.Reset(t.Context(), "staff")); !found || err != nil {
		t.Error(found, err)
	}
	runtime.KeepAlive(export)
}

func part(t *testing.T, with func(...ratelimit.Limit) (*ratelimit.Limiter, error), limits ...ratelimit.Limit) *ratelimit.Limiter {
	t.Helper()
	l, err := with(limits...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestPartsThatDoNotFit: a part that a key cannot have is none of its parts.
func TestPartsThatDoNotFit(t *testing.T) {
	p := policyOf(t, ratelimit.PerDay(10).Named("export"))
	l := newLimiterOn(t, memstore.New(memstore.Config{}), ratelimit.LimitsFunc(func(context.Context, string) (*ratelimit.Policy, error) { return p, nil }), ratelimit.Config{})
	export, other := part(t, l.With, ratelimit.PerDay(2).Named("export")), part(t, l.With, ratelimit.PerDay(3).Named("other"))
	if got := partNames(t, l, "k"); got != "other=3" {
		t.Errorf("parts %s", got)
	}
	if err := l.Reset(t.Context(), "k"); err != nil {
		t.Error(err)
	}
	runtime.KeepAlive([]*ratelimit.Limiter{export, other})
}

// TestPartsThatFail: the error of the store, or of the look-up, and no result.
func TestPartsThatFail(t *testing.T) {
	errLimits := errors.New("no database")
	for name, l := range map[string]*ratelimit.Limiter{
		"store":  newLimiterOn(t, failing{}, ratelimit.PerDay(10), ratelimit.Config{}),
		"limits": newLimiterOn(t, memstore.New(memstore.Config{}), ratelimit.LimitsFunc(func(context.Context, string) (*ratelimit.Policy, error) { return nil, errLimits }), ratelimit.Config{}),
	} {
		export := part(t, l.With, ratelimit.PerDay(2).Named("export"))
		if results, err := l.PeekParts(t.Context(), "k"); err == nil || results != nil {
			t.Errorf("%s: PeekParts: %v, %v", name, results, err)
		}
		_, err := l.ResetLimit(t.Context(), "k", "export")
		if err == nil || l.Reset(t.Context(), "k") == nil {
			t.Errorf("%s: a reset did not fail", name)
		}
		runtime.KeepAlive(export)
	}
}

type failing struct{}

func (failing) Take(context.Context, store.Request) (store.Decision, error) {
	return store.Decision{}, errors.New("down")
}
func (failing) Reset(context.Context, store.Request) error { return errors.New("down") }

// TestPartsThatAreThrownAway: a limiter that is made for each call leaves nothing behind.
func TestPartsThatAreThrownAway(t *testing.T) {
	l := newLimiterOn(t, memstore.New(memstore.Config{}), ratelimit.PerDay(10), ratelimit.Config{})
	kept := part(t, l.With, ratelimit.PerDay(2).Named("kept"))
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for i := range 20_000 {
		part(t, l.With, ratelimit.PerDay(2).Named("gone"))
		if i%2000 == 0 {
			runtime.GC()
		}
	}
	if got := partNames(t, l, "k"); !strings.HasPrefix(got, "kept=2") {
		t.Errorf("parts %.100s", got)
	}
	if after := heap(); after > before+1<<20 {
		t.Errorf("%d KiB are kept", (after-before)>>10)
	}
	if got := partNames(t, l, "k"); got != "kept=2" {
		t.Errorf("parts %.100s after they were dropped", got)
	}
	runtime.KeepAlive(kept)
}

// TestPartsAtDoor: a part is in use as long as what AtDoor has made of it is.
func TestPartsAtDoor(t *testing.T) {
	l := newLimiterOn(t, memstore.New(memstore.Config{}), ratelimit.PerDay(10), ratelimit.Config{})
	kept := part(t, l.With, ratelimit.PerDay(2).Named("kept")).AtDoor()
	runtime.GC()
	runtime.GC()
	if got := partNames(t, l, "k"); got != "kept=2" {
		t.Errorf("parts %q after a collection", got)
	}
	runtime.KeepAlive(kept)
}

func TestLimits(t *testing.T) {
	limit := ratelimit.PerDay(10)
	table, err := plans.NewTable(plans.TableConfig{Default: policyOf(t, limit)})
	if err != nil {
		t.Fatal(err)
	}
	for _, limits := range []ratelimit.Limits{limit, policyOf(t, limit), table} {
		l := newLimiterOn(t, memstore.New(memstore.Config{}), limits, ratelimit.Config{})
		export := part(t, l.With, limit.Named("export"))
		nested := part(t, export.Instead, limit.Named("nested"))
		if l.Limits() != limits || export.Limits() != limits || nested.Limits() != limits {
			t.Errorf("Limits returns %v, %v and %v, want %v", l.Limits(), export.Limits(), nested.Limits(), limits)
		}
	}
	if l := newLimiterOn(t, memstore.New(memstore.Config{}), &limit, ratelimit.Config{}); l.Limits() != ratelimit.Limits(limit) {
		t.Errorf("%v", l.Limits())
	}
}
