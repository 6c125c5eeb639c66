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

func TestValidate(t *testing.T) {
	key := middleware.Header("X-API-Key")
	for _, c := range []middleware.Config{
		{},
		{Key: key, RequireKey: true, Challenge: "Bearer", LimitHeader: middleware.LimitAsPeriod, ResetHeader: middleware.ResetAsTime, Jitter: middleware.MaxJitter},
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
		wantStatus(t, h, call{}, http.StatusOK)
		if got := r.faults(); len(got) != 1 || got[0] != middleware.FaultKeyPanic {
			t.Errorf("Header(%q): faults %q", name, got)
		}
	}
}
