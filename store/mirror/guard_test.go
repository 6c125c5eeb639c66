package mirror_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/mirror"
)

// odd is a foreign store.
type odd struct {
	take func(ctx context.Context, r ratelimit.Request) (ratelimit.Decision, error)
}

func (o odd) Take(ctx context.Context, r ratelimit.Request) (ratelimit.Decision, error) {
	return o.take(ctx, r)
}
func (o odd) Reset(context.Context, string, *ratelimit.Policy) error { panic("reset") }

type typedError struct{}

func (*typedError) Error() string { panic("nil") }

// TestOddStores: whatever the shared store does, a request is decided in time.
func TestOddStores(t *testing.T) {
	hour := policy(t, ratelimit.PerHour(3))
	for name, c := range map[string]struct {
		class string
		take  func(ctx context.Context, r ratelimit.Request) (ratelimit.Decision, error)
	}{
		"panics": {ratelimit.ClassPanic, func(context.Context, ratelimit.Request) (ratelimit.Decision, error) { panic("take") }},
		"waits for its context": {ratelimit.ClassTimeout, func(ctx context.Context, _ ratelimit.Request) (ratelimit.Decision, error) {
			<-ctx.Done()
			return ratelimit.Decision{}, ctx.Err()
		}},
		"an error of its own": {ratelimit.ClassOther, func(context.Context, ratelimit.Request) (ratelimit.Decision, error) {
			return ratelimit.Decision{}, errors.New("own")
		}},
		"a typed nil": {ratelimit.ClassOther, func(context.Context, ratelimit.Request) (ratelimit.Decision, error) {
			return ratelimit.Decision{}, (*typedError)(nil)
		}},
		"admits what costs more than it owes": {ratelimit.ClassWrong, func(context.Context, ratelimit.Request) (ratelimit.Decision, error) {
			return ratelimit.Decision{Allowed: true}, nil
		}},
		"denies what has room": {ratelimit.ClassWrong, func(context.Context, ratelimit.Request) (ratelimit.Decision, error) {
			return ratelimit.Decision{}, nil
		}},
		"owes less than nothing": {ratelimit.ClassWrong, func(context.Context, ratelimit.Request) (ratelimit.Decision, error) {
			return ratelimit.Decision{Debts: [ratelimit.MaxLimits]ratelimit.Debt{{Micros: -1}}}, nil
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
					if took := time.Since(before); took > ratelimit.DefaultTimeout {
						t.Errorf("Allow took %v", took)
					}
				}
				if admitted != 3 {
					t.Errorf("%d requests were admitted; want 3", admitted)
				}
				time.Sleep(10 * time.Second)
				if err := limiter.Reset(t.Context(), "key"); ratelimit.ErrorClass(err) != mirror.ClassDown {
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
	if err := s.Reset(t.Context(), "key", policy(t, ratelimit.PerHour(3))); ratelimit.ErrorClass(err) != ratelimit.ClassPanic {
		t.Errorf("Reset returned %v; want an error of class panic", err)
	}
}

// failing is a store that returns an error.
type failing struct{ err error }

func (f failing) Take(context.Context, ratelimit.Request) (ratelimit.Decision, error) {
	return ratelimit.Decision{}, f.err
}
func (f failing) Reset(context.Context, string, *ratelimit.Policy) error { return f.err }

// TestTypedNil: an error that panics when it is inspected is a panic of the store, in Reset
// and in Check.
func TestTypedNil(t *testing.T) {
	s := newMirror(t, failing{(*ratelimit.StoreError)(nil)}, mirror.Config{})
	p := policy(t, ratelimit.PerHour(3))
	take(t, s, "key", p, 1)
	if err := s.Reset(t.Context(), "key", p); ratelimit.ErrorClass(err) != ratelimit.ClassPanic {
		t.Errorf("Reset returned %v; want an error of class panic", err)
	}
	if h := s.Check(t.Context()); h.Parts[0].Class != ratelimit.ClassPanic {
		t.Errorf("Check returned %+v; want class panic", h)
	}
}

// TestClassesAreWords: a class becomes a metric label, whatever the store puts into it.
func TestClassesAreWords(t *testing.T) {
	for _, class := range []string{"no such key sk_live_SECRET", "", strings.Repeat("x", 1000)} {
		synctest.Test(t, func(t *testing.T) {
			classes := make(chan string, 1)
			s := newMirror(t, failing{&ratelimit.StoreError{Class: class}}, mirror.Config{OnChange: func(c mirror.Change) { classes <- c.Class }})
			for range 3 {
				take(t, s, "key", policy(t, ratelimit.PerHour(3)), 1)
			}
			if got := <-classes; got != ratelimit.ClassOther {
				t.Errorf("OnChange reported class %.40q; want other", got)
			}
			if got := s.Check(t.Context()).Parts[0].Class; got != ratelimit.ClassOther {
				t.Errorf("Check reported class %.40q; want other", got)
			}
		})
	}
}
