package middleware_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

// wide is what would be right instead of a prefix that trusts everybody.
const wide = "must hold the addresses of your own proxies and no others, so at least /8 of IPv4 or /7 of IPv6: a trusted peer can name any address"

func TestValidate(t *testing.T) {
	key := middleware.Header("X-API-Key")
	for _, c := range []middleware.Config{
		{},
		{Key: key}, {Key: middleware.Bearer()}, {Key: middleware.ClientIP()}, {Key: middleware.ClientIP(prefixes("10.0.0.0/8")...)},
		{Key: middleware.First(key, middleware.Bearer(), middleware.ClientIP())}, {Key: middleware.First()},
		{Key: func(r *http.Request) string { return r.Header.Get("X") }}, // not called: there is no request
		{Key: key, RequireKey: true, Challenge: "Bearer", LimitHeader: middleware.LimitAsPeriod, ResetHeader: middleware.ResetAsTime, Jitter: middleware.MaxJitter},
		{TrustUnixSocket: true, AddressHeader: "x-real-ip"},
		{TrustedProxies: prefixes("10.0.0.0/8", "fc00::/7", "::ffff:10.0.0.0/104", "fe80::/10", "64:ff9b::/96"), AddressHeader: "CF-Connecting-IP"},
		{TrustedProxies: prefixes("10.0.0.0/8"), ResetHeader: middleware.ResetAsDelta, Jitter: 1},
	} {
		if err := c.Validate(); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for _, c := range []struct {
		config middleware.Config
		want   string
	}{
		{middleware.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), {}}},
			`middleware: Config.TrustedProxies[1] invalid Prefix must be a prefix, such as netip.MustParsePrefix("10.0.0.0/8")`},
		{middleware.Config{TrustedProxies: prefixes("0.0.0.0/0")}, `middleware: Config.TrustedProxies[0] 0.0.0.0/0 ` + wide},
		{middleware.Config{TrustedProxies: prefixes("10.0.0.0/8", "::/0")}, `middleware: Config.TrustedProxies[1] ::/0 ` + wide},
		{middleware.Config{TrustedProxies: prefixes("::ffff:0:0/96")}, `middleware: Config.TrustedProxies[0] ::ffff:0.0.0.0/96 ` + wide},
		{middleware.Config{TrustedProxies: prefixes("128.0.0.0/1")}, `middleware: Config.TrustedProxies[0] 128.0.0.0/1 ` + wide},
		{middleware.Config{TrustedProxies: prefixes("10.0.0.0/7")}, `middleware: Config.TrustedProxies[0] 10.0.0.0/7 ` + wide},
		{middleware.Config{TrustedProxies: prefixes("2000::/3")}, `middleware: Config.TrustedProxies[0] 2000::/3 ` + wide},
		{middleware.Config{TrustUnixSocket: true, AddressHeader: "X Real IP"}, `middleware: Config.AddressHeader "X Real IP" must be the name of a header, such as "CF-Connecting-IP"`},
		{middleware.Config{AddressHeader: "X-Real-IP"}, `middleware: Config.AddressHeader "X-Real-IP" needs TrustedProxies or TrustUnixSocket: it is believed only if they send it`},
		{middleware.Config{Key: middleware.Header("X API Key")}, `middleware: Config.Key: Header("X API Key") must be given the name of a header, such as "X-API-Key"`},
		{middleware.Config{Key: middleware.Header("")}, `middleware: Config.Key: Header("") must be given the name of a header, such as "X-API-Key"`},
		{middleware.Config{Key: middleware.First(middleware.Bearer(), middleware.Header("X-API-Key:"))}, `middleware: Config.Key: Header("X-API-Key:") must be given the name of a header, such as "X-API-Key"`},
		{middleware.Config{Key: middleware.First(middleware.Bearer(), middleware.First(middleware.Header("ключ")))}, `middleware: Config.Key: Header("ключ") must be given the name of a header, such as "X-API-Key"`},
		{middleware.Config{Key: middleware.First(middleware.Bearer(), nil)}, `middleware: Config.Key: First: keys[1] must not be nil; for the client's address, use ClientIP()`},
		{middleware.Config{Key: middleware.ClientIP(prefixes("10.0.0.0/8", "0.0.0.0/0")...)}, `middleware: Config.Key: ClientIP: trusted[1] 0.0.0.0/0 ` + wide},
		{middleware.Config{RequireKey: true}, `middleware: Config.RequireKey true needs a Key, such as middleware.Header("X-API-Key")`},
		{middleware.Config{Challenge: "Bearer\r\nX: y"}, `middleware: Config.Challenge "Bearer\r\nX: y" must be printable ASCII, such as "Bearer"`},
		{middleware.Config{LimitHeader: 2}, `middleware: Config.LimitHeader 2 must be LimitAsCount or LimitAsPeriod`},
		{middleware.Config{LimitHeader: -1}, `middleware: Config.LimitHeader -1 must be LimitAsCount or LimitAsPeriod`},
		{middleware.Config{ResetHeader: 4}, `middleware: Config.ResetHeader 4 must be ResetOff, ResetAsDelta, ResetAsEpoch or ResetAsTime`},
		{middleware.Config{ResetHeader: -1}, `middleware: Config.ResetHeader -1 must be ResetOff, ResetAsDelta, ResetAsEpoch or ResetAsTime`},
		{middleware.Config{Jitter: -1}, `middleware: Config.Jitter -1ns must be from 0 to 1h0m0s`},
		{middleware.Config{Jitter: time.Hour + 1}, `middleware: Config.Jitter 1h0m0.000000001s must be from 0 to 1h0m0s`},
	} {
		if err := c.config.Validate(); err == nil || err.Error() != c.want {
			t.Errorf("error %v, want %s", err, c.want)
		}
	}
}

// TestFaultyConfig: all faults are reported at once, and the middleware works with
// the defaults in their place.
func TestFaultyConfig(t *testing.T) {
	var r recorder
	config := r.watch(middleware.Config{
		TrustedProxies: make([]netip.Prefix, 1), Challenge: "\n", LimitHeader: 7, ResetHeader: 7, Jitter: -1,
	})
	if n := strings.Count(config.Validate().Error(), "middleware: Config."); n != 5 {
		t.Errorf("%d faults reported, want 5", n)
	}
	h := middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), config)(hello)
	if r.logged() != 1 || strings.Count(r.log(), "Config.") != 5 {
		t.Errorf("log %q, want one line with 5 faults", r.log())
	}
	want := middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), middleware.Config{})(hello)
	for range 2 {
		if got, want := dump(call{}.to(h)), dump(call{}.to(want)); got != want {
			t.Errorf("response:\n%s\nwant, as by default:\n%s", got, want)
		}
	}
	if r.logged() != 1 || len(r.faults()) != 0 {
		t.Error("the faults of the configuration were told more than once")
	}
}

// TestRequireKeyWithoutKey: a guard that was set up wrongly stays shut.
func TestRequireKeyWithoutKey(t *testing.T) {
	var r recorder
	h := middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), r.watch(middleware.Config{RequireKey: true}))(hello)
	if r.logged() != 1 || !strings.Contains(r.log(), "Config.RequireKey") {
		t.Errorf("log %q", r.log())
	}
	wantStatus(t, h, call{}, http.StatusUnauthorized)
}

// TestHeaderThatCannotBe: a key function that can never find a key is a fault of
// every request, not a silent limit by address.
func TestHeaderThatCannotBe(t *testing.T) {
	for _, name := range []string{"", "X API Key", "X-API-Key:", "X-API-Key\n"} {
		var r recorder
		h := middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), r.watch(middleware.Config{Key: middleware.Header(name)}))(hello)
		if r.logged() != 1 || !strings.Contains(r.log(), "must be given the name of a header") {
			t.Errorf("Header(%q): log %q", name, r.log())
		}
		wantStatus(t, h, call{}, http.StatusOK)
		if got := r.faults(); len(got) != 1 || got[0] != middleware.FaultKeyPanic {
			t.Errorf("Header(%q): faults %q", name, got)
		}
	}
}

// TestEverybodyIsTrusted: a prefix that holds strangers is reported and not used.
func TestEverybodyIsTrusted(t *testing.T) {
	for peer, prefix := range map[string]string{
		"192.0.2.1:1": "0.0.0.0/0", "192.0.2.2:1": "128.0.0.0/1", "192.0.2.3:1": "::ffff:0:0/96", "192.0.2.4:1": "192.0.0.0/7", "[2001:db8::1]:1": "::/0", "[2001:db8::2]:1": "2000::/3",
	} {
		var r recorder
		c := call{peer: peer, header: http.Header{"X-Forwarded-For": {"203.0.113.7"}, "X-Real-Ip": {"203.0.113.7"}}}
		for _, config := range []middleware.Config{
			{TrustedProxies: prefixes(prefix)},
			{TrustedProxies: prefixes(prefix), AddressHeader: "X-Real-IP"},
			{Key: middleware.ClientIP(prefixes(prefix)...)},
		} {
			limiter := newLimiter(t, five, ratelimit.Config{})
			wantStatus(t, middleware.RateLimit(limiter, r.watch(config))(hello), c, http.StatusOK)
			if got, err := limiter.Peek(t.Context(), middleware.AddressKey(c.addr())); err != nil || got.Remaining != 4 {
				t.Errorf("%s trusts %s: %d tokens are left to the peer", prefix, peer, got.Remaining)
			}
		}
		if n := strings.Count(r.log(), "your own proxies"); n != 3 {
			t.Errorf("%s was reported %d times, want 3: %s", prefix, n, r.log())
		}
	}
}
