package ratelimit_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

func newLimiter(t testing.TB, limits ratelimit.Limits, c ratelimit.Config) *ratelimit.Limiter {
	t.Helper()
	return newLimiterOn(t, memstore.New(memstore.Config{}), limits, c)
}

func newLimiterOn(t testing.TB, s store.Store, limits ratelimit.Limits, c ratelimit.Config) *ratelimit.Limiter {
	t.Helper()
	l, err := ratelimit.New(s, limits, c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func policyOf(t testing.TB, limits ...ratelimit.Limit) *ratelimit.Policy {
	t.Helper()
	p, err := ratelimit.NewPolicy(limits...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func allow(t testing.TB, l *ratelimit.Limiter, key string, n int) ratelimit.Result {
	t.Helper()
	r, err := l.AllowN(t.Context(), key, n)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func peek(t testing.TB, l *ratelimit.Limiter, key string) ratelimit.Result {
	t.Helper()
	r, err := l.Peek(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// remaining returns how many tokens the key "k" has.
func remaining(t testing.TB, l *ratelimit.Limiter) int {
	t.Helper()
	r := peek(t, l, "k")
	return r.Remaining()
}

// admitted returns how many of n calls of cost 1 are admitted now.
func admitted(t testing.TB, l *ratelimit.Limiter, key string, n int) int {
	t.Helper()
	admitted := 0
	for range n {
		if allow(t, l, key, 1).Allowed {
			admitted++
		}
	}
	return admitted
}

// faultyStore is a store on memory of which a test replaces a part.
type faultyStore struct {
	store.Store
	take  func(context.Context, store.Request) (store.Decision, error)
	reset func(context.Context, string, []store.Limit) error
	takes int // counted, for tests on one goroutine
}

func newFaultyStore() *faultyStore {
	s := memstore.New(memstore.Config{})
	return &faultyStore{Store: s, take: s.Take, reset: s.Reset}
}

func (s *faultyStore) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	s.takes++
	return s.take(ctx, r)
}

func (s *faultyStore) Reset(ctx context.Context, key string, limits []store.Limit) error {
	return s.reset(ctx, key, limits)
}

// hang waits for its context to end, as a store behind a dead network does.
func hang(ctx context.Context, _ store.Request) (store.Decision, error) {
	<-ctx.Done()
	return store.Decision{}, ctx.Err()
}

// selfTimedStore says of itself that it needs no deadline.
type selfTimedStore struct{ *faultyStore }

func (selfTimedStore) SelfTimed() {}

func TestNewRefuses(t *testing.T) {
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

// valueLimits are Limits that are neither a pointer nor a function.
type valueLimits struct{ policy *ratelimit.Policy }

func (v valueLimits) PolicyFor(context.Context, string) (*ratelimit.Policy, error) {
	return v.policy, nil
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

func TestAllow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.PerSecond(3), ratelimit.Config{})
		limit := ratelimit.Limit{Name: "default", Rate: 3, Period: time.Second, Burst: 3}
		const µs = time.Microsecond
		for i, step := range []struct {
			sleep   time.Duration
			n       int
			allowed bool
			left    int
			retry   time.Duration
			reset   time.Duration
		}{
			{0, 1, true, 2, 0, 333_334 * µs},
			{0, 2, true, 0, 0, time.Second},
			{0, 1, false, 0, 333_334 * µs, time.Second},
			{0, 3, false, 0, time.Second, time.Second},
			{0, 4, false, 0, gcra.Never, time.Second},
			{0, math.MaxInt, false, 0, gcra.Never, time.Second},
			{0, 0, true, 0, 0, time.Second},
			{333_333 * µs, 1, false, 0, µs, 666_667 * µs},
			{µs, 1, true, 0, 0, time.Second - 0*µs},
			{2 * time.Second, 0, true, 3, 0, 0},
			{0, 3, true, 0, 0, time.Second},
		} {
			time.Sleep(step.sleep)
			r := allow(t, l, "k", step.n)
			if r.Allowed != step.allowed || r.Remaining() != step.left || r.RetryAfter() != step.retry || r.ResetAfter() != step.reset ||
				r.Cost() != step.n || r.Limit() != limit || r.Len() != 1 || r.Policy() == ratelimit.Unlimited || r.Shadow() || r.WouldDeny() {
				t.Errorf("step %d: %+v, want %+v", i, r, step)
			}
		}
		if r := allow(t, l, "another key", 1); !r.Allowed || r.Remaining() != 2 {
			t.Errorf("another key: %+v", r)
		}
	})
}

// A negative cost is an error that names the fix, and charges or gives nothing.
func TestAllowNegativeCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.PerHour(5), ratelimit.Config{})
		allow(t, l, "k", 3)
		for _, n := range []int{-1, -5, math.MinInt} {
			r, err := l.AllowN(t.Context(), "k", n)
			if fields(err) != "n" || !strings.Contains(err.Error(), "must be at least 0") || r.Allowed || store.ErrorClass(err) != store.ClassLimits {
				t.Errorf("AllowN(%d): %+v, %v", n, r, err)
			}
		}
		if got := remaining(t, l); got != 2 {
			t.Errorf("%d tokens are left, want 2", got)
		}
		if _, err := newLimiter(t, ratelimit.Unlimited, ratelimit.Config{}).AllowN(t.Context(), "k", -1); fields(err) != "n" {
			t.Errorf("AllowN(-1) of an exempt key: %v", err)
		}
	})
}

func TestUnlimitedNeverReachesTheStore(t *testing.T) {
	s := newFaultyStore()
	s.take, s.reset = nil, nil // a call would panic
	for _, shadow := range []bool{false, true} {
		l := newLimiterOn(t, selfTimedStore{s}, ratelimit.Unlimited, ratelimit.Config{Shadow: shadow})
		for _, n := range []int{0, 1, math.MaxInt} {
			r := allow(t, l, "k", n)
			if !r.Allowed || r.Policy() != ratelimit.Unlimited || r.Len() != 0 || r.Policy() != ratelimit.Unlimited || r.Remaining() != math.MaxInt ||
				r.RetryAfter() != 0 || r.ResetAfter() != 0 || r.Limit() != (ratelimit.Limit{}) || r.Cost() != n || r.Shadow() != shadow || r.WouldDeny() {
				t.Errorf("cost %d: %+v", n, r)
			}
		}
		if r := peek(t, l, "k"); !r.Allowed || r.Policy() != ratelimit.Unlimited {
			t.Errorf("Peek: %+v", r)
		}
		if err := l.Reset(t.Context(), "k"); err != nil {
			t.Errorf("Reset: %v", err)
		}
		if err := l.Wait(t.Context(), "k"); err != nil {
			t.Errorf("Wait: %v", err)
		}
	}
}

func TestReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, policyOf(t, ratelimit.PerHour(5), ratelimit.PerDay(6).Named("daily")), ratelimit.Config{})
		allow(t, l, "k", 5)
		allow(t, l, "other", 5)
		if err := l.Reset(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		r := allow(t, l, "k", 0)
		for i := range r.Len() {
			if s := r.State(i); s.ResetAfter != 0 || s.Remaining != s.Limit.Burst {
				t.Errorf("after Reset: %+v", s)
			}
		}
		if r := allow(t, l, "other", 1); r.Allowed {
			t.Error("Reset filled the bucket of another key")
		}
	})
}

// TestPeek: in random histories of one to four limits Peek foretells exactly what
// Allow answers at that instant, and a limiter that is never peeked at answers
// the same: it charges nothing.
func TestPeek(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		denials := 0
		for seed := range uint64(40) {
			rng := rand.New(rand.NewPCG(seed, 21))
			p := randomPolicy(t, rng)
			peeked, control := newLimiter(t, p, ratelimit.Config{}), newLimiter(t, p, ratelimit.Config{})
			for range 60 {
				time.Sleep(randomSleep(rng))
				foretold := peek(t, peeked, "k")
				peek(t, peeked, "k")
				got, want := allow(t, peeked, "k", 1), allow(t, control, "k", 1)
				if got.Allowed != want.Allowed || got.Remaining() != want.Remaining() || got.RetryAfter() != want.RetryAfter() || got.ResetAfter() != want.ResetAfter() {
					t.Fatalf("%v: after a Peek, Allow answers %+v, without it %+v", p.Limits(), got, want)
				}
				if foretold.Allowed != got.Allowed || foretold.RetryAfter() != got.RetryAfter() || foretold.Cost() != 1 {
					t.Fatalf("%v: Peek foretold %+v, and Allow answered %+v", p.Limits(), foretold, got)
				}
				spent := 0
				if got.Allowed {
					spent = 1
				} else {
					denials++
				}
				if foretold.Limit() != got.Limit() || foretold.Remaining() != got.Remaining()+spent {
					t.Fatalf("%v: Peek saw %+v, and Allow answered %+v", p.Limits(), foretold, got)
				}
			}
		}
		if denials == 0 {
			t.Error("no call was denied: the histories prove nothing")
		}
	})
}

// randomPolicy returns a policy of one to four limits of which a call each few
// milliseconds is too much.
func randomPolicy(t testing.TB, rng *rand.Rand) *ratelimit.Policy {
	t.Helper()
	limits := make([]ratelimit.Limit, 1+rng.IntN(store.MaxLimits))
	for i := range limits {
		limits[i] = ratelimit.Limit{
			Name: string(rune('a' + i)), Rate: 1 + rng.IntN(300), Period: time.Duration(1+rng.IntN(3_000_000)) * time.Microsecond, Burst: 1 + rng.IntN(20),
		}
	}
	return policyOf(t, limits...)
}

func randomSleep(rng *rand.Rand) time.Duration {
	if rng.IntN(3) > 0 {
		return 0
	}
	return time.Duration(rng.IntN(30_000)) * time.Microsecond
}

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

func TestTimeout(t *testing.T) {
	for _, test := range []struct {
		name    string
		timeout time.Duration // of the limiter
		caller  time.Duration // of the caller's context; 0: none
		cancel  bool          // the caller gives up rather than having a deadline
		want    time.Duration
		class   string
		is      error
	}{
		{"the default", 0, 0, false, 50 * time.Millisecond, store.ClassTimeout, context.DeadlineExceeded},
		{"as configured", 7 * time.Millisecond, 0, false, 7 * time.Millisecond, store.ClassTimeout, context.DeadlineExceeded},
		{"the caller's deadline is nearer", 0, 3 * time.Millisecond, false, 3 * time.Millisecond, store.ClassTimeout, context.DeadlineExceeded},
		{"the caller's deadline is farther", 0, time.Second, false, 50 * time.Millisecond, store.ClassTimeout, context.DeadlineExceeded},
		{"the caller gives up", 0, 3 * time.Millisecond, true, 3 * time.Millisecond, store.ClassCanceled, context.Canceled},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newFaultyStore()
				s.take = hang
				s.reset = func(ctx context.Context, _ string, _ []store.Limit) error {
					_, err := hang(ctx, store.Request{})
					return err
				}
				l := newLimiterOn(t, s, ratelimit.PerSecond(5), ratelimit.Config{Timeout: test.timeout})
				for name, call := range map[string]func(context.Context) error{
					"Allow": func(ctx context.Context) error { _, err := l.Allow(ctx, "k"); return err },
					"Peek":  func(ctx context.Context) error { _, err := l.Peek(ctx, "k"); return err },
					"Reset": func(ctx context.Context) error { return l.Reset(ctx, "k") },
					"Wait":  func(ctx context.Context) error { return l.Wait(ctx, "k") },
				} {
					ctx, cancel := context.WithCancel(t.Context())
					if test.caller > 0 && test.cancel {
						time.AfterFunc(test.caller, cancel)
					} else if test.caller > 0 {
						ctx, cancel = context.WithTimeout(ctx, test.caller)
					}
					start := time.Now()
					err := call(ctx)
					if got := time.Since(start); got != test.want {
						t.Errorf("%s took %v, want %v", name, got, test.want)
					}
					if store.ErrorClass(err) != test.class || !errors.Is(err, test.is) {
						t.Errorf("%s: class %q of %v, want %q", name, store.ErrorClass(err), err, test.class)
					}
					cancel()
				}
			})
		})
	}
}

// slowLimits take their time to look a policy up, and heed their context.
func slowLimits(p *ratelimit.Policy, takes time.Duration) ratelimit.LimitsFunc {
	return func(ctx context.Context, _ string) (*ratelimit.Policy, error) {
		select {
		case <-time.After(takes):
			return p, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// TestTimeoutOfTheLookUp: the look-up of the limits and the store's answer share
// Config.Timeout.
func TestTimeoutOfTheLookUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := policyOf(t, ratelimit.PerSecond(5))
		hanging := newFaultyStore()
		hanging.take = hang
		hanging.reset = func(ctx context.Context, _ string, _ []store.Limit) error {
			<-ctx.Done()
			return ctx.Err()
		}
		for _, test := range []struct {
			name    string
			backend store.Store
			lookUp  time.Duration
			want    time.Duration
			class   string
		}{
			{"a quick store", memstore.New(memstore.Config{}), 30 * time.Millisecond, 30 * time.Millisecond, ""},
			{"a store that hangs", hanging, 30 * time.Millisecond, 50 * time.Millisecond, store.ClassTimeout},
			{"a self-timed store that heeds its context", selfTimedStore{hanging}, 30 * time.Millisecond, 50 * time.Millisecond, store.ClassTimeout},
			{"a look-up that hangs", memstore.New(memstore.Config{}), time.Hour, 50 * time.Millisecond, store.ClassLimits},
		} {
			for _, observe := range []func(context.Context, ratelimit.Event){nil, func(context.Context, ratelimit.Event) {}} {
				l := newLimiterOn(t, test.backend, slowLimits(p, test.lookUp), ratelimit.Config{Observe: observe})
				for name, call := range map[string]func() error{
					"Allow":  func() error { _, err := l.Allow(t.Context(), "k"); return err },
					"AllowN": func() error { _, err := l.AllowN(t.Context(), "k", 0); return err },
					"Peek":   func() error { _, err := l.Peek(t.Context(), "k"); return err },
					"Reset":  func() error { return l.Reset(t.Context(), "k") },
				} {
					start := time.Now()
					err := call()
					if got := time.Since(start); got != test.want || store.ErrorClass(err) != test.class {
						t.Errorf("%s: %s took %v, want %v: class %q of %v, want %q", test.name, name, got, test.want, store.ErrorClass(err), err, test.class)
					}
				}
			}
		}
	})
}

// TestNoDeadlineWhereNoneIsNeeded: a timer costs more than a decision in memory.
func TestNoDeadlineWhereNoneIsNeeded(t *testing.T) {
	p := policyOf(t, ratelimit.PerSecond(5))
	table, err := plans.NewTable(plans.TableConfig{Default: p})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		limits ratelimit.Limits
		want   bool
	}{{ratelimit.PerSecond(5), false}, {p, false}, {table, false}, {ratelimit.LimitsFunc(table.PolicyFor), true}, {valueLimits{p}, true}} {
		for _, observe := range []func(context.Context, ratelimit.Event){nil, func(context.Context, ratelimit.Event) {}} {
			s := newFaultyStore()
			inner := s.take
			s.take = func(ctx context.Context, r store.Request) (store.Decision, error) {
				if _, ok := ctx.Deadline(); ok != test.want {
					t.Errorf("%T: with a deadline: %v, want %v", test.limits, ok, test.want)
				}
				return inner(ctx, r)
			}
			l := newLimiterOn(t, selfTimedStore{s}, test.limits, ratelimit.Config{Observe: observe})
			allow(t, l, "k", 1)
			peek(t, l, "k")
			if s.takes != 2 {
				t.Errorf("%T: the store was asked %d times, want 2", test.limits, s.takes)
			}
		}
	}
}

// TestSelfTimed: such a store gets the caller's context as it is, and is given the
// time that it has. Reset has no Request to give it in, and gets a deadline.
func TestSelfTimed(t *testing.T) {
	for _, test := range []struct {
		name    string
		backend func(*faultyStore) store.Store
		want    bool // Take gets a deadline
	}{
		{"self-timed", func(s *faultyStore) store.Store { return selfTimedStore{s} }, false},
		{"not", func(s *faultyStore) store.Store { return s }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newFaultyStore()
			inner := s.take
			asked := false
			s.take = func(ctx context.Context, r store.Request) (store.Decision, error) {
				asked = true
				if _, ok := ctx.Deadline(); ok != test.want || r.Timeout != 9*time.Second || r.Key != "k" || r.Cost != 2 || r.Known != nil {
					t.Errorf("Take with a deadline: %v, and %+v", ok, r)
				}
				return inner(ctx, r)
			}
			s.reset = func(ctx context.Context, _ string, _ []store.Limit) error {
				if _, ok := ctx.Deadline(); !ok {
					t.Error("Reset without a deadline")
				}
				return nil
			}
			l := newLimiterOn(t, test.backend(s), ratelimit.PerSecond(5), ratelimit.Config{Timeout: 9 * time.Second})
			allow(t, l, "k", 2)
			if err := l.Reset(t.Context(), "k"); err != nil || !asked {
				t.Errorf("Reset: %v; Take was asked: %v", err, asked)
			}
		})
	}
}

func TestObserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type contextKey struct{}
		var events []ratelimit.Event
		s := newFaultyStore()
		inner := s.take
		s.take = func(ctx context.Context, r store.Request) (store.Decision, error) {
			time.Sleep(time.Millisecond)
			return inner(ctx, r)
		}
		l := newLimiterOn(t, s, ratelimit.PerSecond(2), ratelimit.Config{Observe: func(ctx context.Context, e ratelimit.Event) {
			if ctx.Value(contextKey{}) != "request 7" {
				t.Error("Observe did not get the context of the call")
			}
			events = append(events, e)
		}})
		ctx := context.WithValue(t.Context(), contextKey{}, "request 7")

		r, err := l.Allow(ctx, "k")
		if len(events) != 1 || err != nil || events[0].Result != r || events[0].Err != nil || events[0].Took != time.Millisecond {
			t.Fatalf("after one Allow that answered %+v: %+v", r, events)
		}
		r, err = l.AllowN(ctx, "k", 2)
		if len(events) != 2 || err != nil || events[1].Result != r || r.Allowed || r.Cost() != 2 {
			t.Fatalf("after AllowN(2) that answered %+v: %+v", r, events[1:])
		}
		s.take = hang
		r, err = l.Allow(ctx, "k")
		if len(events) != 3 || err == nil || !errors.Is(events[2].Err, err) || events[2].Result != r || events[2].Took != store.DefaultTimeout {
			t.Fatalf("after a fault %v: %+v", err, events[2:])
		}
		_, err = l.AllowN(ctx, "k", -1)
		if len(events) != 4 || !errors.Is(events[3].Err, err) || fields(err) != "n" {
			t.Fatalf("after AllowN(-1): %+v", events[3:])
		}
		s.take = inner
		if _, err := l.Peek(ctx, "k"); err != nil || len(events) != 4 {
			t.Fatalf("Peek: %v, and %d events, want 4", err, len(events))
		}
		if err := l.Reset(ctx, "k"); err != nil || len(events) != 4 {
			t.Fatalf("Reset: %v, and %d events, want 4", err, len(events))
		}
		// A Wait that has to wait decides twice.
		_, _ = l.AllowN(ctx, "k", 2)
		if err := l.Wait(ctx, "k"); err != nil || len(events) != 7 || events[5].Result.Allowed || !events[6].Result.Allowed {
			t.Fatalf("Wait: %v, and %+v", err, events[4:])
		}
	})
}

// TestObservePanics: the decision stands, and Check warns.
func TestObservePanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.PerSecond(2), ratelimit.Config{Observe: func(context.Context, ratelimit.Event) { panic("a bug") }})
		if h := l.Check(t.Context()); len(h.Warnings) != 0 {
			t.Fatalf("before any panic: %q", h.Warnings)
		}
		for i, want := range []bool{true, true, false} {
			r, err := l.Allow(t.Context(), "k")
			if err != nil || r.Allowed != want || r.Limit().Rate != 2 || r.Cost() != 1 {
				t.Errorf("call %d: %+v, %v; want allowed %v", i, r, err, want)
			}
		}
		if r, err := l.AllowN(t.Context(), "k", -1); fields(err) != "n" || r.Allowed {
			t.Errorf("AllowN(-1): %+v, %v", r, err)
		}
		h := l.Check(t.Context())
		if h.Status != store.StatusOK || len(h.Warnings) != 1 || h.Warnings[0] != "Config.Observe panicked 4 times" {
			t.Errorf("Check: %+v", h)
		}
	})
}

// TestStoreThatDecidesTheImpossible: debts that no bucket can have are a fault of
// the store. The arithmetic never sees them.
func TestStoreThatDecidesTheImpossible(t *testing.T) {
	limits := []ratelimit.Limit{{Rate: 3, Period: time.Microsecond}, ratelimit.PerSecond(3).Named("second")}
	for _, test := range []struct {
		name string
		at   int
		debt gcra.Debt
		ok   bool
	}{
		{"a negative debt", 0, gcra.Debt{Micros: -1}, false},
		{"the most negative debt", 0, gcra.Debt{Micros: math.MinInt64}, false},
		{"above the capacity", 0, gcra.Debt{Micros: 1, Frac: 1}, false},
		{"the capacity", 0, gcra.Debt{Micros: 1}, true},
		{"far above the capacity", 0, gcra.Debt{Micros: math.MaxInt64}, false},
		{"a fraction that is none", 0, gcra.Debt{Frac: 3}, false},
		{"the largest fraction", 0, gcra.Debt{Frac: 2}, true},
		{"the second limit", 1, gcra.Debt{Micros: 1_000_001}, false},
		{"the capacity of the second limit", 1, gcra.Debt{Micros: 1_000_000}, true},
		{"a limit that the policy does not have", 2, gcra.Debt{Micros: -1}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newFaultyStore()
			s.take = func(context.Context, store.Request) (store.Decision, error) {
				d := store.Decision{Allowed: true}
				d.Debts[0], d.Debts[1] = gcra.Debt{Frac: 1}, gcra.Debt{Micros: 333_333, Frac: 1}
				d.Debts[test.at] = test.debt
				return d, nil
			}
			l := newLimiterOn(t, s, policyOf(t, limits...), ratelimit.Config{})
			for _, call := range []func(context.Context, string) (ratelimit.Result, error){l.Allow, l.Peek} {
				r, err := call(t.Context(), "k")
				if test.ok && err == nil {
					continue
				}
				if test.ok || store.ErrorClass(err) != store.ClassWrong || r.Allowed {
					t.Errorf("%+v, %v", r, err)
				}
			}
		})
	}
}

// TestStoreThatDoesNotMeanIt: a decision must go with the debts, or a call would be
// free, or denied for nothing.
func TestStoreThatDoesNotMeanIt(t *testing.T) {
	limits := []ratelimit.Limit{ratelimit.PerSecond(5), ratelimit.PerHour(2).Named("hourly")}
	for _, test := range []struct {
		name    string
		n       int
		allowed bool
		debts   [store.MaxLimits]gcra.Debt
		ok      bool
	}{
		{"admitted and charged", 1, true, [4]gcra.Debt{debt(200 * time.Millisecond), debt(30 * time.Minute)}, true},
		{"admitted, the first not charged", 1, true, [4]gcra.Debt{debt(199 * time.Millisecond), debt(30 * time.Minute)}, false},
		{"admitted, the second not charged", 1, true, [4]gcra.Debt{debt(200 * time.Millisecond), debt(0)}, false},
		{"admitted above the burst", 3, true, [4]gcra.Debt{debt(time.Second), debt(time.Hour)}, false},
		{"denied by the first", 1, false, [4]gcra.Debt{debt(801 * time.Millisecond), debt(0)}, true},
		{"denied by the second", 1, false, [4]gcra.Debt{debt(0), debt(31 * time.Minute)}, true},
		{"denied above the burst", 3, false, [4]gcra.Debt{}, true},
		{"denied with room", 1, false, [4]gcra.Debt{debt(800 * time.Millisecond), debt(30 * time.Minute)}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newFaultyStore()
			s.take = func(context.Context, store.Request) (store.Decision, error) {
				return store.Decision{Allowed: test.allowed, Debts: test.debts}, nil
			}
			r, err := newLimiterOn(t, s, policyOf(t, limits...), ratelimit.Config{}).AllowN(t.Context(), "k", test.n)
			if test.ok && (err != nil || r.Allowed != test.allowed) || !test.ok && (store.ErrorClass(err) != store.ClassWrong || r.Allowed) {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}

// TestConcurrent: one limiter, many goroutines and keys; no key gets more.
func TestConcurrent(t *testing.T) {
	var observed sync.Map
	l := newLimiter(t, ratelimit.PerDay(100), ratelimit.Config{Observe: func(_ context.Context, e ratelimit.Event) {
		if e.Result.Allowed {
			observed.Store(e.Result.Remaining(), true)
		}
	}})
	var wg sync.WaitGroup
	counts := make([]int, 8)
	for i := range counts {
		wg.Go(func() {
			for range 50 {
				r, err := l.Allow(t.Context(), "one key")
				if err != nil {
					t.Error(err)
				}
				if r.Allowed {
					counts[i]++
				}
				if i == 0 {
					_, _ = l.Peek(t.Context(), "one key")
					l.Check(t.Context())
				}
			}
		})
	}
	wg.Wait()
	total := 0
	for _, n := range counts {
		total += n
	}
	if total != 100 {
		t.Errorf("%d calls were admitted, want 100", total)
	}
	for left := range 100 {
		if _, ok := observed.Load(left); !ok {
			t.Errorf("no call left %d tokens: two calls had the same token", left)
		}
	}
}

// counting is a store that embeds another one, and has a Take of its own.
type counting struct {
	*memstore.Store
	takes int
}

func (c *counting) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	c.takes++
	return c.Store.Take(ctx, r)
}

// TestEmbeddedStoreIsAsked: the short way that memstore offers is not taken past a
// store that embeds it.
func TestEmbeddedStoreIsAsked(t *testing.T) {
	s := &counting{Store: memstore.New(memstore.Config{})}
	l := newLimiterOn(t, s, ratelimit.PerHour(2), ratelimit.Config{})
	if got := admitted(t, l, "k", 5); got != 2 || s.takes != 5 {
		t.Errorf("%d of 5 calls were admitted, the store was asked %d times; want 2 and 5", got, s.takes)
	}
}
