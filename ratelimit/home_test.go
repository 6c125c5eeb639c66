package ratelimit_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

// homes are limits of keys named HOME/KEY.
func homes(p *ratelimit.Policy) ratelimit.LimitsFunc {
	var made sync.Map
	return func(_ context.Context, key string) (*ratelimit.Policy, error) {
		home, _, found := strings.Cut(key, "/")
		if !found {
			return p, nil
		}
		in, ok := made.Load(home)
		if !ok {
			in, _ = made.LoadOrStore(home, p.In(home))
		}
		policy, _ := in.(*ratelimit.Policy)
		return policy, nil
	}
}

func homePolicy(t *testing.T) *ratelimit.Policy {
	t.Helper()
	p, err := ratelimit.NewPolicy(ratelimit.PerHour(3), ratelimit.PerHour(5).Named("org").SharedByHome())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestHome: the keys of a home share the bucket of a shared limit, all or nothing, and have
// their own of the others.
func TestHome(t *testing.T) {
	l, err := ratelimit.New(memstore.New(memstore.Config{}), homes(homePolicy(t)), ratelimit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(key string, allowed bool, decides string, left int) {
		t.Helper()
		r, err := l.Allow(t.Context(), key)
		if err != nil || r.Allowed != allowed || r.Limit().Name != decides || r.Remaining() != left {
			t.Errorf("%s: allowed %v by %q, %d left, %v; want %v by %q, %d left", key, r.Allowed, r.Limit().Name, r.Remaining(), err, allowed, decides, left)
		}
	}
	ask("a/1", true, "default", 2)
	ask("a/1", true, "default", 1)
	ask("a/1", true, "default", 0)
	ask("a/1", false, "default", 0)
	ask("a/2", true, "org", 1)
	ask("a/2", true, "org", 0)
	ask("a/2", false, "org", 0)
	ask("a/3", false, "org", 0)
	ask("b/1", true, "default", 2)

	// The denied calls have charged nothing.
	if r, err := l.Peek(t.Context(), "a/3"); err != nil || r.State(1).Remaining != 3 {
		t.Errorf("the own limit of a/3 has %d left, %v; want 3", r.State(1).Remaining, err)
	}

	// Reset fills the key's own buckets, ResetShared those of the home.
	if err := l.Reset(t.Context(), "a/1"); err != nil {
		t.Fatal(err)
	}
	ask("a/1", false, "org", 0)
	if err := l.ResetShared(t.Context(), "a/2"); err != nil {
		t.Fatal(err)
	}
	ask("a/1", true, "default", 2)
	ask("a/2", true, "default", 0)
}

// TestHomeIsNoKey: a home, a key of the same text and the same key in another home have
// different buckets.
func TestHomeIsNoKey(t *testing.T) {
	p := homePolicy(t)
	for _, of := range []string{"a", "a/a", "b/a", "a/b", "/a", "a/"} {
		l, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.LimitsFunc(func(_ context.Context, key string) (*ratelimit.Policy, error) {
			home, _, found := strings.Cut(key, "/")
			if !found {
				return ratelimit.NewPolicy(ratelimit.PerHour(3))
			}
			return p.In("home " + home), nil
		}), ratelimit.Config{})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if r, err := l.Allow(t.Context(), of); !r.Allowed || err != nil {
				t.Fatalf("%s: %v", of, err)
			}
		}
		for _, other := range []string{"a", "b", "c/c", "d/a"} {
			if r, err := l.Allow(t.Context(), other); other != of && (!r.Allowed || err != nil) {
				t.Errorf("after 3 calls of %s, %s is denied by %q, %v", of, other, r.Limit().Name, err)
			}
		}
	}
}

// TestSharedWithoutHome: it is rejected where the policy is known, and otherwise each decision
// fails, which Check reports.
func TestSharedWithoutHome(t *testing.T) {
	isFault := func(err error) bool {
		faults := ratelimit.Faults(err)
		return len(faults) == 1 && faults[0].Limit == "org" && faults[0].Field == "Shared"
	}
	shared := ratelimit.PerHour(5).Named("org").SharedByHome()
	for _, limits := range []ratelimit.Limits{shared, &shared, homePolicy(t)} {
		if _, err := ratelimit.New(memstore.New(memstore.Config{}), limits, ratelimit.Config{}); !isFault(err) {
			t.Errorf("%v: New returns %v; want an error about the field Shared of the limit org", limits, err)
		}
	}
	for _, limits := range []ratelimit.Limits{ratelimit.PerHour(3), policyOf(t, ratelimit.PerHour(3))} {
		l := newLimiter(t, limits, ratelimit.Config{})
		if _, err := l.With(shared); !isFault(err) {
			t.Errorf("%v: With returns %v", limits, err)
		}
		if _, err := l.Instead(shared); !isFault(err) {
			t.Errorf("%v: Instead returns %v", limits, err)
		}
	}
	for _, limits := range []ratelimit.Limits{homePolicy(t).In("acme"), policyOf(t, ratelimit.PerHour(3)).In("acme"), ratelimit.Unlimited} {
		l := newLimiter(t, limits, ratelimit.Config{})
		part := with(t, l, shared.Named("part"))
		if r, err := part.Allow(t.Context(), "k"); !r.Allowed || err != nil {
			t.Errorf("%v in a home: %+v, %v", limits, r, err)
		}
	}

	l := newLimiter(t, homes(homePolicy(t)), ratelimit.Config{})
	part := with(t, newLimiter(t, homes(policyOf(t, ratelimit.PerHour(3))), ratelimit.Config{}), shared)
	for name, l := range map[string]*ratelimit.Limiter{"New": l, "With": part} {
		for n := 1; n <= 2; n++ {
			if _, err := l.Allow(t.Context(), "k"); !isFault(err) {
				t.Errorf("%s: Allow returns %v", name, err)
			}
			if h := l.Check(t.Context()); h.Status != store.StatusDegraded || !slices.Contains(h.Warnings, fmt.Sprintf("the look-up of limits failed %d times in a row", n)) {
				t.Errorf("%s: after %d failures Check returns %+v", name, n, h)
			}
		}
		if _, err := l.Charge(t.Context(), "k", 1); !isFault(err) {
			t.Errorf("%s: Charge returns %v", name, err)
		}
		allow(t, l, "acme/k", 1)
		if h := l.Check(t.Context()); h.Status != store.StatusOK {
			t.Errorf("%s: after a success Check returns %+v", name, h)
		}
	}
	l = newLimiter(t, homes(policyOf(t, ratelimit.PerHour(3))), ratelimit.Config{})
	part = with(t, l, shared)
	if _, err := l.PeekParts(t.Context(), "k"); !isFault(err) {
		t.Errorf("PeekParts returns %v", err)
	}
	runtime.KeepAlive(part)
}

// TestHomeOfAPart: the limits of a part live in the home of the key, too.
func TestHomeOfAPart(t *testing.T) {
	l, err := ratelimit.New(memstore.New(memstore.Config{}), homes(homePolicy(t)), ratelimit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	part, err := l.With(ratelimit.PerHour(2).Named("export").SharedByHome())
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{true, true, false} {
		if r, err := part.Allow(t.Context(), fmt.Sprintf("a/%d", i)); r.Allowed != want || err != nil {
			t.Errorf("call %d of the part: allowed %v, %v", i, r.Allowed, err)
		}
	}
	results, err := l.PeekParts(t.Context(), "a/7")
	if err != nil || len(results) != 1 || results[0].Remaining() != 0 {
		t.Errorf("PeekParts: %+v, %v; want nothing left for export", results, err)
	}
	if found, err := l.ResetLimit(t.Context(), "a/7", "export"); !found || err != nil {
		t.Errorf("ResetLimit: %v, %v", found, err)
	}
	if r, err := part.Allow(t.Context(), "a/7"); !r.Allowed || err != nil {
		t.Errorf("after ResetLimit: %+v, %v", r, err)
	}
}

// TestHoldInAHome: what one key holds takes room for the others, and comes back.
func TestHoldInAHome(t *testing.T) {
	p, err := ratelimit.NewPolicy(ratelimit.PerHour(100).Named("tokens").SharedByHome(), ratelimit.AtOnce(2).SharedByHome())
	if err != nil {
		t.Fatal(err)
	}
	l, err := ratelimit.New(memstore.New(memstore.Config{}), homes(p), ratelimit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	first, err := l.Hold(t.Context(), "a/1", 60)
	if err != nil || !first.Result().Allowed {
		t.Fatalf("%+v, %v", first.Result(), err)
	}
	if h, err := l.Hold(t.Context(), "a/2", 60); err != nil || h.Result().Allowed {
		t.Errorf("60 more of 100 tokens: %+v, %v", h.Result(), err)
	}
	second, err := l.Hold(t.Context(), "a/2", 40)
	if err != nil || !second.Result().Allowed {
		t.Errorf("40 more: %v", err)
	}
	second.Cancel(t.Context())
	if err := first.Settle(t.Context(), 10); err != nil {
		t.Error(err)
	}
	if r, err := l.PeekN(t.Context(), "a/3", 90); err != nil || !r.Allowed {
		t.Errorf("90 tokens after 10 were spent: %+v, %v", r, err)
	}
}

func TestSharedText(t *testing.T) {
	for _, text := range []string{"5/s;shared", "1000/m;burst=50;name=org;shared", "10 at a time;shared", "5/s;shared;shadow"} {
		l, err := ratelimit.ParseLimit(text)
		if err != nil || !l.Shared || l.String() != text {
			t.Errorf("%s: %+v, %v", text, l, err)
		}
	}
	for _, text := range []string{"5/s;shared=1", "5/s;shared;shared", "5/s;shared="} {
		if _, err := ratelimit.ParseLimit(text); err == nil {
			t.Errorf("%s is accepted", text)
		}
	}
}
