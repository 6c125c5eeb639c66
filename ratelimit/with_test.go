package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

func with(t testing.TB, l *ratelimit.Limiter, limits ...ratelimit.Limit) *ratelimit.Limiter {
	t.Helper()
	part, err := l.With(limits...)
	if err != nil {
		t.Fatal(err)
	}
	return part
}

func instead(t testing.TB, l *ratelimit.Limiter, limits ...ratelimit.Limit) *ratelimit.Limiter {
	t.Helper()
	part, err := l.Instead(limits...)
	if err != nil {
		t.Fatal(err)
	}
	return part
}

// sources are all kinds of limits, which hold every key but "staff" to five an
// hour.
func sources(t testing.TB) map[string]ratelimit.Limits {
	five := policyOf(t, ratelimit.PerHour(5))
	exempt := func(_ context.Context, key string) (*ratelimit.Policy, error) {
		if key == "staff" {
			return ratelimit.Unlimited, nil
		}
		return five, nil
	}
	table, err := plans.NewTable(plans.TableConfig{Default: five, Keys: map[string]*ratelimit.Policy{"staff": ratelimit.Unlimited}})
	if err != nil {
		t.Fatal(err)
	}
	cached, err := plans.NewCache(ratelimit.LimitsFunc(exempt), plans.CacheConfig{})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]ratelimit.Limits{
		"Limit": ratelimit.PerHour(5), "Policy": five, "Table": table, "LimitsFunc": ratelimit.LimitsFunc(exempt), "Cached": cached,
	}
}

// TestWithSharesTheKeysOwnBuckets: what the part admits counts against the key's own
// limits, and what it denies does not.
func TestWithSharesTheKeysOwnBuckets(t *testing.T) {
	for name, limits := range sources(t) {
		t.Run(name, func(t *testing.T) {
			l := newLimiter(t, limits, ratelimit.Config{})
			part := with(t, l, ratelimit.PerHour(2).Named("part"))
			if n := admitted(t, part, "a", 10); n != 2 {
				t.Errorf("the part admits %d calls, want 2", n)
			}
			r := allow(t, part, "a", 1)
			if r.Allowed || r.Limit().Name != "part" || !slices.Equal(names(&r), []string{"part", "default"}) {
				t.Errorf("denied: %+v, by %q", r, names(&r))
			}
			if n := admitted(t, l, "a", 10); n != 3 {
				t.Errorf("%d calls are left of the key's own 5, want 3: 2 were admitted by the part", n)
			}
			if n := admitted(t, part, "b", 1); n != 1 {
				t.Error("another key is denied")
			}
			allow(t, l, "c", 5)
			if r := allow(t, part, "c", 1); r.Allowed || r.Limit().Name != "default" {
				t.Errorf("a key that has used up its own limit: %+v", r)
			}
			if p := peek(t, part, "c"); p.State(1).Remaining != 2 {
				t.Errorf("what the key's own limit denied was charged to the part: %+v", p.State(1))
			}
		})
	}
}

func TestInsteadLeavesTheKeysOwnBuckets(t *testing.T) {
	for name, limits := range sources(t) {
		t.Run(name, func(t *testing.T) {
			l := newLimiter(t, limits, ratelimit.Config{})
			part := instead(t, l, ratelimit.PerHour(7).Named("part"))
			if n := admitted(t, part, "a", 10); n != 7 {
				t.Errorf("the part admits %d calls, want 7", n)
			}
			if n := admitted(t, l, "a", 10); n != 5 {
				t.Errorf("%d calls are left of the key's own 5", n)
			}
			if r := allow(t, part, "a", 1); r.Len() != 1 || r.Limit().Name != "part" {
				t.Errorf("decided by %q", names(&r))
			}
		})
	}
}

func TestWithLeavesExemptKeysExempt(t *testing.T) {
	all := sources(t)
	all["Policy"] = ratelimit.Unlimited
	delete(all, "Limit")
	for name, limits := range all {
		store := newFaultyStore()
		l := newLimiterOn(t, store, limits, ratelimit.Config{})
		for _, part := range []*ratelimit.Limiter{
			with(t, l, ratelimit.PerHour(1).Named("part")), instead(t, l, ratelimit.PerHour(1).Named("part")),
			with(t, instead(t, l, ratelimit.PerHour(1).Named("part")), ratelimit.PerHour(1).Named("deeper")),
		} {
			for range 3 {
				if r := allow(t, part, "staff", 1); !r.Allowed || r.Policy() != ratelimit.Unlimited {
					t.Errorf("%s: an exempt key: %+v", name, r)
				}
			}
		}
		if store.takes > 0 {
			t.Errorf("%s: the store was asked about an exempt key", name)
		}
	}
}

// TestWithRefusesAtOnce: what can be known before a key comes.
func TestWithRefusesAtOnce(t *testing.T) {
	table := func(byName map[string]*ratelimit.Policy, fallback ...ratelimit.Limit) *plans.Table {
		made, err := plans.NewTable(plans.TableConfig{Default: policyOf(t, fallback...), Plans: byName})
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	second, minute, hour, day := ratelimit.PerSecond(5), ratelimit.PerMinute(50).Named("m"), ratelimit.PerHour(500).Named("h"), ratelimit.PerDay(5000).Named("d")
	part := ratelimit.PerMinute(2).Named("part")
	full := policyOf(t, second, minute, hour, day)
	for _, c := range []struct {
		name    string
		limits  ratelimit.Limits
		add     []ratelimit.Limit
		with    []string // in the error of With; none: it is nil
		instead []string
	}{
		{"no limits", second, nil, []string{`limits "0 of them"`}, []string{`limits "0 of them"`}},
		{"faulty limits", second, []ratelimit.Limit{{}, part.WithBurst(-1)}, []string{"Rate 0", "Period 0s", "Burst -1"}, []string{"Rate 0", "Period 0s", "Burst -1"}},
		{"a name twice", second, []ratelimit.Limit{part, part}, []string{`Name "part" must differ`}, []string{`Name "part" must differ`}},
		{"the name of the only limit", second, []ratelimit.Limit{ratelimit.PerMinute(2)}, []string{`keys under 5/s: `, `Name "default" must differ`}, []string{`keys under 5/s: `, `Name "default" must differ from the key's own limits`}},
		{"a name of the policy", policyOf(t, second, hour), []ratelimit.Limit{part, hour}, []string{`Name "h" must differ`}, []string{`Name "h" must differ`}},
		{"too many for the policy", full, []ratelimit.Limit{part}, []string{`limits "5 of them" must be 1 to 4`, `5/s, 50/m;name=m, 500/h;name=h, 5000/d;name=d`}, nil},
		{"too many for a plan, a name of another", table(map[string]*ratelimit.Policy{"gold": full, "same": full, "silver": policyOf(t, part)}, second),
			[]ratelimit.Limit{part}, []string{`Plans["gold"] "5/s, 50/m;name=m, 500/h;name=h, 5000/d;name=d" must go together`, `Plans["same"]`, `Plans["silver"]`, `Name "part" must differ`}, []string{`Plans["silver"]`, `Name "part" must differ`}},
		{"too many for a key of its own", ownLimits(t, full), []ratelimit.Limit{part}, []string{`TableConfig.Keys[sha256:2c70e12b7a06…]`}, nil},
		{"a name of the default", table(nil, part), []ratelimit.Limit{part}, []string{`Name "part"`}, []string{`Name "part"`}},
		{"an exempt plan", table(map[string]*ratelimit.Policy{"staff": ratelimit.Unlimited}, second), []ratelimit.Limit{part}, nil, nil},
		{"nothing is known", ratelimit.LimitsFunc(full.PolicyFor), []ratelimit.Limit{part}, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLimiter(t, c.limits, ratelimit.Config{})
			made, err := l.With(c.add...)
			wantFaults(t, "With", made, err, c.with)
			made, err = l.Instead(c.add...)
			wantFaults(t, "Instead", made, err, c.instead)
		})
	}

	// Of limiters made of such, too.
	l := newLimiter(t, table(map[string]*ratelimit.Policy{"gold": policyOf(t, second, minute)}, second), ratelimit.Config{})
	three := with(t, l, part, hour)
	made, err := three.With(day)
	wantFaults(t, "With of With", made, err, []string{`limits "5 of them"`})
	made, err = three.Instead(ratelimit.PerHour(1).Named("part"))
	wantFaults(t, "Instead of With", made, err, []string{`TableConfig.Default "5/s"`, `TableConfig.Plans["gold"]`})
}

func wantFaults(t *testing.T, what string, l *ratelimit.Limiter, err error, want []string) {
	t.Helper()
	if len(want) == 0 {
		if l == nil || err != nil {
			t.Errorf("%s: %v", what, err)
		}
		return
	}
	if l != nil || err == nil {
		t.Fatalf("%s: no error", what)
	}
	if fault, ok := errors.AsType[*ratelimit.LimitError](err); !ok || fault.Field == "" {
		t.Errorf("%s: %v is no LimitError", what, err)
	}
	for _, text := range want {
		if strings.Count(err.Error(), text) != 1 {
			t.Errorf("%s: want %q, once, in: %v", what, text, err)
		}
	}
}

// TestWithRefusesWhenAKeyComes: what cannot be known before is a fault of the decision.
func TestWithRefusesWhenAKeyComes(t *testing.T) {
	part := ratelimit.PerMinute(2).Named("part")
	wide, same := policyOf(t, ratelimit.PerSecond(1), ratelimit.PerMinute(1).Named("m"), ratelimit.PerHour(1).Named("h"), ratelimit.PerDay(1).Named("d")), policyOf(t, part)
	failed := errors.New("no database")
	l := newLimiter(t, ratelimit.LimitsFunc(func(_ context.Context, key string) (*ratelimit.Policy, error) {
		switch key {
		case "key-wide":
			return wide, nil
		case "key-same":
			return same, nil
		case "key-nil":
			return nil, nil
		case "key-zero":
			return new(ratelimit.Policy), nil
		case "key-error":
			return nil, failed
		case "key-panic":
			panic("at the look-up")
		}
		return policyOf(t, ratelimit.PerSecond(100)), nil
	}), ratelimit.Config{})
	for key, want := range map[string][2]string{ // of With and Instead; "": none
		"key-wide":  {"5 of them", ""},
		"key-same":  {`Name "part" must differ`, `Name "part" must differ`},
		"key-nil":   {`Policy "nil"`, `Policy "nil"`},
		"key-zero":  {`Policy "zero value"`, `Policy "zero value"`},
		"key-error": {"no database", "no database"},
		"key-panic": {"it panicked", "it panicked"},
		"key-fine":  {},
	} {
		for i, part := range []*ratelimit.Limiter{with(t, l, part), instead(t, l, part)} {
			for range 2 { // what is remembered of the first must change nothing
				r, err := part.Allow(t.Context(), key)
				if want[i] == "" {
					if err != nil || r.Len() == 0 {
						t.Errorf("%s, %d: %v", key, i, err)
					}
					continue
				}
				if r.Allowed || err == nil || !strings.Contains(err.Error(), want[i]) || store.ErrorClass(err) != store.ClassLimits {
					t.Errorf("%s, %d: %v, class %q; want %q", key, i, err, store.ErrorClass(err), want[i])
				}
				if err := part.Reset(t.Context(), key); store.ErrorClass(err) != store.ClassLimits {
					t.Errorf("%s, %d: Reset: %v", key, i, err)
				}
			}
		}
	}
	if _, err := with(t, l, part).Allow(t.Context(), "key-same"); err == nil {
		t.Error("no error")
	}
	if h := l.Check(t.Context()); h.Status != store.StatusDegraded {
		t.Errorf("the limiter itself does not warn of what its part has met: %+v", h)
	}
}

// TestWithFollowsTheTable: a table that is replaced is in force for the parts at once.
func TestWithFollowsTheTable(t *testing.T) {
	part := ratelimit.PerHour(2).Named("part")
	table, err := plans.NewTable(plans.TableConfig{Default: policyOf(t, ratelimit.PerHour(5))})
	if err != nil {
		t.Fatal(err)
	}
	l := newLimiter(t, table, ratelimit.Config{})
	beside := with(t, l, part)
	allow(t, beside, "a", 1)
	for _, c := range []struct {
		own  *ratelimit.Policy
		want []string
	}{
		{policyOf(t, ratelimit.PerHour(3).Named("new")), []string{"part", "new"}},
		{policyOf(t, ratelimit.PerHour(3).Named("new"), ratelimit.PerDay(9)), []string{"part", "new", "default"}},
	} {
		if err := table.Replace(plans.TableConfig{Default: c.own}); err != nil {
			t.Fatal(err)
		}
		if r := allow(t, beside, "a", 0); !slices.Equal(names(&r), c.want) {
			t.Errorf("%q hold the key, want %q", names(&r), c.want)
		}
	}
	if r := allow(t, beside, "a", 0); r.State(0).Remaining != 1 {
		t.Errorf("the part's own bucket has not stayed as it was: %+v", r.State(0))
	}
	// Limits beside which there is no room for those of the part are rejected.
	four := policyOf(t, ratelimit.PerSecond(1), ratelimit.PerMinute(1).Named("m"), ratelimit.PerHour(1).Named("h"), ratelimit.PerDay(1).Named("d"))
	for place, c := range map[string]plans.TableConfig{
		"TableConfig.Default":                     {Default: four},
		`TableConfig.Plans["gold"]`:               {Default: policyOf(t, ratelimit.PerHour(1)), Plans: map[string]*ratelimit.Policy{"gold": four}},
		"TableConfig.Keys[sha256:2c70e12b7a06…]":  {Default: policyOf(t, ratelimit.PerHour(1)), Keys: map[string]*ratelimit.Policy{"key": four}},
		"TableConfig.Keys[sha256:2c70e12b7a06…] ": {Default: policyOf(t, ratelimit.PerHour(1)), Keys: map[string]*ratelimit.Policy{ratelimit.HashKey("key"): policyOf(t, part)}},
	} {
		if err := table.Replace(c); len(ratelimit.Faults(err)) != 1 || !strings.Contains(err.Error(), strings.TrimSpace(place)) {
			t.Errorf("%s: %v", place, err)
		}
		if _, err := table.Snapshot().Replace(c); len(ratelimit.Faults(err)) != 1 {
			t.Errorf("%s, replaced as a snapshot: %v", place, err)
		}
	}
	if r := allow(t, beside, "a", 0); !slices.Equal(names(&r), []string{"part", "new", "default"}) {
		t.Errorf("%q hold the key: the table has not stayed as it was", names(&r))
	}
	deeper := with(t, beside, ratelimit.PerHour(1).Named("deeper"))
	if err := table.Replace(plans.TableConfig{Default: policyOf(t, ratelimit.PerHour(3), ratelimit.PerHour(3).Named("deeper"))}); len(ratelimit.Faults(err)) != 1 {
		t.Errorf("what does not fit a limiter made of a made one: %v", err)
	}
	if r := allow(t, deeper, "a", 0); r.Len() != 4 {
		t.Errorf("%q hold the key", names(&r))
	}
}

// TestWithWhileTheTableIsReplaced: whichever comes first, what does not fit is rejected.
func TestWithWhileTheTableIsReplaced(t *testing.T) {
	part := ratelimit.PerHour(2).Named("part")
	for range 200 {
		table, err := plans.NewTable(plans.TableConfig{Default: policyOf(t, ratelimit.PerHour(5))})
		if err != nil {
			t.Fatal(err)
		}
		l := newLimiter(t, table, ratelimit.Config{})
		var replaced, made error
		var beside *ratelimit.Limiter
		var wg sync.WaitGroup
		wg.Go(func() { replaced = table.Replace(plans.TableConfig{Default: policyOf(t, part)}) })
		wg.Go(func() { beside, made = l.With(part) })
		wg.Wait()
		if (replaced == nil) == (made == nil) {
			t.Fatalf("Replace: %v, With: %v; want one of them rejected", replaced, made)
		}
		if beside != nil {
			allow(t, beside, "a", 1)
		}
	}
}

// ownLimits is a table in which one key has limits of its own.
func ownLimits(t *testing.T, p *ratelimit.Policy) *plans.Table {
	t.Helper()
	table, err := plans.NewTable(plans.TableConfig{Default: policyOf(t, ratelimit.PerSecond(5)), Keys: map[string]*ratelimit.Policy{"key": p}})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// TestWithKeepsItsLimits: the slice is the caller's.
func TestWithKeepsItsLimits(t *testing.T) {
	for _, derive := range []func(*ratelimit.Limiter, ...ratelimit.Limit) (*ratelimit.Limiter, error){(*ratelimit.Limiter).With, (*ratelimit.Limiter).Instead} {
		l := newLimiter(t, ratelimit.LimitsFunc(policyOf(t, ratelimit.PerHour(5)).PolicyFor), ratelimit.Config{})
		limits := []ratelimit.Limit{ratelimit.PerHour(2).Named("part")}
		part, err := derive(l, limits...)
		if err != nil {
			t.Fatal(err)
		}
		limits[0] = ratelimit.PerHour(4).Named("another")
		if r := allow(t, part, "a", 1); r.Limit() != ratelimit.PerHour(2).Named("part").WithBurst(2) {
			t.Errorf("held to %+v, after the caller has used his slice for something else", r.Limit())
		}
	}
}

func TestWithOfWith(t *testing.T) {
	for name, limits := range sources(t) {
		l := newLimiter(t, limits, ratelimit.Config{})
		part := with(t, l, ratelimit.PerHour(4).Named("part"))
		deeper := with(t, part, ratelimit.PerHour(1).Named("deeper"))
		allow(t, deeper, "a", 1)
		for _, c := range []struct {
			limiter *ratelimit.Limiter
			want    string
			left    int
		}{{l, "default", 4}, {part, "part", 3}, {deeper, "deeper", 0}} {
			if r := allow(t, c.limiter, "a", 0); r.Limit().Name != c.want || r.Remaining() != c.left {
				t.Errorf("%s: %d left of %s, want %d of %s", name, r.Remaining(), r.Limit().Name, c.left, c.want)
			}
		}
		if r := allow(t, instead(t, deeper, ratelimit.PerHour(9).Named("alone")), "a", 0); !slices.Equal(names(&r), []string{"alone"}) {
			t.Errorf("%s: instead of all: %q", name, names(&r))
		}
	}
}

func TestWithPeekResetWaitCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.LimitsFunc(policyOf(t, ratelimit.PerMinute(60)).PolicyFor), ratelimit.Config{})
		part := with(t, l, ratelimit.PerMinute(6).WithBurst(1).Named("part"))
		for range 3 {
			if r := peek(t, part, "a"); !r.Allowed || r.Remaining() != 1 || r.Len() != 2 {
				t.Errorf("Peek: %+v", r)
			}
		}
		allow(t, part, "a", 1)
		if r := peek(t, part, "a"); r.Allowed || r.RetryAfter() != 10*time.Second {
			t.Errorf("Peek after a call: %+v", r)
		}
		start := time.Now()
		if err := part.Wait(t.Context(), "a"); err != nil || time.Since(start) != 10*time.Second {
			t.Errorf("Wait: %v after %v, want 10s", err, time.Since(start))
		}
		// A reset of one of the key's own limits leaves the part's, a reset of all does not.
		if found, err := l.ResetLimit(t.Context(), "a", "default"); !found || err != nil {
			t.Error(found, err)
		}
		if r := peek(t, part, "a"); r.Allowed || r.State(1).Remaining != 60 {
			t.Errorf("after ResetLimit: %+v", r)
		}
		if err := l.Reset(t.Context(), "a"); err != nil {
			t.Error(err)
		}
		if r := peek(t, part, "a"); !r.Allowed || r.State(0).Remaining != 1 {
			t.Errorf("after Reset: %+v", r)
		}
		allow(t, l, "a", 30)
		if err := part.Reset(t.Context(), "a"); err != nil {
			t.Error(err)
		}
		if r := peek(t, part, "a"); !r.Allowed || r.State(1).Remaining != 60 {
			t.Errorf("after Reset of the part: %+v", r)
		}
		if h := part.Check(t.Context()); h.Status != store.StatusOK {
			t.Errorf("Check: %+v", h)
		}
	})
}

// TestWithSharesConfig: the part has the timeout, the observer, the shadow mode and the
// report of the limiter it is made of.
func TestWithSharesConfig(t *testing.T) {
	var reported []string
	l := newLimiter(t, ratelimit.PerHour(5), ratelimit.Config{Shadow: true, Observe: func(_ context.Context, e ratelimit.Event) {
		reported = append(reported, e.Result.Limit().Name)
	}})
	part := with(t, l, ratelimit.PerHour(1).Named("part"))
	for range 3 {
		if r := allow(t, part, "a", 1); !r.Allowed || !r.Shadow() {
			t.Errorf("in shadow mode: %+v", r)
		}
	}
	if !part.Shadow() || !slices.Equal(reported, []string{"part", "part", "part"}) {
		t.Errorf("shadow %v, observed %q", part.Shadow(), reported)
	}
	for _, report := range []ratelimit.ShadowReport{l.ShadowReport(), part.ShadowReport()} {
		if report.Decisions != 3 || report.WouldDeny != 2 || len(report.Keys) != 1 || report.Keys[0].Limit != "part" {
			t.Errorf("the report: %+v", report)
		}
	}

	// A limit that is only watched, beside those that are enforced.
	l = newLimiter(t, ratelimit.PerHour(5), ratelimit.Config{})
	part = with(t, l, ratelimit.PerHour(1).Named("part").Shadowed())
	if n := admitted(t, part, "a", 10); n != 5 {
		t.Errorf("%d calls are admitted, want the key's own 5", n)
	}
	if report := l.ShadowReport(); report.WouldDeny != 4 || len(report.Keys) != 1 || report.Keys[0].Limit != "part" {
		t.Errorf("the report: %+v", report)
	}
	if l.ShadowReport().Decisions == 0 || admitted(t, l, "b", 5) != 5 {
		t.Error("the limiter itself is held to the limit of its part")
	}
}

// TestWithHasADeadline: where limits or store may wait, those of a part may, too.
func TestWithHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		waits := ratelimit.LimitsFunc(func(ctx context.Context, _ string) (*ratelimit.Policy, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		hung := newFaultyStore()
		hung.take = hang
		for name, l := range map[string]*ratelimit.Limiter{
			"limits": newLimiter(t, waits, ratelimit.Config{}), "store": newLimiterOn(t, hung, ratelimit.PerHour(5), ratelimit.Config{}),
		} {
			start := time.Now()
			_, err := with(t, l, ratelimit.PerHour(1).Named("part")).Allow(t.Context(), "a")
			if took := time.Since(start); err == nil || took != store.DefaultTimeout {
				t.Errorf("%s that wait: %v after %v, want an error after %v", name, err, took, store.DefaultTimeout)
			}
		}
	})
}

// TestWithAllocatesNothing on memory, whatever the limits come from.
func TestWithAllocatesNothing(t *testing.T) {
	limits := sources(t)
	delete(limits, "LimitsFunc") // needs a deadline on the context, as it does without With
	delete(limits, "Cached")
	for name, limits := range limits {
		l := newLimiter(t, limits, ratelimit.Config{})
		for _, part := range []*ratelimit.Limiter{
			with(t, l, ratelimit.PerHour(2).Named("part")), instead(t, l, ratelimit.PerHour(2).Named("part")),
			with(t, with(t, l, ratelimit.PerHour(2).Named("part")), ratelimit.PerHour(2).Named("deeper")),
		} {
			ctx := t.Context()
			allow(t, part, "a", 1)
			if n := testing.AllocsPerRun(100, func() {
				if _, err := part.Allow(ctx, "a"); err != nil {
					t.Error(err)
				}
			}); n > 0 {
				t.Errorf("%s: %v allocations", name, n)
			}
		}
	}
}

// TestWithForgetsPolicies: limits that make a policy for every call do not fill the memory.
func TestWithForgetsPolicies(t *testing.T) {
	const most, calls = 1000, 3500
	l := newLimiter(t, ratelimit.LimitsFunc(func(context.Context, string) (*ratelimit.Policy, error) {
		return policyOf(t, ratelimit.PerHour(5000)), nil
	}), ratelimit.Config{})
	part := with(t, l, ratelimit.PerHour(4000).Named("part"))
	var made []weak.Pointer[ratelimit.Policy]
	for i := range calls {
		r := allow(t, part, "a", 1)
		if r.Remaining() < 4000-i-1 || !r.Allowed {
			t.Fatalf("call %d: %+v", i, r)
		}
		made = append(made, weak.Make(r.Policy()))
	}
	runtime.GC()
	kept := 0
	for _, p := range made {
		if p.Value() != nil {
			kept++
		}
	}
	if kept == 0 || kept > most {
		t.Errorf("%d of %d policies are kept, want 1 to %d", kept, calls, most)
	}
	runtime.KeepAlive(part)
}

// TestWithConcurrent: parts of one limiter, while its table is replaced. Whatever holds a
// key at a moment, no part admits more than its own limit.
func TestWithConcurrent(t *testing.T) {
	const keys, perPart = 5, 20
	var tables []plans.TableConfig
	for i := range 4 {
		own := policyOf(t, ratelimit.PerDay(1_000_000+i))
		tables = append(tables, plans.TableConfig{Default: own, Keys: map[string]*ratelimit.Policy{"key 0": ratelimit.Unlimited}})
	}
	table, err := plans.NewTable(tables[0])
	if err != nil {
		t.Fatal(err)
	}
	l := newLimiterOn(t, memstore.New(memstore.Config{}), table, ratelimit.Config{})
	parts := []*ratelimit.Limiter{
		with(t, l, ratelimit.PerDay(perPart).Named("a")), instead(t, l, ratelimit.PerDay(perPart).Named("b")),
		with(t, with(t, l, ratelimit.PerDay(1000).Named("c")), ratelimit.PerDay(perPart).Named("d")),
	}
	var mu sync.Mutex
	got := map[string]int{}
	var callers, replacer sync.WaitGroup
	done := make(chan struct{})
	replacer.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
				if err := table.Replace(tables[i%len(tables)]); err != nil {
					t.Error(err)
				}
				runtime.Gosched()
			}
		}
	})
	for range 4 {
		callers.Go(func() {
			for i := range 2000 {
				part, key := i%len(parts), fmt.Sprintf("key %d", i/len(parts)%keys)
				r, err := parts[part].Allow(t.Context(), key)
				if err != nil {
					t.Error(err)
				}
				if r.Allowed {
					mu.Lock()
					got[fmt.Sprintf("part %d %s", part, key)]++
					mu.Unlock()
				}
			}
		})
	}
	callers.Wait()
	close(done)
	replacer.Wait()
	for part := range parts {
		for key := range keys {
			n := got[fmt.Sprintf("part %d key %d", part, key)]
			if want := perPart; key > 0 && n != want || key == 0 && n < 500 {
				t.Errorf("part %d admitted %d calls of key %d, want %d; and all of key 0, which is exempt", part, n, key, want)
			}
		}
	}
}
