package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

// keyCase is a request and the key that it must have: "" for none, ambiguous for several.
type keyCase struct {
	name   string
	header http.Header
	want   string
}

const ambiguous = "\x00ambiguous"

func checkKeys(t *testing.T, key middleware.Key, cases []keyCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, status := keySeen(t, middleware.Config{Key: key, RequireKey: true}, call{header: c.header}.request())
			wantStatus := http.StatusOK
			switch c.want {
			case "":
				wantStatus = http.StatusUnauthorized
			case ambiguous:
				wantStatus, c.want = http.StatusBadRequest, ""
			}
			if got != middleware.BucketKey(c.want) || status != wantStatus {
				t.Errorf("%v: key %q, status %d, want %q, %d", c.header, got, status, c.want, wantStatus)
			}
		})
	}
}

func TestHeader(t *testing.T) {
	checkKeys(t, middleware.Header("x-api-KEY"), []keyCase{
		{name: "none"},
		{"one", http.Header{"X-Api-Key": {"k"}}, "k"},
		{"any spelling", http.Header{"x-api-key": {"k"}}, "k"},
		{"empty", http.Header{"X-Api-Key": {""}}, ""},
		{"blank", http.Header{"X-Api-Key": {" \t "}}, ""},
		{"trimmed", http.Header{"X-Api-Key": {"\t k l  "}}, "k l"},
		{"exact bytes", http.Header{"X-Api-Key": {"\u00a0k\xff\r"}}, "\u00a0k\xff\r"},
		{"a list is one key", http.Header{"X-Api-Key": {"a, b"}}, "a, b"},
		{"two", http.Header{"X-Api-Key": {"a", "b"}}, ambiguous},
		{"twice the same", http.Header{"X-Api-Key": {"a", "a"}}, ambiguous},
		{"one empty", http.Header{"X-Api-Key": {"", "a"}}, ambiguous},
		{"another header", http.Header{"X-Api-Keys": {"a"}}, ""},
	})
}

func TestFirst(t *testing.T) {
	checkKeys(t, middleware.First(middleware.Header("A"), middleware.Header("B")), []keyCase{
		{name: "none"},
		{"the first", http.Header{"A": {"a"}, "B": {"b"}}, "a"},
		{"the second", http.Header{"B": {"b"}}, "b"},
		{"the first is blank", http.Header{"A": {" "}, "B": {"b"}}, "b"},
		{"the first is ambiguous", http.Header{"A": {"a", "a"}, "B": {"b"}}, ambiguous},
		{"the second is ambiguous", http.Header{"B": {"b", "b"}}, ambiguous},
		{"the second does not matter", http.Header{"A": {"a"}, "B": {"b", "b"}}, "a"},
	})
}

// TestKeyFunc: what the function returns, and what becomes of the request.
func TestKeyFunc(t *testing.T) {
	const address = " ip 192.0.2.1"
	secret := errors.New("no row for " + canary)
	for _, c := range []struct {
		name    string
		key     string
		err     error
		require bool
		want    string // the key of the limiter
		status  int
		class   string // of the fault
	}{
		{"a key", "k", nil, false, "k", 200, ""},
		{"none", "", nil, false, address, 200, ""},
		{"blank", " \t", nil, false, address, 200, ""},
		{"none, but required", "", nil, true, "", 401, ""},
		{"an address as a key", address, nil, true, "ip 192.0.2.1", 200, ""},
		{"ambiguous", "k", middleware.ErrAmbiguous, false, "", 400, ""},
		{"ambiguous, wrapped", "", fmt.Errorf("%w: %w", secret, middleware.ErrAmbiguous), true, "", 400, ""},
		{"an error", "k", secret, false, address, 200, middleware.FaultKey},
		{"an error, but required", "k", secret, true, "", 401, middleware.FaultKey},
		{"an error that panics", "", (*chainError)(nil), false, address, 200, middleware.FaultKeyPanic},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, key := range map[string]middleware.Key{
				"alone":    middleware.KeyFunc(func(*http.Request) (string, error) { return c.key, c.err }),
				"in First": middleware.First(middleware.Bearer(), middleware.KeyFunc(func(*http.Request) (string, error) { return c.key, c.err })),
			} {
				var r recorder
				config := r.watch(middleware.Config{Key: key, RequireKey: c.require})
				seen := ""
				limits := ratelimit.LimitsFunc(func(_ context.Context, k string) (*ratelimit.Policy, error) {
					seen = k
					return ratelimit.Unlimited, nil
				})
				w := wantStatus(t, middleware.Must(middleware.RateLimit(newLimiter(t, limits, ratelimit.Config{}), config))(hello), call{}, c.status)
				if seen != c.want {
					t.Errorf("%s: key %q, want %q", name, seen, c.want)
				}
				if got := strings.Join(r.faults(), ","); got != c.class {
					t.Errorf("%s: faults %q, want %q", name, got, c.class)
				}
				wantAbsent(t, dump(w)+r.log(), canary)
			}
		})
	}
}

type identity struct{}

// TestVerifiedIdentity: keyed on what auth has verified, made-up credentials
// make no buckets, and however a good one is spelled it is one bucket.
func TestVerifiedIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), middleware.Config{Key: keyFunc(func(r *http.Request) string {
			user, _ := r.Context().Value(identity{}).(string)
			return user
		})}))(hello)
		auth := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.Header.Get("Authorization"), "K") { // as lax as can be
				r = r.WithContext(context.WithValue(r.Context(), identity{}, "alice"))
			}
			limit.ServeHTTP(w, r)
		})
		served := 0
		for i := range 100 {
			good := call{header: http.Header{"Authorization": {fmt.Sprintf("n%d Bearer K", i)}}}
			bad := call{header: http.Header{"Authorization": {fmt.Sprintf("Bearer %d", i)}}}
			for _, c := range []call{good, bad} {
				if c.to(auth).Code == http.StatusOK {
					served++
				}
			}
		}
		if served != 10 {
			t.Errorf("%d calls served, want 5 for the identity and 5 for the address", served)
		}
	})
}

func TestWithoutAKey(t *testing.T) {
	for name, key := range map[string]middleware.Key{
		"zero":   {},
		"Header": middleware.Header("X-API-Key"),
		"Bearer": middleware.Bearer(),
		"First":  middleware.First(middleware.Header("X-API-Key"), middleware.Bearer()),
		"blank":  keyFunc(func(*http.Request) string { return " \t " }),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), middleware.Config{Key: key}))(hello)
				for _, peer := range []string{"192.0.2.1:1", "192.0.2.2:1", "@"} {
					if n := (call{peer: peer}).exhaust(t, h); n != 5 {
						t.Errorf("%d calls without a key served from %s, want 5", n, peer)
					}
				}
			})
		})
	}
}

func TestKeyHeaderTwice(t *testing.T) {
	limiter := newLimiter(t, five, ratelimit.Config{})
	reached := false
	h := middleware.Must(middleware.RateLimit(limiter, middleware.Config{Key: middleware.First(middleware.Header("X-API-Key"), middleware.Bearer())}))(
		http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	for _, header := range []http.Header{
		{"X-API-Key": {"mine", "victim"}},
		{"X-API-Key": {"victim", "victim"}},
		{"X-API-Key": {"", "victim"}},
		{"Authorization": {"Bearer mine", "Bearer victim"}},
	} {
		wantStatus(t, h, call{header: header}, http.StatusBadRequest)
	}
	if reached {
		t.Error("the handler was reached")
	}
	for _, key := range []string{"mine", "victim", "", middleware.AddressKey(call{}.addr())} {
		if r, err := limiter.Peek(t.Context(), key); err != nil || r.Remaining() != 5 {
			t.Errorf("key %q was charged (error %v)", key, err)
		}
	}
}
