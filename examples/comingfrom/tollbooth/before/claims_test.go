package main

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/didip/tollbooth/v7"
)

// TestKnobs shows that two setters end what a caller can do about its key.
func TestKnobs(t *testing.T) {
	limit := tollbooth.NewLimiter(0.001, nil).SetBurst(5).SetHeader("X-API-Key", nil).SetIPLookups([]string{"RemoteAddr"}).SetIgnoreURL(true)
	api := tollbooth.LimitFuncHandler(limit, hello)
	for i := range 6 {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/"+strconv.Itoa(i), nil)
		r.Header.Set("X-Api-Key", "alice")
		r.Header.Set("X-Forwarded-For", "198.51.100."+strconv.Itoa(i))
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		if refused := w.Code == http.StatusTooManyRequests; refused != (i == 5) {
			t.Errorf("call %d: status %d", i, w.Code)
		}
	}
}

// TestFraction shows the burst of a limit that is no whole number.
func TestFraction(t *testing.T) {
	for limit, want := range map[float64]int{0.5: 1, 2.5: 2} {
		if got := tollbooth.NewLimiter(limit, nil).GetBurst(); got != want {
			t.Errorf("NewLimiter(%v) has a burst of %d, want %d", limit, got, want)
		}
	}
}
