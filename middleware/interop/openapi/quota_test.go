package openapi_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

// TestQuota checks the responses of middleware.Quota against their description, and that
// each status of it occurs.
func TestQuota(t *testing.T) {
	description, err := os.ReadFile("../../quota.openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	document, err := libopenapi.NewDocument(description)
	if err != nil {
		t.Fatal(err)
	}
	check, faults := validator.NewValidator(document)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	if ok, faults := check.ValidateDocument(); !ok {
		for _, f := range faults {
			t.Errorf("the description is no OpenAPI 3.1: %v %v", f, f.SchemaValidationErrors)
		}
	}
	quota := func(backend store.Store, limits string) http.Handler {
		policy, err := ratelimit.ParsePolicy(limits)
		if err != nil {
			t.Fatal(err)
		}
		limiter, err := ratelimit.New(backend, policy, ratelimit.Config{})
		if err != nil {
			t.Fatal(err)
		}
		config := middleware.Config{Key: middleware.Header("X-API-Key"), RequireKey: true, Logger: slog.New(slog.DiscardHandler)}
		mux := http.NewServeMux()
		mux.HandleFunc("/export", func(http.ResponseWriter, *http.Request) {})
		api, err := middleware.Routes(limiter, mux, config, middleware.Route{Pattern: "/export", Limits: []ratelimit.Limit{ratelimit.PerHour(2), ratelimit.AtOnce(2)}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { runtime.KeepAlive(api) }) // its routes are shown while it is in use
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/export", nil)
		r.Header.Set("X-API-Key", "alice")
		api.ServeHTTP(httptest.NewRecorder(), r)
		h, err := middleware.Quota(limiter, middleware.QuotaConfig{Config: config})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	limited := quota(memstore.New(memstore.Config{}), "5/s, 1/h;name=hourly")
	seen := map[string]bool{}
	for _, c := range []struct {
		name   string
		h      http.Handler
		keys   []string
		times  int
		status int
		want   string
	}{
		{"limited", limited, []string{"alice"}, 1, 200, `"remaining":0`},
		{"unlimited", quota(memstore.New(memstore.Config{}), "unlimited"), []string{"alice"}, 1, 200, `"unlimited":true`},
		{"at a time", quota(memstore.New(memstore.Config{}), "2 at a time"), []string{"alice"}, 1, 200, `"concurrent-requests"`},
		{"blocked", quota(memstore.New(memstore.Config{}), "blocked;until=2999-01-01, 5/s"), []string{"alice"}, 1, 403, "Access is blocked"},
		{"no key", limited, nil, 1, 401, ""},
		{"two keys", limited, []string{"a", "b"}, 1, 400, ""},
		{"too often", limited, []string{"bob"}, 11, 429, ""},
		{"down", quota(downHolder{}, "5/s"), []string{"alice"}, 1, 503, ""},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/quota", nil)
		for _, key := range c.keys {
			r.Header.Add("X-API-Key", key)
		}
		var w *httptest.ResponseRecorder
		for range c.times {
			w = httptest.NewRecorder()
			c.h.ServeHTTP(w, r)
		}
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s: status %d: %s", c.name, w.Code, w.Body)
		}
		seen["GET /quota "+fmt.Sprint(w.Code)] = true
		if ok, faults := check.ValidateHttpResponse(r, w.Result()); !ok {
			for _, f := range faults {
				t.Errorf("%s: the response %s is not as described: %v %v", c.name, w.Body, f, f.SchemaValidationErrors)
			}
		}
		wantHeaders(t, &rig{description: description}, "GET /quota", w)
	}
	for _, s := range statuses(t, description) {
		if !seen[s] {
			t.Errorf("%s is described and was not seen", s)
		}
	}
}

// downHolder is a store that can hold tokens and has failed.
type downHolder struct{ down }

func (downHolder) Settle(context.Context, []store.Settlement) {}
func (downHolder) Holds() bool                                { return true }
