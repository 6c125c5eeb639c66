package doorstest

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/keyrate/keyrate/middleware"
)

// Config returns the Config of a door that has a [middleware.Config].
func (s Setup) Config() middleware.Config {
	c := middleware.Config{
		Key: middleware.Header(KeyHeader), RequireKey: s.RequireKey, FailClosed: s.FailClosed,
		Logger: slog.New(slog.DiscardHandler),
	}
	if s.BlockedAs429 {
		c.BlockedStatus = http.StatusTooManyRequests
	}
	if s.Reserve > 0 {
		c.Reserve = func(*http.Request) int { return s.Reserve }
	}
	return c
}

// Request returns the request of a call.
func Request(ctx context.Context, c Call) *http.Request {
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, c.Path, http.NoBody)
	for _, key := range c.Keys {
		r.Header.Add(KeyHeader, key)
	}
	r.Header.Set(ActionHeader, c.Action)
	if c.Preflight {
		r.Method = http.MethodOptions
		r.Header.Set("Origin", "https://app.example.com")
		r.Header.Set("Access-Control-Request-Method", http.MethodGet)
	}
	return r
}

// Serve returns what [Door.Open] does for a framework whose application is a [http.Handler].
func Serve(h http.Handler) func(ctx context.Context, c Call) Answer {
	return func(ctx context.Context, c Call) Answer {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, Request(ctx, c))
		response := w.Result()
		body, _ := io.ReadAll(response.Body) // of a recorder
		_ = response.Body.Close()
		return Answer{Status: response.StatusCode, Header: response.Header, Body: body}
	}
}

// plainPattern is the pattern of "/export/7" in a ServeMux.
const plainPattern = "GET /export/{id}"

// plain is package middleware, which the others are compared with.
var plain = Door{Pattern: plainPattern, Open: func(t *testing.T, s Setup) func(context.Context, Call) Answer {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.Handle(r.Context(), r.Header.Get(ActionHeader))
		w.Header().Set("Content-Type", ContentType)
		_, _ = io.WriteString(w, Body)
	})
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", handler)
	mux.Handle(plainPattern, handler)
	h, err := middleware.Routes(s.Limiter, mux, s.Config(), s.Routes...)
	if err != nil {
		t.Fatal(err)
	}
	return Serve(h)
}}
