package middleware_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

func TestHealth(t *testing.T) {
	type report struct {
		Status string
		Parts  []struct {
			OK    bool
			Class string
		}
	}
	for _, c := range []struct {
		name   string
		store  store.Store
		code   int
		status string
		class  string
	}{
		{"fails", brokenStore{err: errDown}, 503, "failed", "down"},
		{"panics", brokenStore{panic: "boom"}, 503, "failed", "panic"},
		{"self-timed panics", brokenSelfTimed{brokenStore{panic: "boom"}}, 503, "failed", "panic"},
		{"admits everything", brokenStore{}, 503, "failed", "wrong"},
		{"its own check panics", checkedStore{brokenStore: brokenStore{panic: "boom"}}, 503, "failed", "panic"},
		{"no status", checkedStore{}, 503, "", ""},
		{"degraded", checkedStore{health: store.Health{Status: store.StatusDegraded}}, 200, "degraded", ""},
		{"a time that JSON cannot hold", checkedStore{health: store.Health{Status: store.StatusOK, Parts: []store.PartHealth{
			{Proved: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
		}}}, 503, "failed", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := wantStatus(t, middleware.Health(limiterOn(t, c.store, five, ratelimit.Config{})), call{}, c.code)
			var got report
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if got.Status != c.status {
				t.Errorf("status %q, want %q", got.Status, c.status)
			}
			if c.class != "" && (len(got.Parts) != 1 || got.Parts[0].OK || got.Parts[0].Class != c.class) {
				t.Errorf("parts %+v, want one of class %s", got.Parts, c.class)
			}
			if w.Header().Get("Cache-Control") != "no-store" {
				t.Error("the answer may be stored")
			}
		})
	}
}

// TestHealthWhileDenied: health checks are not in the way of callers, nor they in
// the way of health checks.
func TestHealthWhileDenied(t *testing.T) {
	limiter := newLimiter(t, ratelimit.PerHour(1), ratelimit.Config{})
	h := middleware.Must(middleware.RateLimit(limiter, middleware.Config{}))(hello)
	wantStatus(t, middleware.Health(limiter), call{}, http.StatusOK)
	wantStatus(t, h, call{}, http.StatusOK)
	wantStatus(t, h, call{}, http.StatusTooManyRequests)
	for range 10 {
		wantStatus(t, middleware.Health(limiter), call{}, http.StatusOK)
	}
}
