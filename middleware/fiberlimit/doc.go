// Package fiberlimit limits how often each API key may call an app of fiber v3.
//
//	limit, err := fiberlimit.New(limiter, fiberlimit.Config{Key: fiberlimit.Header("X-API-Key")})
//	...
//	app := fiber.New()
//	app.Use(limit)
//
// It does what package middleware does for net/http, with the same headers and bodies, on the
// request of fasthttp: nothing is converted. Read there about keys, the queue of clients that share
// a key, and faults. [middleware.Settle], [middleware.Keep], [middleware.ResultFrom] and
// [middleware.KeyFrom] work with the Context method of a [fiber.Ctx]:
//
//	used, err := model.Complete(c)
//	middleware.Settle(c.Context(), used)
//
// # Where to register it
//
// With Use, register it before other middlewares and before routes: a middleware in front of it
// that calls Next twice gets past it, because fiber goes on behind a handler that has returned.
// [Around] wraps one handler, and decides each time that this one is called.
//
// Limits and costs of routes go by the pattern that fiber has matched. A middleware that is
// registered with Use, on an app or on a group, does not know it, because fiber has not matched a
// route yet. So one with routes belongs to each route, also of a group:
//
//	limit, err := fiberlimit.New(limiter, c, middleware.Route{Pattern: "GET /v1/export/:id", Cost: 10})
//	...
//	v1 := app.Group("/v1")
//	v1.Get("/export/:id", limit, export)
//	v1.Get("/", limit, list)
//
// # Strings
//
// Most strings that fiber returns are valid only until the handler has returned. What a limiter or
// a store could keep is copied: keys, also those that a [KeyFunc] returns, and addresses. So a
// KeyFunc may return what c.Get returns.
//
// # Streams and connections
//
// A request has its place in limits on concurrent calls, and its estimate, until the handler has
// returned. If the response is a stream then, as after SendStreamWriter, it has them until the
// stream has been written or the client has gone: the writer of the stream may call
// [middleware.Settle] with the c.Context() that it got before. For a connection that is hijacked,
// such as a WebSocket, call [middleware.Keep].
package fiberlimit
