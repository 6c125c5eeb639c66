package middleware_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

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

		{"no proxy is trusted", nil, "10.0.0.1:1", []string{"203.0.113.7"}, " ip 10.0.0.1"},
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
			if r, err := limiter.Peek(t.Context(), c.want); err != nil || r.Remaining() != 1 {
				t.Errorf("%d tokens are left to %q, want 1 (error %v)", r.Remaining(), c.want, err)
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

func TestForgedHeaders(t *testing.T) {
	headers := []string{"X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP", "CF-Connecting-IP", "X-Client-IP"}
	forge := func(i int) http.Header {
		h := http.Header{}
		for _, name := range headers {
			h[http.CanonicalHeaderKey(name)] = []string{fmt.Sprintf("203.0.113.%d", i)}
		}
		return h
	}
	for _, c := range []struct {
		name   string
		config middleware.Config
		peer   string
		append string // by the trusted proxy
	}{
		{name: "no proxy trusted", peer: "192.0.2.1:1"},
		{name: "peer not trusted", peer: "192.0.2.1:1", config: middleware.Config{TrustedProxies: prefixes("10.0.0.0/8")}},
		{name: "left of the client", peer: "10.0.0.1:1", config: middleware.Config{TrustedProxies: prefixes("10.0.0.0/8")}, append: ", 192.0.2.1"},
		{name: "ClientIP", peer: "192.0.2.1:1", config: middleware.Config{Key: middleware.ClientIP(prefixes("10.0.0.0/8")...)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), c.config))(hello)
				served := 0
				for i := range 200 {
					header := forge(i)
					header["X-Forwarded-For"][0] += c.append
					if (call{peer: c.peer, header: header}).to(h).Code == http.StatusOK {
						served++
					}
				}
				if served != 5 {
					t.Errorf("%d of 200 forged calls served, want 5", served)
				}
				// And the victims are not locked out.
				wantStatus(t, h, call{peer: "203.0.113.7:1"}, http.StatusOK)
			})
		})
	}
}

func TestIPv6Rotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), middleware.Config{}))(hello)
		served := 0
		for i := range 200 {
			if (call{peer: fmt.Sprintf("[2001:db8::%x:%x%%eth%d]:%d", i, i*7, i, 1024+i)}).to(h).Code == http.StatusOK {
				served++
			}
		}
		if served != 5 {
			t.Errorf("%d of 200 addresses in one /64 served, want 5", served)
		}
		wantStatus(t, h, call{peer: "[2001:db8:0:1::1]:1"}, http.StatusOK)
		for i := range 20 { // IPv4-mapped: a bucket each, the same as for IPv4
			for range 5 {
				wantStatus(t, h, call{peer: fmt.Sprintf("[::ffff:192.0.2.%d]:1", i)}, http.StatusOK)
			}
			wantStatus(t, h, call{peer: fmt.Sprintf("192.0.2.%d:1", i)}, http.StatusTooManyRequests)
		}
	})
}

// TestForwardedForms: who is trusted does not depend on how an address is written,
// and what is none ends the walk.
func TestForwardedForms(t *testing.T) {
	local := prefixes("10.0.0.0/8")
	for _, c := range []struct {
		name      string
		trusted   []netip.Prefix
		peer      string
		forwarded string
		want      string
	}{
		{"trusted hop as IPv4 in IPv6", local, "10.0.0.1:1", "203.0.113.7,::ffff:10.9.9.9", " ip 203.0.113.7"},
		{"hop as IPv4 in IPv6", local, "10.0.0.1:1", "::ffff:203.0.113.7", " ip 203.0.113.7"},
		{"a prefix that is more than IPv4 in IPv6", prefixes("::ffff:0:0/90"), "192.0.2.1:1", "203.0.113.7", " ip 192.0.2.1"},
		{"trusted peer with a zone", prefixes("fe80::/10"), "[fe80::1%eth0]:1", "203.0.113.7", " ip 203.0.113.7"},
		{"brackets without a port", local, "10.0.0.1:1", "[2001:db8::9]", " ip 2001:db8::/64"},
		{"one bracket", local, "10.0.0.1:1", "[2001:db8::9", " ip 10.0.0.1"},
		{"octal", local, "10.0.0.1:1", "203.0.113.7, 012.0.0.1", " ip 10.0.0.1"},
		{"peer by name", local, "localhost:80", "203.0.113.7", " ip unknown"},
	} {
		r := call{peer: c.peer, header: http.Header{"X-Forwarded-For": {c.forwarded}}}
		if got := addressOf(t, middleware.ClientIP(c.trusted...), r); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestForwardedSize: a long X-Forwarded-For is read where it is. Errors about it
// would quote it, at four times its size.
func TestForwardedSize(t *testing.T) {
	key := middleware.ClientIP(prefixes("10.0.0.0/8")...)
	for name, forwarded := range map[string]string{
		"trusted hops": strings.Repeat("10.0.0.1,", 1<<20/9),
		"nonsense":     strings.Repeat("x", 1<<20),
		"commas":       strings.Repeat(",", 1<<20),
		"spaces":       "10.0.0.2," + strings.Repeat(" ", 1<<20),
		"colons":       "[" + strings.Repeat(":", 1<<20) + "]:x",
		"bad port":     "203.0.113.7:" + strings.Repeat("\xff", 1<<20),
	} {
		r := call{peer: "10.0.0.1:1", header: http.Header{"X-Forwarded-For": {forwarded}}}.request()
		h := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), middleware.Config{Key: key}))(bare)
		w := &sink{header: http.Header{}}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		h.ServeHTTP(w, r)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 1<<18 {
			t.Errorf("1 MiB of %s: %d bytes allocated", name, took)
		}
	}
}

// FuzzClientAddress: the walk through X-Forwarded-For agrees with a plain one
// through the joined list, and what a client writes does not matter.
func FuzzClientAddress(f *testing.F) {
	f.Add("10.0.0.1:1", "203.0.113.7, 10.0.0.2", "10.0.0.3", "1.2.3.4")
	f.Add("10.0.0.1:1", "203.0.113.7", ", 10.0.0.3", "junk")
	f.Add("[fd00::1]:1", "2001:db8::1, ::ffff:10.1.2.3", "fd00::2%eth0", "")
	f.Add("192.0.2.1:1", "203.0.113.7:80,[2001:db8::1]:80", "", "10.0.0.1")
	trusted := prefixes("10.0.0.0/8", "fd00::/8")
	f.Fuzz(func(t *testing.T, peer, first, second, forged string) {
		if len(first+second) > 4<<10 || strings.Count(first+second, ",") > 90 {
			return // more than is read of it
		}
		r := call{header: http.Header{"X-Forwarded-For": {first, second}}}.request()
		r.RemoteAddr = peer
		config := middleware.Config{Key: middleware.ClientIP(trusted...)}
		got, _ := keySeen(t, config, r)
		if want := middleware.AddressKey(plainWalk(r, trusted)); got != want {
			t.Errorf("peer %q, hops %q: %q, want %q", peer, first+","+second, got, want)
		}

		// The client of a trusted proxy may write what it likes on the left of what
		// the proxy appends.
		r.RemoteAddr = "10.0.0.1:1"
		r.Header["X-Forwarded-For"] = []string{forged, first + ",203.0.113.7", " 10.0.0.2"}
		if got, _ := keySeen(t, config, r); got != " ip 203.0.113.7" {
			t.Errorf("%q and %q changed the address to %q", forged, first, got)
		}
	})
}

// plainWalk is clientAddr once more, as simple as can be.
func plainWalk(r *http.Request, trusted []netip.Prefix) netip.Addr {
	parse := func(s string) netip.Addr {
		s = strings.Trim(s, " \t")
		a, err := netip.ParseAddr(s)
		if err != nil {
			ap, _ := netip.ParseAddrPort(s)
			a = ap.Addr()
		}
		return a.WithZone("").Unmap()
	}
	known := []netip.Addr{parse(r.RemoteAddr)}
	if s := r.RemoteAddr; strings.Trim(s, " \t") != s { // not a header
		known[0] = netip.Addr{}
	}
	hops := strings.Split(strings.Join(r.Header["X-Forwarded-For"], ","), ",")
	for len(hops) > 0 {
		isTrusted := false
		for _, p := range trusted {
			isTrusted = isTrusted || p.Contains(known[len(known)-1])
		}
		text := strings.Trim(hops[len(hops)-1], " \t")
		if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") && len(text) > 1 {
			text = text[1 : len(text)-1] // an IPv6 address without a port
			if strings.Trim(text, " \t") != text {
				break
			}
		}
		hop := parse(text)
		if len(strings.Trim(hops[len(hops)-1], " \t")) > 64 {
			hop = netip.Addr{} // longer than any address
		}
		if !isTrusted || !hop.IsValid() {
			break
		}
		known = append(known, hop)
		hops = hops[:len(hops)-1]
	}
	return known[len(known)-1]
}
