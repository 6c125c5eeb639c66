package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

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

func TestBearer(t *testing.T) {
	authorization := func(values ...string) http.Header { return http.Header{"Authorization": values} }
	checkKeys(t, middleware.Bearer(), []keyCase{
		{name: "none"},
		{"token", authorization("Bearer abc"), "abc"},
		{"scheme in any case", authorization("bEARER abc"), "abc"},
		{"several spaces", authorization("Bearer   abc"), "abc"},
		{"trimmed", authorization(" Bearer abc\t"), "abc"},
		{"all of token68", authorization("Bearer aZ09-._~+/=="), "aZ09-._~+/=="},
		{"padding alone", authorization("Bearer =="), ""},
		{"padding within", authorization("Bearer a=b"), ""},
		{"padding in front", authorization("Bearer =abc"), ""},
		{"padding on both sides", authorization("Bearer ==abc=="), ""},
		{"padding in front of a letter and behind it", authorization("Bearer =a="), ""},
		{"much padding", authorization("Bearer a" + strings.Repeat("=", 300)), "a" + strings.Repeat("=", 300)},
		{"no token", authorization("Bearer"), ""},
		{"no token but a space", authorization("Bearer "), ""},
		{"no space", authorization("Bearerabc"), ""},
		{"tab", authorization("Bearer\tabc"), ""},
		{"tab behind the space", authorization("Bearer \tabc"), ""},
		{"two tokens", authorization("Bearer abc def"), ""},
		{"parameters", authorization("Bearer a,b"), ""},
		{"quoted", authorization(`Bearer "abc"`), ""},
		{"word in front", authorization("n1 Bearer abc"), ""},
		{"longer scheme", authorization("xBearer abc"), ""},
		{"another scheme", authorization("Basic abc"), ""},
		{"kelvin sign", authorization("Bearer \u212a"), ""},
		{"two headers", authorization("Bearer abc", "Bearer abc"), ambiguous},
		{"another and Bearer", authorization("Basic abc", "Bearer abc"), ambiguous},
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
	checkKeys(t, middleware.First(), []keyCase{{name: "of none"}})
}

func TestBucketKey(t *testing.T) {
	long := strings.Repeat("k", middleware.MaxKey)
	for _, c := range []struct{ name, key, want string }{
		{"empty", "", ""},
		{"short", "key", "key"},
		{"trimmed", " \tkey\t ", "key"},
		{"as long as may be", long, long},
		{"trimmed to as long as may be", " " + long + " ", long},
		{"any bytes", ambiguous, ambiguous},
	} {
		if got := middleware.BucketKey(c.key); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	hashed := middleware.BucketKey(long + "k")
	if len(hashed) > 64 || !strings.HasPrefix(hashed, " sha256 ") {
		t.Errorf("a long key became %q", hashed)
	}
	if again := middleware.BucketKey(" " + long + "k"); again != hashed {
		t.Errorf("a long key became %q and %q", hashed, again)
	}
	if other := middleware.BucketKey(long + "l"); other == hashed {
		t.Error("two long keys have one bucket")
	}
	if forged := middleware.BucketKey(hashed); forged == hashed {
		t.Error("a key can name the bucket of a long key")
	}
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
