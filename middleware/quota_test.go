package middleware_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

// quotaOf returns the quota of a limiter, for keys in X-API-Key.
func quotaOf(t testing.TB, l *ratelimit.Limiter, c middleware.QuotaConfig) http.Handler {
	t.Helper()
	c.Config = quiet(c.Config)
	h, err := middleware.Quota(l, c)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestGoldenQuota compares whole responses, after calls of alice and bob to the API.
func TestGoldenQuota(t *testing.T) {
	alice, bob := call{key: "alice"}, call{key: "bob"}
	export := call{key: "alice", target: "/export/7"}
	text := func(s string) func(*testing.T) ratelimit.Limits {
		return func(t *testing.T) ratelimit.Limits {
			p, err := ratelimit.ParsePolicy(s)
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
	}
	organisation := func(t *testing.T) ratelimit.Limits {
		p := text("5/s, 100/h;burst=20;name=all;shared")(t).(*ratelimit.Policy) //nolint:errcheck // it is one
		table, err := plans.NewTable(plans.TableConfig{
			Default:       policy(t, five),
			Organisations: map[string]plans.Organisation{"acme": {Limits: p, Members: []string{"alice", "bob"}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return table
	}
	for _, g := range []struct {
		name   string
		limits func(*testing.T) ratelimit.Limits // nil: 5/s
		shadow bool
		store  store.Store
		config middleware.QuotaConfig
		reset  middleware.ResetForm
		before []call
		during int // calls of alice in progress
		asked  int // questions before the one that is compared
		call   call
	}{
		{name: "quota", before: []call{alice, alice, bob}, call: alice},
		{name: "quota_empty", before: []call{alice, alice, alice, alice, alice}, call: alice},
		{name: "quota_head", before: []call{alice}, call: call{method: "HEAD", key: "alice"}},
		{name: "quota_two_limits", limits: text("100/24h;burst=50;name=daily, 5/s"), before: []call{alice, alice}, call: alice, reset: middleware.ResetAsDelta},
		{name: "quota_routes", before: []call{alice, export}, call: alice},
		{name: "quota_routes_hidden", before: []call{export}, config: middleware.QuotaConfig{HideRoutes: true}, call: alice},
		{name: "quota_organisation", limits: organisation, before: []call{alice, bob, bob}, call: alice},
		{name: "quota_held", limits: text("10/s, 3 at a time"), during: 2, call: alice},
		{name: "quota_exempt", limits: text("unlimited"), before: []call{alice}, call: alice},
		{name: "quota_shadow", shadow: true, before: []call{alice}, call: alice},
		{name: "quota_shadow_limit", limits: text("5/s;shadow"), before: []call{alice}, config: middleware.QuotaConfig{HideRoutes: true}, call: alice},
		{name: "quota_shadow_limit_beside", limits: text("5/s, 100/h;name=new;shadow"), before: []call{alice}, call: alice},
		{name: "quota_by_address", before: []call{{}, alice}},
		{name: "quota_no_key", config: middleware.QuotaConfig{Config: middleware.Config{RequireKey: true}}},
		{name: "quota_no_key_shadow", shadow: true, config: middleware.QuotaConfig{Config: middleware.Config{RequireKey: true}}},
		{name: "quota_two_keys", call: call{header: http.Header{"X-API-Key": {"a", "b"}}}},
		{name: "quota_denied", asked: 10, call: alice},
		{name: "quota_denied_head", asked: 10, call: call{method: "HEAD", key: "alice"}},
		{name: "quota_method", call: call{method: "POST", key: "alice"}},
		{name: "quota_down", store: brokenStore{err: errDown}, call: alice},
		{name: "quota_down_head", store: brokenStore{panic: "boom"}, call: call{method: "HEAD", key: "alice"}},
	} {
		t.Run(g.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if g.limits == nil {
					g.limits = func(*testing.T) ratelimit.Limits { return five }
				}
				if g.store == nil {
					g.store = memstore.New(memstore.Config{})
				}
				limiter := limiterOn(t, g.store, g.limits(t), ratelimit.Config{Shadow: g.shadow})
				defer limiter.Close()
				g.config.Config.Key, g.config.Config.ResetHeader = middleware.Header("X-API-Key"), g.reset
				mux := http.NewServeMux()
				mux.Handle("GET /export/{id}", working)
				mux.Handle("/", working)
				served := g.config.Config
				served.RequireKey = false
				api := routesOf(t, limiter, mux, quiet(served), middleware.Route{Pattern: "GET /export/{id}", Limits: []ratelimit.Limit{ratelimit.PerHour(2)}})
				h := quotaOf(t, limiter, g.config)
				for _, c := range g.before {
					c.to(api)
				}
				for range g.asked {
					alice.to(h)
				}
				alice.during(t, api, g.during, func() { compare(t, g.name, dump(g.call.to(h))) })
				runtime.KeepAlive(api) // its routes are shown while it is in use
			})
		})
	}
}

// TestQuotaOnThePage: the page shows the response as it is.
func TestQuotaOnThePage(t *testing.T) {
	page, err := os.ReadFile("../docs/responses.md")
	if err != nil {
		t.Fatal(err)
	}
	golden, err := os.ReadFile("testdata/quota_routes.golden")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "\n"+string(golden)) {
		t.Errorf("docs/responses.md does not show\n%s", golden)
	}
}

// TestQuotaOfARouteThatLocksOut: the route stays in the quota, without a token until the lock-out ends.
func TestQuotaOfARouteThatLocksOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerSecond(5), ratelimit.Config{})
		if err != nil {
			t.Fatal(err)
		}
		export, err := limiter.With(ratelimit.PerHour(1).Named("export").LockedOut(1, time.Minute, 10*time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := export.Allow(t.Context(), "alice"); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		const want = `"routes":[{"name":"export","text":"1/h","unit":"requests","limit":1,"remaining":0,"held":0,"shared":false,"next_after_ms":540000,"next_at":"2000-01-01T00:10:00.000Z","reset_after_ms":540000,"reset_at":"2000-01-01T00:10:00.000Z"}]`
		if w := (call{key: "alice"}).to(quotaOf(t, limiter, middleware.QuotaConfig{Config: byKey})); !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s\nwant %s", w.Body, want)
		}
		runtime.KeepAlive(export)
	})
}

// TestQuotaChargesNothing: neither what the API has left nor what the caller may ask depends on
// the other.
func TestQuotaChargesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alice := call{key: "alice"}
		limiter := newLimiter(t, five, ratelimit.Config{})
		h := quotaOf(t, limiter, middleware.QuotaConfig{Config: byKey})
		api := middleware.Must(middleware.RateLimit(limiter, byKey))(hello)
		if n := alice.exhaust(t, h); n != 10 {
			t.Errorf("%d questions were answered, want 10", n)
		}
		if n := alice.exhaust(t, api); n != 5 {
			t.Errorf("%d calls were served, want 5", n)
		}
		wantStatus(t, h, call{key: "bob"}, http.StatusOK)
		time.Sleep(time.Second)
		if n := alice.exhaust(t, h); n != 5 {
			t.Errorf("%d questions were answered after a second, want 5", n)
		}
	})
}

// A countingStore counts decisions.
type countingStore struct {
	store.Store
	taken *atomic.Int64
}

func (s countingStore) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	s.taken.Add(1)
	return s.Store.Take(ctx, r)
}

// TestQuotaSparesTheStore: a caller that hammers the quota does not reach the store, exempt or
// not, and HEAD is no way around.
func TestQuotaSparesTheStore(t *testing.T) {
	for name, config := range map[string]middleware.QuotaConfig{
		"as it is":   {},
		"configured": {Limit: ratelimit.PerMinute(3).Named("questions")},
	} {
		synctest.Test(t, func(t *testing.T) {
			var taken atomic.Int64
			limiter := limiterOn(t, countingStore{memstore.New(memstore.Config{}), &taken}, five, ratelimit.Config{})
			config.Config = byKey
			h := quotaOf(t, limiter, config)
			want := int64(10)
			if config.Limit.Rate != 0 {
				want = 3
			}
			for range 100 {
				call{key: "alice", method: "HEAD"}.to(h)
				call{key: "alice"}.to(h)
				call{key: "alice", method: "PUT"}.to(h)
			}
			if n := taken.Load(); n != want {
				t.Errorf("%s: %d decisions, want %d", name, n, want)
			}
		})
	}
}

// TestQuotaIgnoresSkip: what exempts the path of the quota from the limit does not make its
// callers exempt, and what a request costs does not matter.
func TestQuotaIgnoresSkip(t *testing.T) {
	config := byKey
	config.Skip = func(r *http.Request) bool { return r.URL.Path == "/quota" }
	config.Cost = func(*http.Request) int { return 7 }
	config.Observe = func(*http.Request, middleware.Event) { t.Error("observed") }
	h := quotaOf(t, newLimiter(t, five, ratelimit.Config{}), middleware.QuotaConfig{Config: config})
	w := wantStatus(t, h, call{key: "alice", target: "/quota"}, http.StatusOK)
	if !strings.Contains(w.Body.String(), `"unlimited":false`) {
		t.Errorf("body %s", w.Body)
	}
}

// TestQuotaRejects every fault at once.
func TestQuotaRejects(t *testing.T) {
	_, err := middleware.Quota(nil, middleware.QuotaConfig{
		Config: middleware.Config{Key: middleware.Header(""), LimitHeader: 7, Challenge: "\n"},
		Limit:  ratelimit.Limit{Rate: -1, Period: -1},
	})
	for _, want := range []string{"limiter is nil", "Config.Key", "Config.LimitHeader 7", "Config.Challenge", "QuotaConfig.Limit: ", "Rate", "Period"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
	shared := five
	shared.Shared = true
	for _, limit := range []ratelimit.Limit{ratelimit.AtOnce(1), five.Shadowed(), shared} {
		if _, err := middleware.Quota(newLimiter(t, five, ratelimit.Config{}), middleware.QuotaConfig{Limit: limit}); err == nil || !strings.Contains(err.Error(), "QuotaConfig.Limit") {
			t.Errorf("%v: error %v", limit, err)
		}
	}
	if _, err := middleware.Quota(new(ratelimit.Limiter), middleware.QuotaConfig{}); err == nil {
		t.Error("a zero limiter was accepted")
	}
}

// TestQuotaShowsNoSecret: no response and no log line has a key, an address or the text of an
// error, and the fault is reported.
func TestQuotaShowsNoSecret(t *testing.T) {
	failing := ratelimit.LimitsFunc(func(_ context.Context, key string) (*ratelimit.Policy, error) {
		return nil, errors.New(canaryText + key)
	})
	for name, limiter := range map[string]*ratelimit.Limiter{
		"served":           newLimiter(t, five, ratelimit.Config{}),
		"store fails":      limiterOn(t, brokenStore{err: errors.New(canaryText + canary)}, five, ratelimit.Config{}),
		"store panics":     limiterOn(t, brokenSelfTimed{brokenStore{panic: canaryText + canary}}, five, ratelimit.Config{}),
		"no limits of key": newLimiter(t, failing, ratelimit.Config{}),
	} {
		var r recorder
		h := middleware.Must(middleware.Quota(limiter, middleware.QuotaConfig{Config: r.watch(byKey)}))
		var all strings.Builder
		for range 11 {
			all.WriteString(dump(call{key: canary, peer: canaryAddr + ":1"}.to(h)))
			all.WriteString(dump(call{peer: canaryAddr + ":1"}.to(h)))
		}
		wantAbsent(t, all.String()+r.log(), canary, canaryAddr, canaryText)
		if got := strings.Contains(all.String(), "HTTP/1.1 503 "); got != (name != "served") || got != (len(r.faults()) > 0) || !strings.Contains(all.String(), "HTTP/1.1 429 ") {
			t.Errorf("%s: faults %q, responses\n%s", name, r.faults(), &all)
		}
	}
}

// TestQuotaConcurrently asks while others call, and the answers add up.
func TestQuotaConcurrently(t *testing.T) {
	limiter := newLimiter(t, policy(t, ratelimit.PerDay(1000), ratelimit.AtOnce(100)), ratelimit.Config{})
	defer limiter.Close()
	h := quotaOf(t, limiter, middleware.QuotaConfig{Config: byKey, Limit: ratelimit.PerSecond(100_000)})
	api := middleware.Must(middleware.RateLimit(limiter, byKey))(hello)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 25 {
				call{key: "alice"}.to(api)
				call{key: "alice"}.to(h)
			}
		})
	}
	all.Wait()
	var got struct {
		Limits []struct{ Remaining, Held int }
	}
	if err := json.Unmarshal(call{key: "alice"}.to(h).Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Limits) != 2 || got.Limits[0].Remaining != 800 || got.Limits[1].Remaining != 100 || got.Limits[1].Held != 0 {
		t.Errorf("%+v, want 800 of 1000 tokens left, and all places", got)
	}
}
