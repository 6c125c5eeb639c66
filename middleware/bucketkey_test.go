package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

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

// keySeen serves a request and returns the key that the limiter was asked about, ""
// if it was not, and the status.
func keySeen(t *testing.T, config middleware.Config, r *http.Request) (key string, status int) {
	t.Helper()
	limits := ratelimit.LimitsFunc(func(_ context.Context, k string) (*ratelimit.Policy, error) {
		key = k
		return ratelimit.Unlimited, nil
	})
	w := &sink{header: http.Header{}}
	config.OnFault = func(_ context.Context, class string) { t.Errorf("fault %s", class) }
	middleware.Must(middleware.RateLimit(newLimiter(t, limits, ratelimit.Config{}), quiet(config)))(bare).ServeHTTP(w, r)
	return key, w.status
}

// FuzzKey: whatever headers a stranger sends, the key is the header's bytes or the
// caller's address, and never one in place of the other.
func FuzzKey(f *testing.F) {
	f.Add("key", "", false, "", "192.0.2.1:1", "203.0.113.7")
	f.Add("", "b", true, "Bearer abc", "[2001:db8::1%x]:1", "")
	f.Add(" ip 192.0.2.1", "", false, "n1 Bearer K", "192.0.2.1:1", "")
	f.Add(" sha256 ", "", false, "bearer  a==", "@", "10.0.0.1, 10.0.0.1")
	f.Add("\x00ambiguous", "", false, "Bearer \x00ambiguous", "", ",")
	f.Add(strings.Repeat("k", 300), "", false, "", "192.0.2.1:1", "")
	f.Fuzz(func(t *testing.T, value, second string, two bool, authorization, peer, forwarded string) {
		r := call{}.request()
		r.RemoteAddr = peer
		address, _ := keySeen(t, middleware.Config{}, r)
		r.Header["X-Api-Key"] = []string{value}
		if two {
			r.Header["X-Api-Key"] = []string{value, second}
		}
		r.Header["Authorization"] = []string{authorization}
		r.Header["X-Forwarded-For"] = []string{forwarded}
		if !middleware.IsAddressKey(address) || len(address) > 64 {
			t.Errorf("the bucket of the address %q is %q", peer, address)
		}
		trimmed := strings.Trim(value, " \t")

		key, status := keySeen(t, middleware.Config{Key: middleware.Header("X-API-Key")}, r)
		switch {
		case two:
			if status != http.StatusBadRequest || key != "" {
				t.Errorf("two keys: status %d, key %q", status, key)
			}
		case trimmed == "":
			if key != address {
				t.Errorf("no key: %q, want the address %q", key, address)
			}
		case len(trimmed) <= middleware.MaxKey:
			if key != trimmed {
				t.Errorf("key %q, want %q", key, trimmed)
			}
		default:
			if len(key) != len(" sha256 ")+32 {
				t.Errorf("a key of %d bytes became %q", len(trimmed), key)
			}
		}
		if trimmed != "" && middleware.IsAddressKey(key) {
			t.Errorf("the key %q became the address %q", value, key)
		}

		// A token is what it says, and nothing that is not one makes a bucket.
		token, status := keySeen(t, middleware.Config{Key: middleware.Bearer(), RequireKey: true}, r)
		if token == "" && status != http.StatusUnauthorized {
			t.Errorf("Authorization %q: status %d without a token", authorization, status)
		}
		if len(authorization) <= middleware.MaxKey && token != "" && (strings.ContainsAny(token, " \t,\"\x00") || !strings.HasSuffix(strings.TrimRight(authorization, " \t"), " "+token)) {
			t.Errorf("Authorization %q has the token %q", authorization, token)
		}

		// No header changes the bucket of an address, when no proxy is trusted.
		if key, _ := keySeen(t, middleware.Config{}, r); key != address {
			t.Errorf("address %q, want %q", key, address)
		}
	})
}

func TestStrangeKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), byKey))(hello)
		mebibyte := strings.Repeat("k", 1<<20)
		keys := []string{
			mebibyte, mebibyte + "k", mebibyte[1:] + "l", "\x00", "\x00\x00", "a\x00", "a\x00b", "a\tb", "a b", "a\r\nb", "{}", "*", "a*", "\xff", "\xff\xfe",
			"key", "kеy" /* a Cyrillic letter */, "KEY", "ke\u200by", "\u00e9", "e\u0301", "192.0.2.1", "ip 192.0.2.1", "unknown", "sha256 x",
		}
		for _, key := range keys {
			if n := (call{header: http.Header{"X-API-Key": {key}}}).exhaust(t, h); n != 5 {
				t.Errorf("key %.20q: %d calls served, want 5 of its own", key, n)
			}
		}
		wantStatus(t, h, call{}, http.StatusOK) // the address has its own
		for _, padded := range []string{" key", "key ", "\tkey\t ", "  key"} {
			wantStatus(t, h, call{header: http.Header{"X-API-Key": {padded}}}, http.StatusTooManyRequests)
		}
	})
}

// TestKeysAreNeverJoined: nothing is joined. Keys are whole, an address is no key,
// and a long key's hash is none either.
func TestKeysAreNeverJoined(t *testing.T) {
	seen := map[string]string{}
	add := func(what, bucket string) {
		if other, ok := seen[bucket]; ok {
			t.Errorf("%s and %s have the bucket %q", what, other, bucket)
		}
		seen[bucket] = what
	}
	long := strings.Repeat("x", middleware.MaxKey+1)
	keys := []string{
		"a|b", "a|", "|b", "a:b", "ip 192.0.2.1", "192.0.2.1", "2001:db8::/64", "unknown", "ip unknown", "sha256", long, long + "y",
		strings.TrimSpace(middleware.BucketKey(long)), strings.TrimSpace(middleware.BucketKey(long + "y")), long[1:],
	}
	for _, key := range keys {
		add(fmt.Sprintf("the key %q", key), middleware.BucketKey(key))
	}
	for _, addr := range []netip.Addr{{}, netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.11"), netip.MustParseAddr("2001:db8::1")} {
		add(fmt.Sprintf("the address %v", addr), middleware.AddressKey(addr))
	}
	for _, bucket := range []string{middleware.AddressKey(netip.Addr{}), middleware.AddressKey(netip.MustParseAddr("192.0.2.1")), middleware.BucketKey(long)} {
		if got := middleware.BucketKey(bucket); seen[got] != "" && got == bucket {
			t.Errorf("a key can name the bucket %q", bucket)
		}
	}

	// The same through the door, with a KeyFunc that passes on any bytes.
	synctest.Test(t, func(t *testing.T) {
		raw := middleware.Config{Key: keyFunc(func(r *http.Request) string { return r.URL.Query().Get("key") })}
		h := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), raw))(hello)
		for _, query := range []string{"%20ip%20192.0.2.1", "ip%20192.0.2.1", "%00ip%20192.0.2.1", "192.0.2.1"} {
			for range 9 {
				call{target: "/?key=" + query, peer: "203.0.113.7:1"}.to(h)
			}
		}
		wantStatus(t, h, call{peer: "192.0.2.1:1"}, http.StatusOK)
	})
}

// TestRandomKeysTakeNoMemory: keys without end, however long, take no memory here and a
// bounded amount in the store.
func TestRandomKeysTakeNoMemory(t *testing.T) {
	h := middleware.Must(middleware.RateLimit(limiterOn(t, memstore.New(memstore.Config{MaxKeys: 1000}), ratelimit.PerHour(5), ratelimit.Config{}), byKey))(hello)
	victim := call{key: "victim"}
	victim.exhaust(t, h)
	w, r := &sink{header: http.Header{}}, call{}.request()
	for i := range 20_000 {
		r.Header["X-Api-Key"] = []string{fmt.Sprintf("%0*d", 1+i%1000, i)}
		w.reset()
		h.ServeHTTP(w, r)
	}
	wantStatus(t, h, victim, http.StatusTooManyRequests)
}
