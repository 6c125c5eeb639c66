package ratelimit_test

import (
	"context"
	"runtime"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

// TestCheckWarnsOfLimitsThatClash: one name with two meanings on one store.
func TestCheckWarnsOfLimitsThatClash(t *testing.T) {
	table := func(t *testing.T, p *ratelimit.Policy) *plans.Table {
		t.Helper()
		table, err := plans.NewTable(plans.TableConfig{Default: p, Plans: map[string]*ratelimit.Policy{"gold": policyOf(t, ratelimit.PerSecond(50))}})
		if err != nil {
			t.Fatal(err)
		}
		return table
	}
	with := func(t *testing.T, l *ratelimit.Limiter, limit ratelimit.Limit) *ratelimit.Limiter {
		t.Helper()
		made, err := l.With(limit)
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	for _, test := range []struct {
		name string
		make func(on func(ratelimit.Limits) *ratelimit.Limiter) (a, b *ratelimit.Limiter)
		want []string // in the warning of a; none: there is no warning
	}{
		{"two unnamed", func(on func(ratelimit.Limits) *ratelimit.Limiter) (a, b *ratelimit.Limiter) {
			return on(ratelimit.PerMinute(100)), on(ratelimit.PerMinute(2))
		}, []string{`"default" is 100/m here and 2/m in another limiter`, "Named"}},
		{"a day and a second", func(on func(ratelimit.Limits) *ratelimit.Limiter) (a, b *ratelimit.Limiter) {
			return on(ratelimit.PerDay(100)), on(ratelimit.PerSecond(50))
		}, []string{`"default" is 100/d here and 50/s in another limiter`}},
		{"the burst alone", func(on func(ratelimit.Limits) *ratelimit.Limiter) (a, b *ratelimit.Limiter) {
			return on(ratelimit.PerSecond(5)), on(ratelimit.PerSecond(5).WithBurst(10))
		}, []string{`"default" is 5/s here`}},
		{"one of several", func(on func(ratelimit.Limits) *ratelimit.Limiter) (a, b *ratelimit.Limiter) {
			return on(policyOf(t, ratelimit.PerSecond(5), ratelimit.PerDay(9).Named("daily"))), on(policyOf(t, ratelimit.PerDay(8).Named("daily")))
		}, []string{`"daily" is 9/d here and 8/d in`}},
		{"a table's default", func(on func(ratelimit.Limits) *ratelimit.Limiter) (a, b *ratelimit.Limiter) {
			return on(table(t, policyOf(t, ratelimit.PerSecond(5)))), on(ratelimit.PerSecond(6))
		}, []string{`"default" is 5/s here and 6/s in`}},
		{"parts of one limiter", func(on func(ratelimit.Limits) *ratelimit.Limiter) (a, b *ratelimit.Limiter) {
			l := on(ratelimit.PerSecond(5))
			return with(t, l, ratelimit.PerDay(2).Named("export")), with(t, l, ratelimit.PerDay(3).Named("export"))
		}, []string{`"export" is 2/d here and 3/d in`}},
		{"parts of a table", func(on func(ratelimit.Limits) *ratelimit.Limiter) (a, b *ratelimit.Limiter) {
			l := on(table(t, policyOf(t, ratelimit.PerSecond(5))))
			return with(t, l, ratelimit.PerDay(2).Named("export")), with(t, l, ratelimit.PerDay(3).Named("export"))
		}, []string{`"export" is 2/d here and 3/d in`}},
		{"names of their own", func(on func(ratelimit.Limits) *ratelimit.Limiter) (a, b *ratelimit.Limiter) {
			return on(ratelimit.PerMinute(100)), on(ratelimit.PerMinute(2).Named("export"))
		}, nil},
		{"the same limit", func(on func(ratelimit.Limits) *ratelimit.Limiter) (a, b *ratelimit.Limiter) {
			return on(ratelimit.PerMinute(60)), on(ratelimit.Limit{Rate: 60, Period: ratelimit.PerMinute(1).Period, Burst: 60})
		}, nil},
		{"the same limit in shadow", func(on func(ratelimit.Limits) *ratelimit.Limiter) (a, b *ratelimit.Limiter) {
			return on(ratelimit.PerMinute(60)), on(ratelimit.PerMinute(60).Shadowed())
		}, nil},
		{"plans of one table", func(on func(ratelimit.Limits) *ratelimit.Limiter) (a, b *ratelimit.Limiter) {
			l := on(table(t, policyOf(t, ratelimit.PerSecond(5))))
			return l, with(t, l, ratelimit.PerDay(3).Named("export"))
		}, nil},
		{"an exempt one", func(on func(ratelimit.Limits) *ratelimit.Limiter) (a, b *ratelimit.Limiter) {
			return on(ratelimit.PerMinute(60)), on(ratelimit.Unlimited)
		}, nil},
		{"a function", func(on func(ratelimit.Limits) *ratelimit.Limiter) (a, b *ratelimit.Limiter) {
			return on(ratelimit.PerMinute(60)), on(ratelimit.LimitsFunc(ratelimit.PerSecond(1).PolicyFor))
		}, nil},
	} {
		for kind, backend := range map[string]store.Store{
			"memory":       memstore.New(memstore.Config{}),
			"another's":    newFaultyStore(),
			"a plain type": plainStore{memstore.New(memstore.Config{})},
		} {
			t.Run(test.name+"/"+kind, func(t *testing.T) {
				a, b := test.make(func(limits ratelimit.Limits) *ratelimit.Limiter {
					return newLimiterOn(t, backend, limits, ratelimit.Config{})
				})
				for _, l := range []*ratelimit.Limiter{a, b} {
					h := l.Check(t.Context())
					if h.Status != store.StatusOK || (len(h.Warnings) == 1) != (test.want != nil) {
						t.Errorf("%+v", h)
					}
				}
				for _, want := range test.want {
					if text := strings.Join(a.Check(t.Context()).Warnings, "\n"); !strings.Contains(text, want) {
						t.Errorf("%s; want %s", text, want)
					}
				}
				runtime.KeepAlive(b)
			})
		}
	}
}

// plainStore is a store that is no pointer.
type plainStore struct{ *memstore.Store }

// TestNoClashOfOtherStores, nor with a limiter that is gone; and however many there are,
// there are four warnings at most.
func TestNoClashOfOtherStores(t *testing.T) {
	backend := memstore.New(memstore.Config{})
	l := newLimiterOn(t, backend, ratelimit.PerMinute(100), ratelimit.Config{})
	other := newLimiter(t, ratelimit.PerMinute(2), ratelimit.Config{})
	uncomparable := newLimiterOn(t, sliceStore{newFaultyStore(), nil}, ratelimit.PerMinute(3), ratelimit.Config{})
	for _, l := range []*ratelimit.Limiter{l, other, uncomparable} {
		if h := l.Check(t.Context()); len(h.Warnings) > 0 {
			t.Errorf("%v", h.Warnings)
		}
	}
	for i := range 1000 {
		gone := newLimiterOn(t, backend, ratelimit.PerMinute(200+i), ratelimit.Config{})
		if i == 999 {
			if h := gone.Check(t.Context()); len(h.Warnings) == 0 || len(h.Warnings) > 4 {
				t.Errorf("%d warnings", len(h.Warnings))
			}
		}
	}
	for range 100 { // a limiter that is gone may take more than one collection
		runtime.GC()
		if h := l.Check(t.Context()); len(h.Warnings) == 0 {
			return
		}
	}
	t.Errorf("limiters that are gone clash: %v", l.Check(t.Context()).Warnings)
}

// sliceStore is a store that cannot be compared.
type sliceStore struct {
	store.Store
	_ []int
}

// TestCheckLeavesTheStoresWarningsAlone, which a store may keep.
func TestCheckLeavesTheStoresWarningsAlone(t *testing.T) {
	s := &warningStore{Store: memstore.New(memstore.Config{}), warnings: append(make([]string, 0, 10), "its own")}
	a := newLimiterOn(t, s, ratelimit.PerMinute(100), ratelimit.Config{})
	b := newLimiterOn(t, s, ratelimit.PerMinute(2), ratelimit.Config{})
	for range 3 {
		if h := a.Check(t.Context()); len(h.Warnings) != 2 || s.warnings[:2][1] != "" {
			t.Errorf("%q", h.Warnings)
		}
	}
	runtime.KeepAlive(b)
}

type warningStore struct {
	store.Store
	warnings []string
}

func (s *warningStore) Check(context.Context) store.Health {
	return store.Health{Status: store.StatusOK, Warnings: s.warnings}
}
