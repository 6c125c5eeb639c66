package middleware_test

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

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

		// No header changes the bucket of an address, when nobody is trusted.
		if key, _ := keySeen(t, middleware.Config{}, r); key != address {
			t.Errorf("address %q, want %q", key, address)
		}
	})
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

// FuzzResponse: whatever the limits, headers and body are well formed and agree
// with each other.
func FuzzResponse(f *testing.F) {
	for _, l := range extremes {
		f.Add(l.Rate, int64(l.Period/time.Microsecond), l.Burst, "default", 1, uint8(3), false)
		f.Add(l.Rate, int64(l.Period/time.Microsecond), l.Burst, "a<b>&'c'", l.Burst, uint8(3), true)
	}
	f.Add(5, int64(1_000_000), 0, "", 6, uint8(9), true)
	f.Fuzz(func(t *testing.T, rate int, micros int64, burst int, name string, cost int, calls uint8, two bool) {
		if micros < 0 || micros > int64(ratelimit.MaxRefill/time.Microsecond) || cost < 0 {
			return
		}
		limits := []ratelimit.Limit{{Name: name, Rate: rate, Period: time.Duration(micros) * time.Microsecond, Burst: burst}}
		if two {
			limits = append(limits, ratelimit.PerMinute(7).WithBurst(3).Named("the other"))
		}
		p, err := ratelimit.NewPolicy(limits...)
		if err != nil {
			return
		}
		h := middleware.Must(middleware.RateLimit(newLimiter(t, p, ratelimit.Config{}), middleware.Config{Cost: func(*http.Request) int { return cost }}))(hello)
		for range calls%16 + 1 {
			w := call{}.to(h)
			checkResponse(t, w, p, cost)
			if t.Failed() {
				t.Fatalf("%v, cost %d:\n%s", p.Limits(), cost, dump(w))
			}
		}
	})
}
