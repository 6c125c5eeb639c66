package fiberlimit

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/gofiber/fiber/v3"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/internal/address"
	"github.com/keyrate/keyrate/middleware/internal/gate"
	"github.com/keyrate/keyrate/middleware/internal/reply"
	"github.com/keyrate/keyrate/middleware/internal/route"
	"github.com/keyrate/keyrate/ratelimit"
)

// New returns a middleware that lets a request pass to the next handler if limiter allows it,
// and answers 429 if not. It returns the error that the next handler returns.
//
// With routes, register it with each route, and not with Use: see the package comment. A Pattern is
// the method, a space and the path as it is registered, with the prefixes of its groups, such as
// "GET /v1/export/:id"; without a method, the path with all methods. HEAD has the limits of GET,
// unless its own are given. [CheckRoutes] checks that the app has the routes. The key's own limits
// apply to the other routes that the middleware is registered with.
//
// The error joins all faults of limiter, c and routes, each with the field, its value and what it
// must be.
func New(limiter *ratelimit.Limiter, c Config, routes ...middleware.Route) (fiber.Handler, error) {
	d, err := newDoors(limiter, c, routes)
	if err != nil {
		return nil, err
	}
	return func(c fiber.Ctx) error { return d.serve(c, fiber.Ctx.Next) }, nil
}

// Around is [New] for handlers: it returns a function that puts a handler behind the limits.
// A request that is denied does not reach the handler, whatever the middlewares in front of it do.
// All handlers share the limits of limiter.
//
//	limited, err := fiberlimit.Around(limiter, fiberlimit.Config{})
//	...
//	app.Get("/export/:id", retry, limited(export))
func Around(limiter *ratelimit.Limiter, c Config, routes ...middleware.Route) (func(fiber.Handler) fiber.Handler, error) {
	d, err := newDoors(limiter, c, routes)
	if err != nil {
		return nil, err
	}
	return func(next fiber.Handler) fiber.Handler {
		return func(c fiber.Ctx) error { return d.serve(c, next) }
	}, nil
}

// CheckRoutes returns an error if app has no route for the pattern of one of routes, whose limits
// would then apply to no request. Call it when all routes of app are registered, and those of the
// apps that it mounts, and before app serves.
func CheckRoutes(app *fiber.App, routes ...middleware.Route) error {
	_ = app.Handler() // adds the routes of mounted apps
	registered := app.GetRoutes(true)
	err := route.Check(route.Written(routes), func(method, path string) bool {
		for _, r := range registered {
			if r.Path == path && (method == "" || r.Method == method || method == fiber.MethodHead && r.Method == fiber.MethodGet) {
				return true
			}
		}
		return false
	})
	if err != nil {
		return fmt.Errorf("fiberlimit: %w", err)
	}
	return nil
}

// doors are what decides, by route.
type doors struct {
	own    *door
	routes map[pattern]*door

	marked  atomic.Int64 // requests that have a mark: see twice
	charged atomic.Bool  // a request was charged twice, and that was reported
}

// A door decides by the limits of one route, or by the key's own.
type door struct {
	gate   *gate.Gate[fiber.Ctx]
	reply  *reply.Reply
	config *Config
}

// A pattern is that of a route of fiber.
type pattern struct{ method, path string } // method "" is any

func newDoors(limiter *ratelimit.Limiter, c Config, routes []middleware.Route) (*doors, error) {
	if _, err := middleware.NewDoor(limiter, c.likeNetHTTP(), routes...); err != nil {
		return nil, err
	}
	c.Challenge, c.BlockedStatus = cmp.Or(c.Challenge, "ApiKey"), cmp.Or(c.BlockedStatus, fiber.StatusForbidden)
	trusted := address.NewProxies(c.TrustedProxies, c.TrustUnixSocket, http.CanonicalHeaderKey(c.AddressHeader))
	passing := gate.Config[fiber.Ctx]{
		Key:     func(ctx fiber.Ctx) (string, error) { return c.Key.of(ctx, &trusted) },
		Address: func(ctx fiber.Ctx) (string, error) { return addressOf(ctx, &trusted) },
		Peer:    connection,
		Free:    fiber.Ctx.IsPreflight,
		Skip:    c.Skip, Cost: c.Cost, Reserve: c.Reserve, Priced: c.Reserve != nil || c.SettleBy != nil,
		RequireKey: c.RequireKey, FailClosed: c.FailClosed, DisableQueue: c.DisableQueue, Jitter: c.Jitter,
		OnFault: c.OnFault, Logger: c.Logger,
	}
	if c.Observe != nil {
		passing.Observe = func(ctx fiber.Ctx, call gate.Call) {
			c.Observe(ctx, middleware.Event{
				Outcome: middleware.Outcome(call.Outcome), Served: call.Served, Pattern: call.Pattern,
				Result: call.Result, Class: call.Class, Took: call.Took,
			})
		}
	}
	d := &doors{own: &door{gate.New(limiter, passing), c.newReply(), &c}}
	for _, r := range routes {
		of, err := r.Limiter(limiter)
		if err != nil {
			return nil, err
		}
		method, path, found := strings.Cut(r.Pattern, " ")
		if !found {
			method, path = "", r.Pattern
		}
		if d.routes == nil {
			d.routes = map[pattern]*door{}
		}
		d.routes[pattern{method, path}] = &door{d.own.gate.With(of, r.Cost), c.newReply(), &c}
	}
	return d, nil
}

// newReply returns a Reply with an empty memory.
func (c *Config) newReply() *reply.Reply {
	return reply.New(c.LimitHeader == middleware.LimitAsPeriod, reply.ResetForm(c.ResetHeader))
}

// serve decides, and then calls next or denies.
func (d *doors) serve(c fiber.Ctx, next fiber.Handler) error {
	ctx := decisionContext(c)
	to := d.own
	if d.routes != nil {
		to = d.of(ctx, c)
	}
	var call gate.Call
	if to.config.Observe != nil && c.Matched() {
		call.Pattern = c.Method() + " " + c.Route().Path
	}
	to.gate.Decide(ctx, c, &call)
	if !call.Served {
		return to.deny(ctx, c, &call)
	}
	if d.marked.Load() < mostMarked && call.Decided() && call.Outcome != gate.Exempt && call.Result.Cost() > 0 {
		d.twice(ctx, c, call.Key)
	}
	if call.Outcome == gate.Allowed {
		to.allowed(c, &call.Result)
	}
	if to.config.ResultInContext && call.Key != "" {
		c.SetContext(gate.WithDecision(c.Context(), &call))
	}
	if call.Hold != nil || to.config.SettleBy != nil {
		return to.serveHeld(ctx, c, call.Hold, call.Result.Cost(), next)
	}
	return next(c)
}

// of returns the door of the route that fiber has matched.
func (d *doors) of(ctx context.Context, c fiber.Ctx) *door {
	if !c.Matched() {
		d.own.gate.Report(ctx, FaultNoRoute, "the key's own limits apply; register the middleware with each route")
		return d.own
	}
	path, method := c.Route().Path, c.Method()
	if found := d.routes[pattern{method, path}]; found != nil {
		return found
	}
	if method == fiber.MethodHead {
		if found := d.routes[pattern{fiber.MethodGet, path}]; found != nil {
			return found
		}
	}
	if found := d.routes[pattern{"", path}]; found != nil {
		return found
	}
	return d.own
}

// decisionContext returns the context of a decision. It does not end with the request, which is
// charged all the same, and does not refer to c, which fiber uses again.
func decisionContext(c fiber.Ctx) context.Context {
	ctx := c.Context()
	if ctx == context.Background() {
		return ctx
	}
	return context.WithoutCancel(ctx)
}

// mostMarked is how many requests get a mark at most, to detect that the same middleware charges a
// request twice: most likely it is registered with Use and with a route.
const mostMarked = 1000

// twice marks a request that is charged, or reports that it has the mark already.
func (d *doors) twice(ctx context.Context, c fiber.Ctx, key string) {
	r := c.RequestCtx()
	if outer, ok := r.UserValue(d).(string); !ok || outer != key {
		d.marked.Add(1)
		r.SetUserValue(d, key)
	} else if !d.charged.Swap(true) {
		d.own.gate.Report(ctx, middleware.FaultChargedTwice, "charged by the same middleware twice")
	}
}
