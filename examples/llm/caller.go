package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

// patient lifts the deadlines of the server: a model may take longer.
func patient(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		if err := errors.Join(c.SetReadDeadline(time.Time{}), c.SetWriteDeadline(time.Time{})); err != nil {
			http.Error(w, "deadlines cannot be set", http.StatusInternalServerError)
			return
		}
		next.ServeHTTP(w, r)
	})
}

type keyKey struct{}

// authenticated passes on the requests with a key that it knows.
func authenticated(keys map[string]*ratelimit.Policy, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if keys[key] == nil {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "unknown key", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), keyKey{}, key)))
	})
}

// keyOf returns the key that was authenticated.
func keyOf(ctx context.Context) string {
	key, _ := ctx.Value(keyKey{}).(string)
	return key
}
