package main

import (
	"net/http"

	"github.com/keyrate/keyrate/middleware"
)

func keyrateHandler(s setting, next http.Handler) (http.Handler, error) {
	l, err := keyrateLimiter(s)
	if err != nil {
		return nil, err
	}
	limit, err := middleware.RateLimit(l, middleware.Config{Key: middleware.Header(keyHeader)})
	if err != nil {
		return nil, err
	}
	return limit(next), nil
}
