package fiberlimit_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"testing"

	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"

	"github.com/keyrate/keyrate/middleware/doorstest"
	"github.com/keyrate/keyrate/middleware/fiberlimit"
)

// TestDoor runs the script that every door passes: with New and with Around.
func TestDoor(t *testing.T) {
	for _, form := range []string{"New", "Around"} {
		t.Run(form, func(t *testing.T) {
			doorstest.Run(t, doorstest.Door{
				Pattern: "GET /export/:id",
				Open: func(t *testing.T, s doorstest.Setup) func(context.Context, doorstest.Call) doorstest.Answer {
					return open(t, s, form == "Around")
				},
			})
		})
	}
}

func open(t *testing.T, s doorstest.Setup, around bool) func(context.Context, doorstest.Call) doorstest.Answer {
	c := fiberlimit.Config{
		Key: fiberlimit.Header(doorstest.KeyHeader), RequireKey: s.RequireKey, FailClosed: s.FailClosed,
		Logger: slog.New(slog.DiscardHandler),
	}
	if s.BlockedAs429 {
		c.BlockedStatus = fiber.StatusTooManyRequests
	}
	if s.Reserve > 0 {
		c.Reserve = func(fiber.Ctx) int { return s.Reserve }
	}
	handle := func(c fiber.Ctx) error {
		s.Handle(c.Context(), c.Get(doorstest.ActionHeader))
		c.Set(fiber.HeaderContentType, doorstest.ContentType)
		return c.SendString(doorstest.Body)
	}
	app := fiber.New()
	if around {
		limited, err := fiberlimit.Around(s.Limiter, c, s.Routes...)
		if err != nil {
			t.Fatal(err)
		}
		app.Get("/", limited(handle))
		app.Options("/", limited(handle))
		app.Get("/export/:id", limited(handle))
	} else {
		limit, err := fiberlimit.New(s.Limiter, c, s.Routes...)
		if err != nil {
			t.Fatal(err)
		}
		app.Get("/", limit, handle)
		app.Options("/", limit, handle)
		app.Get("/export/:id", limit, handle)
	}
	h := app.Handler()
	return func(_ context.Context, call doorstest.Call) doorstest.Answer {
		var r fasthttp.Request
		r.SetRequestURI(call.Path)
		for _, key := range call.Keys {
			r.Header.Add(doorstest.KeyHeader, key)
		}
		r.Header.Set(doorstest.ActionHeader, call.Action)
		if call.Preflight {
			r.Header.SetMethod(fiber.MethodOptions)
			r.Header.Set(fiber.HeaderOrigin, "https://app.example.com")
			r.Header.Set(fiber.HeaderAccessControlRequestMethod, fiber.MethodGet)
		}
		var ctx fasthttp.RequestCtx
		ctx.Init(&r, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1234}, nil)
		h(&ctx)
		header := http.Header{}
		for name, value := range ctx.Response.Header.All() {
			header.Add(string(name), string(value))
		}
		return doorstest.Answer{Status: ctx.Response.StatusCode(), Header: header, Body: ctx.Response.Body()}
	}
}
