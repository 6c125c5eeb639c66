package middleware_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/middleware"
)

// keyCase is a request and what a KeyFunc is to make of it.
type keyCase struct {
	name   string
	header http.Header
	want   string
}

func checkKeys(t *testing.T, key middleware.KeyFunc, cases []keyCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := key(call{header: c.header}.request()); got != c.want {
				t.Errorf("%v: key %q, want %q", c.header, got, c.want)
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
		{"two", http.Header{"X-Api-Key": {"a", "b"}}, middleware.Ambiguous},
		{"twice the same", http.Header{"X-Api-Key": {"a", "a"}}, middleware.Ambiguous},
		{"one empty", http.Header{"X-Api-Key": {"", "a"}}, middleware.Ambiguous},
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
		{"two headers", authorization("Bearer abc", "Bearer abc"), middleware.Ambiguous},
		{"another and Bearer", authorization("Basic abc", "Bearer abc"), middleware.Ambiguous},
	})
}

func TestFirst(t *testing.T) {
	checkKeys(t, middleware.First(middleware.Header("A"), middleware.Header("B")), []keyCase{
		{name: "none"},
		{"the first", http.Header{"A": {"a"}, "B": {"b"}}, "a"},
		{"the second", http.Header{"B": {"b"}}, "b"},
		{"the first is blank", http.Header{"A": {" "}, "B": {"b"}}, "b"},
		{"the first is ambiguous", http.Header{"A": {"a", "a"}, "B": {"b"}}, middleware.Ambiguous},
		{"the second is ambiguous", http.Header{"B": {"b", "b"}}, middleware.Ambiguous},
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
		{"ambiguous", middleware.Ambiguous, middleware.Ambiguous},
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

// TestKeyBuiltOnClientIP shows that a key which a user made of an address is the
// same in every process, and still no address.
func TestKeyBuiltOnClientIP(t *testing.T) {
	clientIP := middleware.ClientIP()
	key := middleware.BucketKey("tenant:" + clientIP(call{}.request()))
	if want := "tenant: ip 192.0.2.1"; key != want {
		t.Errorf("key %q, want %q", key, want)
	}
	for _, forged := range []string{clientIP(call{}.request()) + clientIP(call{}.request()), " ip 192.0.2.1"} {
		if key := middleware.BucketKey(strings.TrimPrefix(forged, "\x00")); key == middleware.AddressKey(call{}.addr()) {
			t.Errorf("%q names an address", forged)
		}
	}
}
