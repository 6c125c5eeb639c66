package ratelimit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store"
)

// fieldError is an error that holds a key, and does not say so.
type fieldError struct {
	Key    string
	Detail []byte
}

func (fieldError) Error() string { return "no such customer" }

// TestKeyIsWithheldInEverySpelling: a key in the error of a store, or of a look-up of
// limits, as other programs write it, cannot be read from what the limiter returns, nor
// from what an observer logs. The control finds it in the errors themselves.
func TestKeyIsWithheldInEverySpelling(t *testing.T) {
	keys := []string{
		testkit.Canary,
		"sk_live+abc/DEF==",
		"4eC39HqLyjWDarjtT1zdp7dc",
		"\x00\xff quoted \"canary\" <&>\r\n\t\\ end",
		"ключ+/=?&",
		strings.Repeat("long+/", 60),
	}
	for _, key := range keys {
		for name, spelling := range testkit.Spellings(key) {
			for how, cause := range map[string]error{
				"text":        errors.New("cannot take " + spelling),
				"a URL":       &url.Error{Op: "Get", URL: "https://db.example/limits?key=" + spelling, Err: errDown},
				"wrapped":     fmt.Errorf("key %s: %w", spelling, errDown),
				"joined":      errors.Join(errDown, keyError{spelling}),
				"in a field":  fieldError{Key: spelling, Detail: []byte(spelling)},
				"StoreError":  &store.Error{Class: "loading", Err: keyError{spelling}},
				"LimitError":  &ratelimit.LimitError{Limit: "l", Field: "key", Value: spelling, Want: "must exist", Err: errors.New(spelling)},
				"in a header": fmt.Errorf("%q", "Authorization: Bearer "+spelling),
			} {
				if key != testkit.Canary && how != "a URL" {
					continue // the ways of wrapping have been seen with one key
				}
				if spelled := testkit.Spelled(renderings(t, cause), spelling); len(spelled) == 0 {
					t.Errorf("%s, %s: the control finds nothing", name, how)
				}
				errs, logged := failWith(t, key, cause)
				for _, text := range append(errs, logged) {
					if found := testkit.Spelled(text, key); found != nil || strings.Contains(text, spelling) {
						t.Errorf("%s, %s of %q: %v can be read:\n%s", name, how, key, found, text)
					}
				}
			}
		}
	}
}

// failWith returns what can be read of the errors where a store and a look-up fail with
// cause, or panic with it, and what an observer logs of them.
func failWith(t *testing.T, key string, cause error) (errs []string, logged string) {
	t.Helper()
	var log bytes.Buffer
	config := ratelimit.Config{Observe: func(_ context.Context, e ratelimit.Event) {
		fmt.Fprintf(&log, "%v %+v %#v\n", e, e, e)
		slog.New(slog.NewTextHandler(&log, nil)).Info("decided", "event", e)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("decided", "event", e)
		text, err := json.Marshal(e)
		if err != nil {
			t.Errorf("the event has no JSON: %v", err)
		}
		log.Write(text)
	}}
	s, bad := newFaultyStore(), newFaultyStore()
	s.take = func(context.Context, store.Request) (store.Decision, error) {
		return store.Decision{}, cause
	}
	s.reset = func(context.Context, store.Request) error { return cause }
	bad.take = func(context.Context, store.Request) (store.Decision, error) { panic(cause) }
	bad.reset = func(context.Context, store.Request) error { panic(cause) }
	fails := ratelimit.LimitsFunc(func(context.Context, string) (*ratelimit.Policy, error) { return nil, cause })
	panics := ratelimit.LimitsFunc(func(context.Context, string) (*ratelimit.Policy, error) { panic(cause) })
	for _, l := range []*ratelimit.Limiter{
		newLimiterOn(t, s, ratelimit.PerSecond(5), config),
		newLimiterOn(t, selfTimedStore{s}, ratelimit.PerSecond(5), config),
		newLimiterOn(t, bad, ratelimit.PerSecond(5), config),
		newLimiter(t, fails, config),
		newLimiter(t, panics, config),
		newLimiter(t, cached(t, fails), config),
		newLimiter(t, cached(t, panics), config),
	} {
		_, allowErr := l.Allow(t.Context(), key)
		_, peekErr := l.Peek(t.Context(), key)
		for _, err := range []error{allowErr, peekErr, l.Reset(t.Context(), key), l.Wait(t.Context(), key)} {
			if err == nil {
				t.Fatal("no error")
			}
			if text, jsonErr := json.Marshal(err); jsonErr != nil || !json.Valid(text) {
				t.Errorf("%v has no JSON: %s, %v", err, text, jsonErr)
			}
			errs = append(errs, renderings(t, err))
		}
	}
	return errs, log.String()
}

// TestKeyIsWithheldWhereEscapesMix: a key that looks like HTML is withheld in other escapes,
// and one with characters beyond U+FFFF where JSON is in ASCII.
func TestKeyIsWithheldWhereEscapesMix(t *testing.T) {
	for _, c := range []struct{ key, spelling string }{
		{"u=1&region=eu", "u%3D1%26region%3Deu"},
		{"u=1&region=eu", `u=1\u0026region=eu`},
		{"u=1&region=eu", "u%253D1%2526region%253Deu"},
		{"a&amp;b;c&lt", "a%26amp%3Bb%3Bc%26lt"},
		{"a&amp;b;c&lt", "a&amp;amp;b;c&amp;lt"},
		{"a&amp;b;c&lt", "a%26amp%3Bamp%3Bb%3Bc%26amp%3Blt"},
		{"🔑🗝🔒🔓", `\ud83d\udd11\ud83d\udddd\ud83d\udd12\ud83d\udd13`},
		{"k🔑", `K\uD83D\uDD11`},
		{"k🔑", `\\u006b\\ud83d\\udd11`},
	} {
		cause := errors.New("no row for " + c.spelling)
		errs, logged := failWith(t, c.key, cause)
		for _, text := range append(errs, logged) {
			if strings.Contains(text, "no row for") {
				t.Errorf("%q as %s can be read:\n%s", c.key, c.spelling, text)
			}
		}
	}
	// What is not the key can be read.
	errs, _ := failWith(t, "k🔑1234567", errors.New(`no row for \ud83d, \udd11\ud83d or \u`))
	for _, text := range errs[:1] {
		if !strings.Contains(text, "no row for") {
			t.Errorf("withheld without a reason: %s", text)
		}
	}
}

// TestKeyIsWithheldInPart: of a key of some length, a part of it is withheld as well.
func TestKeyIsWithheldInPart(t *testing.T) {
	const key = "sk_live_4eC39HqLyjWDarjtT1zdp7dc"
	for _, text := range []string{
		"invalid key " + key[:20] + "...",
		"invalid key ..." + key[len(key)-16:],
		strings.ToUpper(key),
		"Basic " + testkit.Spellings("user:" + key)["base64"],
		"Basic " + testkit.Spellings("me:" + key + ":x")["base64 URL, no ="],
		strings.ReplaceAll(testkit.Spellings(key)["hex"], "34", "3 4"),
		fmt.Sprintf("%#v", []byte(key)),
		"line\n" + testkit.Spellings(key)["base64"][:20] + "\r\n" + testkit.Spellings(key)["base64"][20:],
	} {
		errs, logged := failWith(t, key, errors.New(text))
		for _, shown := range append(errs, logged) {
			if strings.Contains(shown, text) {
				t.Errorf("%q is shown: %s", text, shown)
			}
		}
	}
}

// TestForeignErrorIsShown where it does not hold the key: its text, and nothing that only
// its fields hold. Programs can still find it.
func TestForeignErrorIsShown(t *testing.T) {
	const key = "sk_live_4eC39HqLyjWDarjtT1zdp7dc"
	for _, text := range []string{
		"dial tcp 10.0.0.7:5432: connect: connection refused",
		`Get "https://db.example/limits?plan=gold%20plus": EOF`,
		"100% of \\ the pool & more is in use",
		strings.Repeat("sk_live ", 20),
	} {
		cause := fmt.Errorf("%s: %w", text, fieldError{Key: key})
		l := newLimiter(t, ratelimit.LimitsFunc(func(context.Context, string) (*ratelimit.Policy, error) { return nil, cause }), ratelimit.Config{})
		_, err := l.Allow(t.Context(), key)
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%v does not show %q", err, text)
		}
		if found, ok := errors.AsType[fieldError](err); !ok || found.Key != key || !errors.Is(err, cause) {
			t.Errorf("the cause of %v is not found", err)
		}
	}
	l := newLimiter(t, ratelimit.LimitsFunc(func(context.Context, string) (*ratelimit.Policy, error) {
		return nil, errors.New(strings.Repeat("x", 1<<20))
	}), ratelimit.Config{})
	if _, err := l.Allow(t.Context(), "k"); err == nil || len(err.Error()) > 500 {
		t.Errorf("an error of a megabyte is shown: %d bytes", len(err.Error()))
	}
}

// TestErrorsAreOneText, whatever prints them: also those with a value that JSON cannot
// carry, or that names a key.
func TestErrorsAreOneText(t *testing.T) {
	const key = "sk_live_4eC39HqLyjWDarjtT1zdp7dc"
	panicked := &store.PanicError{Value: map[any]any{key: make(chan int)}, Stack: []byte(key)}
	for want, err := range map[string]error{
		"it panicked":                    panicked,
		"ratelimit: n 1 must":            &ratelimit.LimitError{Field: "n", Value: 1, Want: "must"},
		"ratelimit: f must: it panicked": &ratelimit.LimitError{Field: "f", Want: "must", Err: panicked},
		"ratelimit: the store could not decide (panic): it panicked": &store.Error{Class: "panic", Err: panicked},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d"} {
			if got := fmt.Sprintf(verb, err); got != want {
				t.Errorf("%s prints %q; want %q", verb, got, want)
			}
		}
		if got, jsonErr := json.Marshal(err); jsonErr != nil || string(got) != fmt.Sprintf("%q", want) {
			t.Errorf("JSON: %s, %v; want %q", got, jsonErr, want)
		}
	}
}

func cached(t *testing.T, limits ratelimit.Limits) *plans.Cache {
	t.Helper()
	c, err := plans.NewCache(limits, plans.CacheConfig{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
