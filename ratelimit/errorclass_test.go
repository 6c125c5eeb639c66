package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// TestClassIsFitForALabel: a class is a word that the store documents, or "other".
// Whatever else a store puts there would be a label, or a key in one.
func TestClassIsFitForALabel(t *testing.T) {
	const key = "sk-live-5f0e2d"
	long := strings.Repeat("x", 32)
	for _, test := range []struct{ class, want string }{
		{"loading", "loading"},
		{"http-503", "http-503"},
		{"az09-", "az09-"},
		{"a`", store.ClassOther},
		{"a{", store.ClassOther},
		{"a/", store.ClassOther},
		{"a:", store.ClassOther},
		{long, long},
		{long + "x", store.ClassOther},
		{"", store.ClassOther},
		{"Loading", store.ClassOther},
		{"no node", store.ClassOther},
		{"lädt", store.ClassOther},
		{"a\nb", store.ClassOther},
		{key, store.ClassOther},
		{"redis-" + key, store.ClassOther},
	} {
		s := newFaultyStore()
		s.take = func(context.Context, store.Request) (store.Decision, error) {
			return store.Decision{}, &store.Error{Class: test.class, Err: errDown}
		}
		for _, backend := range []store.Store{s, selfTimedStore{s}} {
			_, err := newLimiterOn(t, backend, ratelimit.PerSecond(5), ratelimit.Config{}).Allow(t.Context(), key)
			if got := store.ErrorClass(err); got != test.want || holds(renderings(t, err), key) {
				t.Errorf("class %q became %q in %v, want %q", test.class, got, err, test.want)
			}
		}
	}
}

// silentError holds a key, and does not show it.
type silentError struct{ Key string }

func (silentError) Error() string { return "no such key" }

// TestStoreErrorPrintsItsText: an error whose text is harmless stays in the chain.
// No verb digs its fields out.
func TestStoreErrorPrintsItsText(t *testing.T) {
	const key = "canary-5f0e2d"
	s := newFaultyStore()
	s.take = func(context.Context, store.Request) (store.Decision, error) {
		return store.Decision{}, silentError{key}
	}
	_, err := newLimiterOn(t, s, ratelimit.PerSecond(5), ratelimit.Config{}).Allow(t.Context(), key)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		if got, want := fmt.Sprintf(verb, err), "ratelimit: the store could not decide (other): no such key"; got != want {
			t.Errorf("%s prints %s, want %s", verb, got, want)
		}
	}
}

// chainError is an error that wraps another one, if it is not nil itself.
type chainError struct{ inner error }

func (*chainError) Error() string { return "the look-up failed" }

func (e *chainError) Unwrap() error { return e.inner }

// TestErrorClassOfABrokenChain: a typed nil that can say what it is, and panics when
// asked what it wraps, is counted all the same.
func TestErrorClassOfABrokenChain(t *testing.T) {
	l := newLimiter(t, ratelimit.LimitsFunc(func(context.Context, string) (*ratelimit.Policy, error) {
		return nil, (*chainError)(nil)
	}), ratelimit.Config{})
	r, err := l.Allow(t.Context(), "canary")
	if got := store.ErrorClass(err); err == nil || got != store.ClassPanic || r.Allowed {
		t.Errorf("%+v, %v of class %q; want class %q", r, err, got, store.ClassPanic)
	}
}

func TestErrorClass(t *testing.T) {
	failed := &store.Error{Class: "loading", Err: errDown}
	_, limit := ratelimit.NewPolicy(ratelimit.PerSecond(0))
	for _, test := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{errDown, store.ClassOther},
		{failed, "loading"},
		{fmt.Errorf("wrapped: %w", failed), "loading"},
		{limit, store.ClassLimits},
		{fmt.Errorf("wrapped: %w", limit), store.ClassLimits},
		{errors.Join(limit, failed), "loading"},
	} {
		if got := store.ErrorClass(test.err); got != test.want {
			t.Errorf("%v: class %q, want %q", test.err, got, test.want)
		}
	}
}

// TestClassIsAWord: what a store writes into Class may become a metric label.
func TestClassIsAWord(t *testing.T) {
	for class, want := range map[string]string{"down": "down", "": store.ClassOther, "key sk_live": store.ClassOther} {
		if got := store.ErrorClass(&store.Error{Class: class}); got != want {
			t.Errorf("class %q counts as %q; want %q", class, got, want)
		}
	}
}
