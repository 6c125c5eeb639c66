package ratelimit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// renderings are all ways in which a program may come to print an error.
func renderings(t testing.TB, err error) string {
	t.Helper()
	var b bytes.Buffer
	for e := err; e != nil; e = errors.Unwrap(e) {
		b.WriteString(e.Error())
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&b, "\n"+verb, e)
			fmt.Fprintf(&b, "\n"+verb, struct{ Err error }{e})
		}
		for _, v := range []any{e, struct{ Err error }{e}} {
			if text, err := json.Marshal(v); err == nil { // not of all foreign types
				b.Write(text)
			}
		}
		slog.New(slog.NewTextHandler(&b, nil)).Info("failed", "err", e)
		slog.New(slog.NewJSONHandler(&b, nil)).Info("failed", "err", e)
	}
	fmt.Fprintf(&b, "%v %+v", fmt.Errorf("wrapped: %w", err), errors.Join(err, err))
	return b.String()
}

// holds reports whether text holds the key, as it is, as hexadecimal digits or as
// %q prints it.
func holds(text, key string) bool {
	quoted := strconv.Quote(key)
	return strings.Contains(text, key) || strings.Contains(text, quoted[1:len(quoted)-1]) || strings.Contains(text, fmt.Sprintf("%x", key))
}

// keyError is an error of a store or of a look-up that shows the key.
type keyError struct{ Key string }

func (e keyError) Error() string { return "no such key: " + e.Key }

var errDown = errors.New("the backend is down")

// TestKeyIsWithheld: whatever a store or a look-up of limits puts into its error,
// the key cannot be read from what the limiter returns and observes. The control
// finds it in the errors themselves.
func TestKeyIsWithheld(t *testing.T) {
	for _, key := range []string{"canary-5f0e2d", "canary \"quoted\"\x00\r\n\xff é", "{canary}"} {
		for name, cause := range map[string]error{
			"text":        errors.New("cannot take " + key),
			"quoted":      fmt.Errorf("cannot take %q", key),
			"a type":      keyError{key},
			"a pointer":   &keyError{key},
			"wrapped":     fmt.Errorf("key %s: %w", key, errDown),
			"joined":      errors.Join(errDown, keyError{key}),
			"timeout":     fmt.Errorf("key %s: %w", key, context.DeadlineExceeded),
			"StoreError":  &store.Error{Class: "loading", Err: keyError{key}},
			"wrapped it":  fmt.Errorf("%s: %w", key, &store.Error{Class: "loading", Err: errDown}),
			"LimitError":  &ratelimit.LimitError{Field: "key", Value: key, Want: "must exist"},
			"wrapped key": fmt.Errorf("deep: %w", fmt.Errorf("deeper: %w", keyError{key})),
		} {
			t.Run(name+"/"+strconv.Quote(key), func(t *testing.T) {
				if !holds(renderings(t, cause), key) {
					t.Fatal("the control does not find the key in the cause")
				}
				var events []ratelimit.Event
				config := ratelimit.Config{Observe: func(_ context.Context, e ratelimit.Event) { events = append(events, e) }}
				s := newFaultyStore()
				s.take = func(context.Context, store.Request) (store.Decision, error) {
					return store.Decision{}, cause
				}
				s.reset = func(context.Context, store.Request) error { return cause }
				faulty := newLimiterOn(t, s, ratelimit.PerSecond(5), config)
				lookup := newLimiter(t, ratelimit.LimitsFunc(func(context.Context, string) (*ratelimit.Policy, error) { return nil, cause }), config)
				for _, l := range []*ratelimit.Limiter{faulty, lookup} {
					_, allowErr := l.Allow(t.Context(), key)
					_, peekErr := l.Peek(t.Context(), key)
					for _, err := range []error{allowErr, peekErr, l.Reset(t.Context(), key), l.Wait(t.Context(), key)} {
						if err == nil {
							t.Fatal("no error")
						}
						if text := renderings(t, err); holds(text, key) {
							t.Errorf("the key can be read:\n%s", text)
						}
						if strings.HasPrefix(name, "wrapped") && name != "wrapped key" && !errors.Is(err, errDown) {
							t.Errorf("errors.Is does not find the cause of %v", err)
						}
					}
				}
				if len(events) != 4 {
					t.Errorf("%d events, want 4", len(events))
				}
				for _, e := range events {
					if text := fmt.Sprintf("%v %+v %#v", e, e, e); holds(text, key) || e.Err == nil {
						t.Errorf("the key can be read from the event: %s", text)
					}
				}
			})
		}
	}
}

// An error that does not hold the key is passed on as it is.
func TestStoreErrorIsPassedOn(t *testing.T) {
	for _, test := range []struct {
		name  string
		cause error
		class string
		want  string
	}{
		{"any error", errDown, store.ClassOther, "ratelimit: the store could not decide (other): the backend is down"},
		{"a StoreError", &store.Error{Class: "loading", Err: errDown}, "loading", "ratelimit: the store could not decide (loading): the backend is down"},
		{"a StoreError without a cause", &store.Error{Class: "loading"}, "loading", "ratelimit: the store could not decide (loading)"},
		{"a wrapped StoreError", fmt.Errorf("take: %w", &store.Error{Class: "loading", Err: errDown}), "loading", "ratelimit: the store could not decide (loading): the backend is down"},
		{"a timeout", context.DeadlineExceeded, store.ClassTimeout, "ratelimit: the store could not decide (timeout): context deadline exceeded"},
		{"a wrapped timeout", fmt.Errorf("take: %w", context.DeadlineExceeded), store.ClassTimeout, "ratelimit: the store could not decide (timeout): take: context deadline exceeded"},
		{"cancelled", context.Canceled, store.ClassCanceled, "ratelimit: the store could not decide (canceled): context canceled"},
		{"a StoreError about a timeout", &store.Error{Class: "moved", Err: context.DeadlineExceeded}, "moved", "ratelimit: the store could not decide (moved): context deadline exceeded"},
		{"a typed nil", (*store.Error)(nil), store.ClassPanic, "ratelimit: the store could not decide (panic): its error panicked"},
		{"another typed nil", (*keyError)(nil), store.ClassPanic, "ratelimit: the store could not decide (panic): its error panicked"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newFaultyStore()
			s.take = func(context.Context, store.Request) (store.Decision, error) {
				return store.Decision{}, test.cause
			}
			s.reset = func(context.Context, store.Request) error { return test.cause }
			for _, key := range []string{"some key", ""} { // every text holds the empty key
				if key == "" && test.class == store.ClassPanic {
					continue
				}
				for _, backend := range []store.Store{s, selfTimedStore{s}} {
					l := newLimiterOn(t, backend, ratelimit.PerSecond(5), ratelimit.Config{})
					r, err := l.Allow(t.Context(), key)
					failed, ok := errors.AsType[*store.Error](err)
					if !ok || failed.Class != test.class || err.Error() != test.want || store.ErrorClass(err) != test.class || r.Allowed {
						t.Errorf("Allow: %+v, %v; want class %q, %q", r, err, test.class, test.want)
					}
					if err := l.Reset(t.Context(), key); err == nil || err.Error() != test.want {
						t.Errorf("Reset: %v, want %q", err, test.want)
					}
				}
			}
		})
	}
}

func TestStorePanics(t *testing.T) {
	const key = "canary-5f0e2d"
	for _, value := range []any{key, errors.New(key), 7, nil} {
		s := newFaultyStore()
		s.take = func(context.Context, store.Request) (store.Decision, error) { panic(value) }
		s.reset = func(context.Context, store.Request) error { panic(value) }
		l := newLimiterOn(t, s, ratelimit.PerSecond(5), ratelimit.Config{})
		r, err := l.Allow(t.Context(), key)
		for _, err := range []error{err, l.Reset(t.Context(), key), l.Wait(t.Context(), key)} {
			if store.ErrorClass(err) != store.ClassPanic || r.Allowed || holds(renderings(t, err), key) {
				t.Errorf("panic(%v): %+v, %v", value, r, err)
			}
		}
	}
}

func TestLimitErrorText(t *testing.T) {
	for _, test := range []struct {
		err  ratelimit.LimitError
		want string
	}{
		{ratelimit.LimitError{Field: "n", Value: -1, Want: "must be at least 0"}, "ratelimit: n -1 must be at least 0"},
		{ratelimit.LimitError{Limit: "daily", Field: "Period", Value: time.Second, Want: "must"}, `ratelimit: limit "daily": Period 1s must`},
		{ratelimit.LimitError{Field: "text", Value: "a\nb", Want: "must"}, `ratelimit: text "a\nb" must`},
		{ratelimit.LimitError{Field: "f", Value: 1, Want: "must", Err: errDown}, "ratelimit: f 1 must: the backend is down"},
	} {
		if got := test.err.Error(); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
		if got := test.err.Unwrap(); !errors.Is(got, test.err.Err) {
			t.Errorf("Unwrap: %v, want %v", got, test.err.Err)
		}
	}
}
