package middleware_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/admin"
	"github.com/keyrate/keyrate/ratelimit"
)

// wide is what a prefix must be that trusts strangers.
const wide = "must hold the addresses of your own proxies and no others, so at least /8 of IPv4 or /7 of IPv6: a trusted peer can name any address"

func TestConfigFaults(t *testing.T) {
	limiter := newLimiter(t, five, ratelimit.Config{})
	key := middleware.Header("X-API-Key")
	for _, c := range []middleware.Config{
		{},
		{Key: key}, {Key: middleware.Bearer()}, {Key: middleware.ClientIP()}, {Key: middleware.ClientIP(prefixes("10.0.0.0/8")...)},
		{Key: middleware.First(key, middleware.Bearer(), middleware.ClientIP())},
		{Key: keyFunc(func(r *http.Request) string { return r.Header.Get("X") })}, // not called: there is no request
		{Key: key, RequireKey: true, Challenge: "Bearer", LimitHeader: middleware.LimitAsPeriod, ResetHeader: middleware.ResetAsTime, Jitter: middleware.MaxJitter},
		{TrustUnixSocket: true, AddressHeader: "x-real-ip"},
		{TrustedProxies: prefixes("10.0.0.0/8", "fc00::/7", "::ffff:10.0.0.0/104", "fe80::/10", "64:ff9b::/96"), AddressHeader: "CF-Connecting-IP"},
		{TrustedProxies: prefixes("10.0.0.0/8"), ResetHeader: middleware.ResetAsDelta, Jitter: 1},
		{BlockedStatus: 403}, {BlockedStatus: 429},
		{Reserve: estimate(1)}, {Reserve: estimate(1), SettleBy: refunding(1)}, {Cost: estimate(1), SettleBy: refunding(1)},
	} {
		if _, err := middleware.RateLimit(limiter, c); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for _, c := range []struct {
		config middleware.Config
		want   string
	}{
		{middleware.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), {}}},
			`middleware: Config.TrustedProxies[1] invalid Prefix must be a prefix, such as netip.MustParsePrefix("10.0.0.0/8")`},
		{middleware.Config{BlockedStatus: 200}, `middleware: Config.BlockedStatus 200 must be 403 or 429; 0 means 403`},
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
		{middleware.Config{Key: middleware.First(middleware.Bearer(), middleware.KeyFunc(nil))}, `middleware: Config.Key: KeyFunc: f must not be nil; for the client's address, use ClientIP()`},
		{middleware.Config{Key: middleware.First()}, `middleware: Config.Key: First() must be given the keys to try, such as First(Header("X-API-Key"), Bearer())`},
		{middleware.Config{RequireKey: true, Key: middleware.Header("X API Key")}, `middleware: Config.Key: Header("X API Key") must be given the name of a header, such as "X-API-Key"`},
		{middleware.Config{Key: middleware.ClientIP(netip.Prefix{})}, `middleware: Config.Key: ClientIP: trusted[0] invalid Prefix must be a prefix, such as netip.MustParsePrefix("10.0.0.0/8")`},
		{middleware.Config{Key: middleware.ClientIP(prefixes("10.0.0.0/8", "0.0.0.0/0")...)}, `middleware: Config.Key: ClientIP: trusted[1] 0.0.0.0/0 ` + wide},
		{middleware.Config{RequireKey: true, Key: middleware.ClientIP()}, `middleware: Config.RequireKey true needs a Key, such as middleware.Header("X-API-Key")`},
		{middleware.Config{RequireKey: true}, `middleware: Config.RequireKey true needs a Key, such as middleware.Header("X-API-Key")`},
		{middleware.Config{Challenge: "Bearer\r\nX: y"}, `middleware: Config.Challenge "Bearer\r\nX: y" must be printable ASCII, such as "Bearer"`},
		{middleware.Config{LimitHeader: 2}, `middleware: Config.LimitHeader 2 must be LimitAsCount or LimitAsPeriod`},
		{middleware.Config{LimitHeader: -1}, `middleware: Config.LimitHeader -1 must be LimitAsCount or LimitAsPeriod`},
		{middleware.Config{ResetHeader: 4}, `middleware: Config.ResetHeader 4 must be ResetOff, ResetAsDelta, ResetAsEpoch or ResetAsTime`},
		{middleware.Config{ResetHeader: -1}, `middleware: Config.ResetHeader -1 must be ResetOff, ResetAsDelta, ResetAsEpoch or ResetAsTime`},
		{middleware.Config{Reserve: estimate(1), Cost: estimate(1)}, `middleware: Config.Reserve must not be set beside Cost; use Cost if the price is known before the handler runs, and Reserve if it is not`},
		{middleware.Config{SettleBy: refunding(1)}, `middleware: Config.SettleBy needs Reserve, or Cost: an estimate that is held until the price is known, such as 1`},
		{middleware.Config{Jitter: -1}, `middleware: Config.Jitter -1ns must be from 0 to 1h0m0s`},
		{middleware.Config{Jitter: time.Hour + 1}, `middleware: Config.Jitter 1h0m0.000000001s must be from 0 to 1h0m0s`},
	} {
		if _, err := middleware.RateLimit(limiter, c.config); err == nil || err.Error() != c.want {
			t.Errorf("error %v, want %s", err, c.want)
		}
	}
}

// TestAllFaultsAtOnce: one error joins all faults of the limiter and the Config, and
// nothing is logged.
func TestAllFaultsAtOnce(t *testing.T) {
	var r recorder
	config := r.watch(middleware.Config{
		Key:            middleware.First(middleware.Header(""), middleware.KeyFunc(nil)),
		TrustedProxies: make([]netip.Prefix, 1), Challenge: "\n", LimitHeader: 7, ResetHeader: 7, Jitter: -1,
	})
	limit, err := middleware.RateLimit(nil, config)
	if limit != nil || err == nil || strings.Count(err.Error(), "middleware: Config.") != 7 || !strings.Contains(err.Error(), "middleware: limiter is nil") {
		t.Errorf("error %v, want 8 faults", err)
	}
	mux := http.NewServeMux()
	if _, routes := middleware.Routes(nil, mux, config); routes == nil || routes.Error() != err.Error() {
		t.Errorf("Routes: error %v", routes)
	}
	if r.logged() != 0 || len(r.faults()) != 0 {
		t.Errorf("log %q, faults %q", r.log(), r.faults())
	}
}

// TestPricesNeedAHolder: a store that cannot hold tokens is an error of the constructor.
func TestPricesNeedAHolder(t *testing.T) {
	if _, err := middleware.RateLimit(new(ratelimit.Limiter), middleware.Config{Reserve: estimate(1)}); err == nil || strings.Contains(err.Error(), "Reserve") {
		t.Errorf("the zero Limiter: error %v", err)
	}
	limiter := limiterOn(t, brokenStore{}, five, ratelimit.Config{})
	for want, c := range map[string]middleware.Config{
		"middleware: Config.Reserve needs a limiter whose store is a store.Holder, such as a memstore.Store, to hold tokens":  {Reserve: estimate(1), SettleBy: refunding(1)},
		"middleware: Config.SettleBy needs a limiter whose store is a store.Holder, such as a memstore.Store, to hold tokens": {Cost: estimate(1), SettleBy: refunding(1)},
	} {
		if _, err := middleware.RateLimit(limiter, c); err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

// TestMust returns what it is given, or panics with the error.
func TestMust(t *testing.T) {
	wantStatus(t, middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), middleware.Config{}))(hello), call{}, http.StatusOK)
	_, want := middleware.RateLimit(nil, middleware.Config{})
	defer func() {
		if got, _ := recover().(error); got == nil || got.Error() != want.Error() {
			t.Errorf("panic with %v, want %v", got, want)
		}
	}()
	middleware.Must(middleware.RateLimit(nil, middleware.Config{}))
}

// TestUnusableLimiter: nil and the zero Limiter are an error of every constructor, and no health.
func TestUnusableLimiter(t *testing.T) {
	for what, limiter := range map[string]*ratelimit.Limiter{"nil": nil, "the zero Limiter": new(ratelimit.Limiter)} {
		_, limit := middleware.RateLimit(limiter, middleware.Config{})
		_, routes := middleware.Routes(limiter, http.NewServeMux(), middleware.Config{})
		want := "middleware: limiter is " + what + "; make one with ratelimit.New, and look at its error"
		for name, err := range map[string]error{"RateLimit": limit, "Routes": routes} {
			if err == nil || err.Error() != want {
				t.Errorf("%s: error %v, want %s", name, err, want)
			}
		}
		if _, err := admin.New(limiter, func(*http.Request) bool { return true }, admin.Config{}); err == nil || !strings.Contains(err.Error(), "limiter is "+what) {
			t.Errorf("admin.New: error %v", err)
		}
		if w := wantStatus(t, middleware.Health(limiter), call{}, http.StatusServiceUnavailable); !strings.Contains(w.Body.String(), `"status":"failed"`) {
			t.Errorf("Health: %s", w.Body)
		}
	}
}
