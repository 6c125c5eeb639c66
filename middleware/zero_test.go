package middleware_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/admin"
	"github.com/keyrate/keyrate/ratelimit"
)

// TestZeroLimiter is refused where nil is.
func TestZeroLimiter(t *testing.T) {
	zero := new(ratelimit.Limiter)
	for name, call := range map[string]func(){
		"RateLimit": func() { middleware.RateLimit(zero, middleware.Config{}) },
		"Health":    func() { middleware.Health(zero) },
	} {
		func() {
			defer func() {
				if text, _ := recover().(string); !strings.Contains(text, name+": limiter is the zero Limiter") {
					t.Errorf("%s panics with %q", name, text)
				}
			}()
			call()
		}()
	}
	_, routes := middleware.Routes(zero, http.NewServeMux(), middleware.Config{})
	_, operate := admin.New(zero, func(*http.Request) bool { return true }, admin.Config{})
	for name, err := range map[string]error{"Routes": routes, "admin.New": operate} {
		if err == nil || !strings.Contains(err.Error(), "limiter is the zero Limiter") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
