package main

import (
	"net"
	"strings"

	"github.com/gofiber/fiber/v3"
	fiberlimiter "github.com/gofiber/fiber/v3/middleware/limiter"
	"github.com/valyala/fasthttp"

	"github.com/keyrate/keyrate/benchmarks/internal/library"
	"github.com/keyrate/keyrate/benchmarks/internal/load"
	"github.com/keyrate/keyrate/middleware/fiberlimit"
)

type addFiber func(s setting) (fiber.Handler, error)

var fiberLimiters = []limiter{
	{name: library.Ours, add: addFiber(func(s setting) (fiber.Handler, error) {
		l, err := keyrateLimiter(s)
		if err != nil {
			return nil, err
		}
		return fiberlimit.New(l, fiberlimit.Config{Key: fiberlimit.Header(load.KeyHeader)})
	})},
	{name: "fiber's limiter", add: addFiber(func(s setting) (fiber.Handler, error) {
		return fiberlimiter.New(fiberlimiter.Config{
			Max: s.Limit.Tokens, Expiration: s.Limit.Per,
			// It keeps the key, so that must be a copy.
			KeyGenerator: func(c fiber.Ctx) string { return strings.Clone(c.Get(load.KeyHeader)) },
		}), nil
	})},
}

func openFiber(add any, s setting) (call, error) {
	app := fiber.New()
	if add, ok := add.(addFiber); ok {
		limit, err := add(s)
		if err != nil {
			return nil, err
		}
		app.Use(limit)
	}
	app.Get("/", func(c fiber.Ctx) error {
		c.Status(fiber.StatusOK)
		return nil
	})
	h := app.Handler()
	var r fasthttp.RequestCtx
	r.Init(&fasthttp.Request{}, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1234}, nil)
	r.Request.SetRequestURI("/")
	return func(key string) bool {
		r.Request.Header.Set(load.KeyHeader, key)
		r.Response.Reset()
		r.ResetUserValues()
		h(&r)
		return r.Response.StatusCode() == fiber.StatusTooManyRequests
	}, nil
}
