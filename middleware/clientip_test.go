package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

func prefixes(s ...string) []netip.Prefix {
	var p []netip.Prefix
	for _, s := range s {
		p = append(p, netip.MustParsePrefix(s))
	}
	return p
}

// addressOf returns the key that a request is limited by, with no proxies in the Config.
func addressOf(t *testing.T, key middleware.Key, c call) string {
	t.Helper()
	return addressSeen(t, middleware.Config{Key: key}, c)
}

func TestClientAddress(t *testing.T) {
	local := prefixes("10.0.0.0/8", "fd00::/8")
	for _, c := range []struct {
		name      string
		trusted   []netip.Prefix
		peer      string
		forwarded []string
		want      string // the key
	}{
		{"IPv4", nil, "192.0.2.1:1234", nil, " ip 192.0.2.1"},
		{"IPv6 by /64", nil, "[2001:db8:1:2:3:4:5:6]:1234", nil, " ip 2001:db8:1:2::/64"},
		{"IPv4 in IPv6", nil, "[::ffff:192.0.2.1]:1234", nil, " ip 192.0.2.1"},
		{"zone", nil, "[fe80::1%eth0]:1234", nil, " ip fe80::/64"},
		{"zone and IPv4 in IPv6", nil, "[::ffff:192.0.2.1%eth0]:1234", nil, " ip 192.0.2.1"},
		{"loopback", nil, "[::1]:1234", nil, " ip ::/64"},
		{"without a port", nil, "192.0.2.1", nil, " ip 192.0.2.1"},
		{"Unix socket", nil, "@", nil, " ip unknown"},
		{"nothing", nil, "", nil, " ip unknown"},
		{"nonsense", nil, "192.0.2.256:80", nil, " ip unknown"},

		{"nobody is trusted", nil, "10.0.0.1:1", []string{"203.0.113.7"}, " ip 10.0.0.1"},
		{"the peer is not trusted", local, "192.0.2.1:1", []string{"203.0.113.7"}, " ip 192.0.2.1"},
		{"the peer is unknown", local, "@", []string{"203.0.113.7"}, " ip unknown"},
		{"no header", local, "10.0.0.1:1", nil, " ip 10.0.0.1"},
		{"one hop", local, "10.0.0.1:1", []string{"203.0.113.7"}, " ip 203.0.113.7"},
		{"the rightmost that is not trusted", local, "10.0.0.1:1", []string{"198.51.100.1, 203.0.113.7,10.0.0.2 ,\t10.0.0.3"}, " ip 203.0.113.7"},
		{"several lines", local, "10.0.0.1:1", []string{"198.51.100.1", "203.0.113.7, 10.0.0.2", "10.0.0.3"}, " ip 203.0.113.7"},
		{"the forged part does not count", local, "10.0.0.1:1", []string{"10.0.0.9, junk, 203.0.113.7"}, " ip 203.0.113.7"},
		{"all trusted", local, "10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, " ip 10.0.0.3"},
		{"a hop does not parse", local, "10.0.0.1:1", []string{"203.0.113.7, unknown, 10.0.0.2"}, " ip 10.0.0.2"},
		{"the first hop does not parse", local, "10.0.0.1:1", []string{"203.0.113.7, "}, " ip 10.0.0.1"},
		{"empty header", local, "10.0.0.1:1", []string{""}, " ip 10.0.0.1"},
		{"last line empty", local, "10.0.0.1:1", []string{"203.0.113.7", ""}, " ip 10.0.0.1"},
		{"IPv6 hops", local, "[fd00::1]:1", []string{"2001:db8::1, fd00::2"}, " ip 2001:db8::/64"},
		{"hop with a port", local, "10.0.0.1:1", []string{"203.0.113.7:4711"}, " ip 203.0.113.7"},
		{"IPv6 hop with a port", local, "10.0.0.1:1", []string{"[2001:db8::1]:4711"}, " ip 2001:db8::/64"},
		{"hop with a zone", local, "10.0.0.1:1", []string{"fd00::2%eth0"}, " ip fd00::/64"},
		{"the longest hop", local, "10.0.0.1:1", []string{"[2001:0db8:0001:0002:0003:0004:203.100.113.107%" + strings.Repeat("z", 10) + "]:65535"}, " ip 2001:db8:1:2::/64"},
		{"a longer hop", local, "10.0.0.1:1", []string{"[2001:0db8:0001:0002:0003:0004:203.100.113.107%" + strings.Repeat("z", 11) + "]:65535"}, " ip 10.0.0.1"},
		{"all digits of an IPv6 hop", local, "10.0.0.1:1", []string{"2001:0db8:0001:0002:0003:0004:203.100.113.107"}, " ip 2001:db8:1:2::/64"},
		{"all digits of an IPv6 hop with a port", local, "10.0.0.1:1", []string{"[2001:0db8:0001:0002:0003:0004:0005:0006]:65535"}, " ip 2001:db8:1:2::/64"},
		{"trusted peer as IPv4 in IPv6", local, "[::ffff:10.0.0.1]:1", []string{"203.0.113.7"}, " ip 203.0.113.7"},
		{"trusted prefix as IPv4 in IPv6", prefixes("::ffff:10.0.0.0/104"), "10.0.0.1:1", []string{"203.0.113.7"}, " ip 203.0.113.7"},
		{"trusted prefix not masked", []netip.Prefix{netip.PrefixFrom(netip.MustParseAddr("10.1.2.3"), 8)}, "10.0.0.1:1", []string{"203.0.113.7"}, " ip 203.0.113.7"},
		{"a single trusted address", prefixes("10.0.0.1/32"), "10.0.0.2:1", []string{"203.0.113.7"}, " ip 10.0.0.2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			call := call{peer: c.peer, header: http.Header{"X-Forwarded-For": c.forwarded}}
			if c.peer == "" {
				call.peer = "nowhere"
			}
			if got := addressOf(t, middleware.ClientIP(c.trusted...), call); got != c.want {
				t.Errorf("ClientIP: %q, want %q", got, c.want)
			}
			// A request without a key, and ClientIP as the key, find the same bucket.
			limiter := newLimiter(t, ratelimit.PerHour(5), ratelimit.Config{})
			for _, config := range []middleware.Config{
				{TrustedProxies: c.trusted},
				{Key: middleware.ClientIP(c.trusted...)},
				{Key: middleware.First(middleware.Header("X-API-Key"), middleware.ClientIP(c.trusted...)), RequireKey: true},
				{Key: middleware.Header("X-API-Key"), TrustedProxies: c.trusted},
			} {
				wantStatus(t, middleware.Must(middleware.RateLimit(limiter, quiet(config)))(hello), call, http.StatusOK)
			}
			if r, err := limiter.Peek(t.Context(), c.want); err != nil || r.Remaining != 1 {
				t.Errorf("%d tokens are left to %q, want 1 (error %v)", r.Remaining, c.want, err)
			}
		})
	}
}

func TestAddressKey(t *testing.T) {
	for addr, want := range map[netip.Addr]string{
		netip.MustParseAddr("192.0.2.1"):            " ip 192.0.2.1",
		netip.MustParseAddr("::ffff:192.0.2.1"):     " ip 192.0.2.1",
		netip.MustParseAddr("2001:db8::1%eth0"):     " ip 2001:db8::/64",
		netip.MustParseAddr("2001:db8:0:1::"):       " ip 2001:db8:0:1::/64",
		netip.MustParseAddr("::ffff:192.0.2.1%eth"): " ip 192.0.2.1",
		{}: " ip unknown",
	} {
		key := middleware.AddressKey(addr)
		if key != want {
			t.Errorf("%v: %q, want %q", addr, key, want)
		}
		if !middleware.IsAddressKey(key) {
			t.Errorf("%q is not known as an address", key)
		}
		if middleware.IsAddressKey(middleware.BucketKey(key)) {
			t.Errorf("%q, as a key, is taken for an address", key)
		}
	}
}

// TestTrustedPrefixesAreCopied keeps what a caller does to its slice after the fact out.
func TestTrustedPrefixesAreCopied(t *testing.T) {
	trusted := prefixes("10.0.0.0/8")
	key := middleware.ClientIP(trusted...)
	trusted[0] = netip.MustParsePrefix("0.0.0.0/0")
	c := call{peer: "192.0.2.1:1", header: http.Header{"X-Forwarded-For": {"203.0.113.7"}}}
	if got := addressOf(t, key, c); got != " ip 192.0.2.1" {
		t.Errorf("the trusted prefixes changed: %q", got)
	}
}

// TestClientIPTrustsTheConfiguration: without prefixes of its own, ClientIP goes by
// Config.TrustedProxies, so that clients behind a proxy have a bucket each, whether they
// have no key or are limited by address on purpose.
func TestClientIPTrustsTheConfiguration(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	for name, key := range map[string]middleware.Key{
		"alone":    middleware.ClientIP(),
		"in First": middleware.First(middleware.Header("X-API-Key"), middleware.ClientIP()),
	} {
		t.Run(name, func(t *testing.T) {
			limiter := newLimiter(t, ratelimit.PerDay(1), ratelimit.Config{})
			handler := middleware.Must(middleware.RateLimit(limiter, quiet(middleware.Config{Key: key, TrustedProxies: proxies})))(hello)
			for _, step := range []struct {
				forwarded string
				want      int
			}{{"203.0.113.1", 200}, {"203.0.113.2", 200}, {"203.0.113.1", 429}} {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
				r.RemoteAddr = "192.0.2.7:1234"
				r.Header.Set("X-Forwarded-For", step.forwarded)
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, r)
				if w.Code != step.want {
					t.Errorf("from %s: status %d, want %d", step.forwarded, w.Code, step.want)
				}
			}
		})
	}
}
