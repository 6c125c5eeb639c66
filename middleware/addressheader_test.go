package middleware_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

// addressSeen returns the key that a request is limited by, or the status if it is not.
func addressSeen(t *testing.T, config middleware.Config, c call) string {
	t.Helper()
	key, status := keySeen(t, config, c.request())
	if key == "" {
		return fmt.Sprint(status)
	}
	if !middleware.IsAddressKey(key) {
		t.Errorf("%q is not the key of an address", key)
	}
	return key
}

func TestUnixSocket(t *testing.T) {
	const want = " ip 203.0.113.7"
	unix := middleware.Config{TrustUnixSocket: true}
	both := middleware.Config{TrustUnixSocket: true, TrustedProxies: prefixes("10.0.0.0/8")}
	for _, c := range []struct {
		name      string
		config    middleware.Config
		peer      string
		forwarded []string
		want      string
	}{
		{"the proxy's hop", unix, "@", []string{"203.0.113.7"}, want},
		{"no address at all", unix, "-", []string{"203.0.113.7"}, want},
		{"bound to a path", unix, "/run/proxy.sock", []string{"203.0.113.7"}, want},
		{"an abstract name", unix, "@proxy", []string{"203.0.113.7"}, want},
		{"IPv6", unix, "@", []string{"2001:db8::9"}, " ip 2001:db8::/64"},
		{"forged", unix, "@", []string{"198.51.100.1, 203.0.113.7"}, want},
		{"and a hop that is trusted", both, "@", []string{"198.51.100.1, 203.0.113.7, 10.0.0.2"}, want},
		{"a trusted peer with an address", both, "10.0.0.1:1", []string{"203.0.113.7"}, want},
		{"no hop", unix, "@", nil, " ip unknown"},
		{"a hop that does not parse", unix, "@", []string{"unix:"}, " ip unknown"},
		{"a hop of a socket", unix, "@", []string{"203.0.113.7, @"}, " ip unknown"},
		{"not set", middleware.Config{}, "@", []string{"203.0.113.7"}, " ip unknown"},
		{"not set, but others trusted", middleware.Config{TrustedProxies: prefixes("10.0.0.0/8")}, "@", []string{"203.0.113.7"}, " ip unknown"},
		{"a peer with an address", unix, "192.0.2.1:1", []string{"203.0.113.7"}, " ip 192.0.2.1"},
		{"a peer that does not parse", unix, "192.0.2.256:80", []string{"203.0.113.7"}, " ip unknown"},
		{"a peer by name", unix, "localhost:80", []string{"203.0.113.7"}, " ip unknown"},
		{"a peer of a pipe", unix, "pipe", []string{"203.0.113.7"}, " ip unknown"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := call{peer: c.peer, header: http.Header{"X-Forwarded-For": c.forwarded}}.request()
			if c.peer == "-" {
				r.RemoteAddr = ""
			}
			for _, key := range []middleware.Key{{}, middleware.ClientIP(), middleware.Header("X-API-Key")} {
				c.config.Key = key
				if got, _ := keySeen(t, c.config, r); got != c.want {
					t.Errorf("%q, want %q", got, c.want)
				}
			}
		})
	}
}

func TestAddressHeader(t *testing.T) {
	local := prefixes("10.0.0.0/8")
	for _, c := range []struct {
		name, header, peer string
		values             []string
		want               string
	}{
		{"Cloudflare", "CF-Connecting-IP", "10.0.0.1:1", []string{"203.0.113.7"}, " ip 203.0.113.7"},
		{"Akamai", "True-Client-IP", "10.0.0.1:1", []string{"203.0.113.7"}, " ip 203.0.113.7"},
		{"Fly", "fly-client-ip", "10.0.0.1:1", []string{"2001:db8:1:2:3::4"}, " ip 2001:db8:1:2::/64"},
		{"nginx", "X-Real-IP", "10.0.0.1:1", []string{" 203.0.113.7\t"}, " ip 203.0.113.7"},
		{"with a port", "X-Client-IP", "10.0.0.1:1", []string{"203.0.113.7:4711"}, " ip 203.0.113.7"},
		{"brackets", "X-Real-IP", "10.0.0.1:1", []string{"[2001:db8::9]:4711"}, " ip 2001:db8::/64"},
		{"IPv4 in IPv6", "CF-Connecting-IP", "10.0.0.1:1", []string{"::ffff:203.0.113.7"}, " ip 203.0.113.7"},
		{"NAT64", "CF-Connecting-IP", "10.0.0.1:1", []string{"64:ff9b::203.0.113.7"}, " ip 203.0.113.7"},
		{"a trusted address is not walked past", "CF-Connecting-IP", "10.0.0.1:1", []string{"10.0.0.9"}, " ip 10.0.0.9"},
		{"by a Unix socket", "CF-Connecting-IP", "@", []string{"203.0.113.7"}, " ip 203.0.113.7"},

		{"the peer is not trusted", "CF-Connecting-IP", "192.0.2.1:1", []string{"203.0.113.7"}, " ip 192.0.2.1"},
		{"nor if it sends two", "CF-Connecting-IP", "192.0.2.1:1", []string{"203.0.113.7", "203.0.113.8"}, " ip 192.0.2.1"},
		{"missing", "CF-Connecting-IP", "10.0.0.1:1", nil, " ip 10.0.0.1"},
		{"empty", "CF-Connecting-IP", "10.0.0.1:1", []string{""}, " ip 10.0.0.1"},
		{"no address", "X-Real-IP", "10.0.0.1:1", []string{"unix:"}, " ip 10.0.0.1"},
		{"too long", "X-Real-IP", "10.0.0.1:1", []string{strings.Repeat(" ", 9<<10) + "203.0.113.7"}, " ip 10.0.0.1"},
		{"two lines", "CF-Connecting-IP", "10.0.0.1:1", []string{"203.0.113.7", "198.51.100.1"}, "400"},
		{"the same twice", "CF-Connecting-IP", "10.0.0.1:1", []string{"203.0.113.7", "203.0.113.7"}, "400"},
		{"a list", "X-Real-IP", "10.0.0.1:1", []string{"203.0.113.7, 198.51.100.1"}, "400"},
		{"one empty", "X-Real-IP", "10.0.0.1:1", []string{"", "203.0.113.7"}, "400"},

		{"the default by its name", "x-forwarded-for", "10.0.0.1:1", []string{"198.51.100.1, 203.0.113.7", "10.0.0.2"}, " ip 203.0.113.7"},
		{"Forwarded", "Forwarded", "10.0.0.1:1", []string{`for=198.51.100.1, for=203.0.113.7;proto=https`, `by=10.0.0.1;FOR="10.0.0.2:80"`}, " ip 203.0.113.7"},
		{"Forwarded, IPv6", "Forwarded", "10.0.0.1:1", []string{`For="[2001:db8:cafe::17]:4711"`}, " ip 2001:db8:cafe::/64"},
		{"Forwarded, spaces", "Forwarded", "10.0.0.1:1", []string{` host=x ;  for=203.0.113.7 `}, " ip 203.0.113.7"},
		{"Forwarded, obfuscated", "Forwarded", "10.0.0.1:1", []string{`for=203.0.113.7, for=_hidden, for=10.0.0.2`}, " ip 10.0.0.2"},
		{"Forwarded, unknown", "Forwarded", "10.0.0.1:1", []string{`for=203.0.113.7, for=unknown`}, " ip 10.0.0.1"},
		{"Forwarded without for", "Forwarded", "10.0.0.1:1", []string{`proto=https`}, " ip 10.0.0.1"},
		{"Forwarded with two", "Forwarded", "10.0.0.1:1", []string{`for=203.0.113.7;for=203.0.113.8`}, " ip 10.0.0.1"},
		{"a quotation mark that a client left open", "Forwarded", "10.0.0.1:1", []string{`for=", for=203.0.113.7`}, " ip 203.0.113.7"},
		{"and one that would close in what a proxy wrote", "Forwarded", "10.0.0.1:1", []string{`for=198.51.100.1;a="`, `for="[2001:db8::9]:1"`}, " ip 2001:db8::/64"},
		{"a quotation mark in a quoted host", "Forwarded", "10.0.0.1:1", []string{`for=198.51.100.1;a=", for=203.0.113.7;host="a\"b"`}, " ip 203.0.113.7"},
		{"at the end of one", "Forwarded", "10.0.0.1:1", []string{`for=198.51.100.1;a=", for=203.0.113.7;host="a\""`}, " ip 203.0.113.7"},
		{"with a pair in it", "Forwarded", "10.0.0.1:1", []string{`for=198.51.100.1;a=", for=203.0.113.7;host=";for=\"198.51.100.1"`}, " ip 203.0.113.7"},
		{"a backslash at the end of one", "Forwarded", "10.0.0.1:1", []string{`for=198.51.100.1;a=", for=203.0.113.7;host="a\\"`}, " ip 203.0.113.7"},
		{"one without its backslash", "Forwarded", "10.0.0.1:1", []string{`for=198.51.100.1;a=", for=203.0.113.7;host="a"b"`}, " ip 10.0.0.1"},
		{"an element in a quoted host", "Forwarded", "10.0.0.1:1", []string{`for=203.0.113.7;host="a;for=198.51.100.1, for=198.51.100.2"`}, " ip 203.0.113.7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			request := call{peer: c.peer, header: http.Header{http.CanonicalHeaderKey(c.header): c.values}}
			config := middleware.Config{TrustedProxies: local, TrustUnixSocket: true, AddressHeader: c.header}
			if got := addressSeen(t, config, request); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
			if config.Key = middleware.ClientIP(); addressSeen(t, config, request) != c.want {
				t.Errorf("ClientIP does not go by Config.AddressHeader")
			}
			// What is not named is not believed.
			config.AddressHeader = "X-Other"
			if got := addressSeen(t, config, request); strings.Contains(got, "203.0.113") {
				t.Errorf("%q, by another header than X-Other", got)
			}
		})
	}
}

// TestAmbiguousAddress is answered with what is wrong, and not with an address.
func TestAmbiguousAddress(t *testing.T) {
	config := quiet(middleware.Config{TrustedProxies: prefixes("10.0.0.0/8"), AddressHeader: "X-Real-IP"})
	h := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), config))(hello)
	w := wantStatus(t, h, call{peer: "10.0.0.1:1", header: http.Header{"X-Real-Ip": {"203.0.113.7", "203.0.113.8"}}}, http.StatusBadRequest)
	if body := w.Body.String(); !strings.Contains(body, "more than one client address") || strings.Contains(body, "203.0.113") {
		t.Errorf("body %s", body)
	}
	// A key comes before the address.
	config.Key = middleware.Header("X-API-Key")
	h = middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), config))(hello)
	wantStatus(t, h, call{key: "k", peer: "10.0.0.1:1", header: http.Header{"X-Real-Ip": {"a", "b"}}}, http.StatusOK)
}

// TestHopsAreBounded: of a long list the nearest hops are read, and no more.
func TestHopsAreBounded(t *testing.T) {
	trusted := prefixes("10.0.0.0/8")
	hops := func(n int) string { return strings.TrimSuffix(strings.Repeat("10.0.0.9,", n), ",") }
	long := strings.Repeat("10.0.0.9"+strings.Repeat(" ", 100)+",", 99)
	for _, c := range []struct {
		name   string
		values []string
		want   string
	}{
		{"99 hops, and the client", []string{"203.0.113.7," + hops(99)}, " ip 203.0.113.7"},
		{"100 hops, and the client", []string{"203.0.113.7," + hops(100)}, " ip 10.0.0.9"},
		{"100 lines, and the client", append([]string{"203.0.113.7"}, strings.Split(hops(100), ",")...), " ip 10.0.0.9"},
		{"99 lines, and the client", append([]string{"203.0.113.7"}, strings.Split(hops(99), ",")...), " ip 203.0.113.7"},
		{"over 8 KiB, and the client", []string{"203.0.113.7," + long + "10.0.0.8"}, " ip 10.0.0.9"},
		{"over 8 KiB to the left of the client", []string{long + "203.0.113.7,10.0.0.8"}, " ip 203.0.113.7"},
		{"a hop of over 8 KiB", []string{"203.0.113.7" + strings.Repeat(" ", 9<<10)}, " ip 10.0.0.1"},
		{"lines of over 8 KiB", []string{"203.0.113.7", long + "10.0.0.9", "10.0.0.8"}, " ip 10.0.0.9"},
		{"half a hop", []string{"1203.0.113.7," + strings.Repeat(" ", 8<<10-12) + "10.0.0.8"}, " ip 10.0.0.8"},
		{"1 MiB of trusted hops", []string{hops(1 << 17)}, " ip 10.0.0.9"},
		{"1 MiB of commas", []string{strings.Repeat(",", 1<<20)}, " ip 10.0.0.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := call{peer: "10.0.0.1:1", header: http.Header{"X-Forwarded-For": c.values}}
			if got := addressSeen(t, middleware.Config{TrustedProxies: trusted}, r); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
			var forwarded []string
			for _, line := range c.values {
				parts := strings.Split(line, ",")
				for i, hop := range parts {
					if hop != "" {
						parts[i] = "for=" + hop
					}
				}
				forwarded = append(forwarded, strings.Join(parts, ","))
			}
			if strings.Contains(c.name, "over 8 KiB") || strings.Contains(c.name, "half") {
				return // more bytes than above
			}
			r.header = http.Header{"Forwarded": forwarded}
			if got := addressSeen(t, middleware.Config{TrustedProxies: trusted, AddressHeader: "Forwarded"}, r); got != c.want {
				t.Errorf("Forwarded: %q, want %q", got, c.want)
			}
		})
	}
}

// TestHopsTakeNoTime compares 1 MiB of hops with 16 KiB, and reads as much of both: the
// fastest of many runs, so that a busy machine does not matter.
func TestHopsTakeNoTime(t *testing.T) {
	testkit.Long(t, "needs time to compare")
	for name, fill := range map[string]string{"hops": "10.0.0.9,", "spaces": " ", "commas": ",", "letters": "x", "quotes": `"`} {
		for _, header := range []string{"X-Forwarded-For", "Forwarded", "X-Real-IP"} {
			fastest := func(bytes int) time.Duration {
				key := middleware.Config{TrustedProxies: prefixes("10.0.0.0/8"), AddressHeader: header}
				r := call{peer: "10.0.0.1:1", header: http.Header{http.CanonicalHeaderKey(header): {strings.Repeat(fill, bytes/len(fill)) + "10.0.0.2"}}}.request()
				least := time.Hour
				for range 30 {
					start := time.Now()
					keySeen(t, key, r)
					least = min(least, time.Since(start))
				}
				return least
			}
			if short, long := fastest(16<<10), fastest(1<<20); long > 10*short+20*time.Microsecond {
				t.Errorf("%s of %s: %v for 1 MiB, %v for 16 KiB", header, name, long, short)
			}
		}
	}
}
