package ratelimit_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

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
				s.reset = func(ctx context.Context, _ store.Request) error {
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

// TestTimeoutOfTheLookUp: the look-up of the limits and the store's answer share
// Config.Timeout.
func TestTimeoutOfTheLookUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := policyOf(t, ratelimit.PerSecond(5))
		hanging := newFaultyStore()
		hanging.take = hang
		hanging.reset = func(ctx context.Context, _ store.Request) error {
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
			s.reset = func(ctx context.Context, _ store.Request) error {
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
