package mirror_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror"
)

// odd is a foreign store.
type odd struct {
	take func(ctx context.Context, r store.Request) (store.Decision, error)
}

func (o odd) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	return o.take(ctx, r)
}
func (o odd) Reset(context.Context, store.Request) error { panic("reset") }

type typedError struct{}

func (*typedError) Error() string { panic("nil") }

// TestOddStores: whatever the shared store does, a request is decided in time.
func TestOddStores(t *testing.T) {
	hour := testkit.Policy(t, ratelimit.PerHour(3))
	for name, c := range map[string]struct {
		class string
		take  func(ctx context.Context, r store.Request) (store.Decision, error)
	}{
		"panics": {store.ClassPanic, func(context.Context, store.Request) (store.Decision, error) { panic("take") }},
		"waits for its context": {store.ClassTimeout, func(ctx context.Context, _ store.Request) (store.Decision, error) {
			<-ctx.Done()
			return store.Decision{}, ctx.Err()
		}},
		"an error of its own": {store.ClassOther, func(context.Context, store.Request) (store.Decision, error) {
			return store.Decision{}, errors.New("own")
		}},
		"a typed nil": {store.ClassPanic, func(context.Context, store.Request) (store.Decision, error) {
			return store.Decision{}, (*typedError)(nil)
		}},
		"admits what costs more than it owes": {store.ClassWrong, func(context.Context, store.Request) (store.Decision, error) {
			return store.Decision{Allowed: true}, nil
		}},
		"denies what has room": {store.ClassWrong, func(context.Context, store.Request) (store.Decision, error) {
			return store.Decision{}, nil
		}},
		"owes less than nothing": {store.ClassWrong, func(context.Context, store.Request) (store.Decision, error) {
			return store.Decision{Debts: [store.MaxLimits]gcra.Debt{{Micros: -1}}}, nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var classes []string
				s := newMirror(t, odd{take: c.take}, mirror.Config{OnChange: func(c mirror.Change) { classes = append(classes, c.Class) }})
				limiter, err := ratelimit.New(s, hour, ratelimit.Config{})
				if err != nil {
					t.Fatal(err)
				}
				admitted := 0
				for range 5 {
					before := time.Now()
					r, err := limiter.Allow(t.Context(), "key")
					if err != nil {
						t.Errorf("Allow returned an error: %v", err)
					}
					if r.Allowed {
						admitted++
					}
					if took := time.Since(before); took > store.DefaultTimeout {
						t.Errorf("Allow took %v", took)
					}
				}
				if admitted != 3 {
					t.Errorf("%d requests were admitted; want 3", admitted)
				}
				time.Sleep(10 * time.Second)
				if err := limiter.Reset(t.Context(), "key"); store.ErrorClass(err) != mirror.ClassDown {
					t.Errorf("Reset returned %v; want an error of class down", err)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				if len(classes) != 1 || classes[0] != c.class {
					t.Errorf("OnChange reported %q; want %q", classes, c.class)
				}
			})
		})
	}
}

// TestResetPanics: a panic of Reset is an error of the store.
func TestResetPanics(t *testing.T) {
	s := newMirror(t, odd{}, mirror.Config{})
	if err := s.Reset(t.Context(), store.Request{Key: "key", Limits: policy(t, ratelimit.PerHour(3))}); store.ErrorClass(err) != store.ClassPanic {
		t.Errorf("Reset returned %v; want an error of class panic", err)
	}
}

// failing is a store that returns an error.
type failing struct{ err error }

func (f failing) Take(context.Context, store.Request) (store.Decision, error) {
	return store.Decision{}, f.err
}
func (f failing) Reset(context.Context, store.Request) error { return f.err }

// TestTypedNil: an error that panics when it is inspected is a panic of the store, in Reset
// and in Check.
func TestTypedNil(t *testing.T) {
	s := newMirror(t, failing{(*store.Error)(nil)}, mirror.Config{})
	p := policy(t, ratelimit.PerHour(3))
	take(t, s, "key", p, 1)
	if err := s.Reset(t.Context(), store.Request{Key: "key", Limits: p}); store.ErrorClass(err) != store.ClassPanic {
		t.Errorf("Reset returned %v; want an error of class panic", err)
	}
	if h := s.Check(t.Context()); h.Parts[0].Class != store.ClassPanic {
		t.Errorf("Check returned %+v; want class panic", h)
	}
}

// TestClassesAreWords: a class becomes a metric label, whatever the store puts into it.
func TestClassesAreWords(t *testing.T) {
	for _, class := range []string{"no such key sk_live_SECRET", "", strings.Repeat("x", 1000)} {
		synctest.Test(t, func(t *testing.T) {
			classes := make(chan string, 1)
			s := newMirror(t, failing{&store.Error{Class: class}}, mirror.Config{OnChange: func(c mirror.Change) { classes <- c.Class }})
			for range 3 {
				take(t, s, "key", policy(t, ratelimit.PerHour(3)), 1)
			}
			if got := <-classes; got != store.ClassOther {
				t.Errorf("OnChange reported class %.40q; want other", got)
			}
			if got := s.Check(t.Context()).Parts[0].Class; got != store.ClassOther {
				t.Errorf("Check reported class %.40q; want other", got)
			}
		})
	}
}
