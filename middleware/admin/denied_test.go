package admin_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/admin"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// TestDenied: the report names keys and addresses by the hash that the state of a key has.
func TestDenied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDeskOn(t, newLimiter(t, memstore.New(memstore.Config{}), ratelimit.PerHour(1), ratelimit.Config{Metrics: true}), admin.Config{})
		const since = `{"since":"2000-01-01T00:00:00Z","denied":`
		if w := d.ask(t, "GET", "/denied", ""); w.Code != 200 || strings.TrimSpace(w.Body.String()) != since+`0,"keys":[]}` {
			t.Errorf("%d: %s", w.Code, w.Body)
		}
		h, err := middleware.RateLimit(d.limiter, middleware.Config{Key: middleware.Header("X-API-Key")})
		if err != nil {
			t.Fatal(err)
		}
		serve := h(http.NotFoundHandler())
		for _, key := range []string{"alice", "alice", "alice", "", ""} {
			r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
			if r.RemoteAddr = "192.0.2.1:1234"; key != "" {
				r.Header.Set("X-API-Key", key)
			}
			serve.ServeHTTP(httptest.NewRecorder(), r)
		}
		entry := func(body string, n string) string {
			state := d.ask(t, "POST", "/key/state", body).Body.String()
			_, hash, _ := strings.Cut(state, `{"key":"`)
			hash, _, _ = strings.Cut(hash, `"`)
			return `{"key":"` + hash + `","limit":"default","denied":` + n + `,"overcount":0,"last":"2000-01-01T00:00:00Z"}`
		}
		want := since + `3,"keys":[` + entry(`{"key":"alice"}`, "2") + `,` + entry(`{"address":"192.0.2.1"}`, "1") + `]}`
		if w := d.ask(t, "GET", "/denied", ""); strings.TrimSpace(w.Body.String()) != want {
			t.Errorf("%s\nwant %s", w.Body, want)
		}
	})
}

// TestDeniedWithoutMetrics: there is nothing to report.
func TestDeniedWithoutMetrics(t *testing.T) {
	wantProblem(t, newDesk(t).ask(t, "GET", "/denied", ""), 404, "Config.Metrics")
}

// TestHashOfAKey: the state of a key cannot be looked up by its hash, and the response says so.
func TestHashOfAKey(t *testing.T) {
	d := newDesk(t)
	for _, path := range []string{"/key/state", "/key/reset", "/key/reset-shared"} {
		wantProblem(t, d.ask(t, "POST", path, `{"hash":"`+ratelimit.HashKey("alice")+`"}`), 400, "hash of a key")
		wantProblem(t, d.ask(t, "POST", path, `{"key":" `+ratelimit.HashKey("alice")+`"}`), 400, "hash of a key")
	}
}
