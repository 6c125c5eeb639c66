package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-chi/httprate"
)

// TestError shows the answer to a key function that fails, unless WithErrorHandler is set.
func TestError(t *testing.T) {
	limit := httprate.LimitBy(5, time.Second, func(*http.Request) (string, error) { return "", errors.New("details of the server's") })
	w := httptest.NewRecorder()
	limit(http.HandlerFunc(hello)).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	if w.Code != http.StatusPreconditionRequired || w.Body.String() != "details of the server's\n" {
		t.Errorf("status %d, %q", w.Code, w.Body)
	}
}
