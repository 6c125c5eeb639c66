package main

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v5"
	echomiddleware "github.com/labstack/echo/v5/middleware"

	"github.com/keyrate/keyrate/benchmarks/internal/library"
	"github.com/keyrate/keyrate/benchmarks/internal/load"
	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/echolimit"
)

type addEcho func(s setting) (echo.MiddlewareFunc, error)

var echoLimiters = []limiter{
	{name: library.Ours, add: addEcho(func(s setting) (echo.MiddlewareFunc, error) {
		l, err := keyrateLimiter(s)
		if err != nil {
			return nil, err
		}
		return echolimit.New(l, middleware.Config{Key: middleware.Header(load.KeyHeader)})
	})},
	{name: "echo's RateLimiter", add: addEcho(func(s setting) (echo.MiddlewareFunc, error) {
		return echomiddleware.RateLimiterConfig{
			Store: echomiddleware.NewRateLimiterMemoryStoreWithConfig(echomiddleware.RateLimiterMemoryStoreConfig{
				Rate: float64(s.Limit.Tokens) / s.Limit.Per.Seconds(), Burst: s.Limit.Tokens, ExpiresIn: 24 * time.Hour,
			}),
			IdentifierExtractor: func(c *echo.Context) (string, error) { return c.Request().Header.Get(load.KeyHeader), nil },
		}.ToMiddleware()
	})},
}

func openEcho(add any, s setting) (call, error) {
	e := echo.New()
	if add, ok := add.(addEcho); ok {
		limit, err := add(s)
		if err != nil {
			return nil, err
		}
		e.Use(limit)
	}
	e.GET("/", func(c *echo.Context) error { return c.NoContent(http.StatusOK) })
	return serving(e)
}
