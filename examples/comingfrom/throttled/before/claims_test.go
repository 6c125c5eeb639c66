package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/throttled/throttled/v2"
	"github.com/throttled/throttled/v2/store/memstore"
)

// contended is a store in which somebody else is always quicker.
type contended struct {
	throttled.GCRAStoreCtx
	attempts int
}

func (c *contended) SetIfNotExistsWithTTL(context.Context, string, int64, time.Duration) (bool, error) {
	c.attempts++
	return false, nil
}

// TestContention shows what becomes of a call that others come before, again and again.
func TestContention(t *testing.T) {
	inner, err := memstore.NewCtx(65536)
	if err != nil {
		t.Fatal(err)
	}
	store := &contended{GCRAStoreCtx: inner}
	api, err := handler(store)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	api.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	if w.Code != http.StatusInternalServerError || store.attempts != 10 {
		t.Errorf("status %d, after %d attempts", w.Code, store.attempts)
	}
	limiter, err := throttled.NewGCRARateLimiterCtx(store, throttled.RateQuota{MaxRate: throttled.PerSec(5), MaxBurst: 4})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err = limiter.RateLimitCtx(t.Context(), "alice", 1); err == nil || !strings.Contains(err.Error(), "alice") {
		t.Errorf("the error is %v", err)
	}
}

// TestBurst shows that MaxBurst comes on top of one call.
func TestBurst(t *testing.T) {
	store, err := memstore.NewCtx(65536)
	if err != nil {
		t.Fatal(err)
	}
	limiter, err := throttled.NewGCRARateLimiterCtx(store, throttled.RateQuota{MaxRate: throttled.PerMin(20), MaxBurst: 5})
	if err != nil {
		t.Fatal(err)
	}
	if _, result, err := limiter.RateLimitCtx(t.Context(), "alice", 1); err != nil || result.Limit != 6 {
		t.Errorf("the burst is %d, %v; want 6", result.Limit, err)
	}
}
