package echov4limit

import (
	"fmt"
	"net/http"
	"sync"

	"github.com/labstack/echo/v4"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/internal/route"
	"github.com/keyrate/keyrate/ratelimit"
)

// New returns a middleware with the limits of limiter. It is safe for concurrent use.
//
// The routes have limits or costs of their own. Their patterns are a method and the path as
// [echo.Context.Path] returns it, "GET /export/:id", or the path alone, for all methods that have
// no route of their own. [CheckRoutes] finds one that the Echo does not have. A request with
// HEAD counts as one with GET.
//
// With [middleware.Config.SettleBy], the error of a handler becomes a response at once, by
// [echo.Context.Error], because the price depends on the status. The error is returned
// all the same, as by echo's RequestLogger, so that handler must ignore it if the response is
// committed.
//
// If a request passes the same middleware twice, such as one of an Echo and of its group, it is
// charged twice; that is reported once, as [middleware.FaultChargedTwice].
//
// The error joins all faults of limiter, c and routes.
func New(limiter *ratelimit.Limiter, c middleware.Config, routes ...middleware.Route) (echo.MiddlewareFunc, error) {
	door, err := middleware.NewDoor(limiter, c, routes...)
	if err != nil {
		return nil, err
	}
	found, settles := route.New(c.Observe != nil, route.Written(routes)...), c.SettleBy != nil
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			h, _ := chains.Get().(*chain)
			h.c, h.next, h.settles = c, next, settles
			door.Serve(c.Response(), c.Request(), found.Of(c.Request().Method, c.Path()), h)
			err := h.err
			*h = chain{}
			chains.Put(h) // unless a handler panics
			return err
		}
	}, nil
}

// chains saves the allocation of a chain.
var chains = sync.Pool{New: func() any { return new(chain) }}

// A chain is what follows the middleware, for one request.
type chain struct {
	c       echo.Context
	next    echo.HandlerFunc
	settles bool
	err     error
}

// ServeHTTP goes on with the request and the writer of the door.
func (h *chain) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.c.SetRequest(r)
	if h.settles {
		h.err = settle(h.c, w, h.next)
		return
	}
	h.err = h.next(h.c)
}

// settle calls next with the writer of the door, which sees the status.
func settle(c echo.Context, w http.ResponseWriter, next echo.HandlerFunc) error {
	outer := c.Response()
	inner := echo.NewResponse(w, c.Echo())
	inner.Status, inner.Committed = outer.Status, outer.Committed
	c.SetResponse(inner)
	defer c.SetResponse(outer)
	err := next(c)
	if err != nil {
		c.Error(err)
	}
	return err
}

// CheckRoutes returns an error if e has no route for the pattern of one of routes, whose limits
// would then apply to no request. Call it when all routes of e are registered.
func CheckRoutes(e *echo.Echo, routes ...middleware.Route) error {
	registered := e.Routes()
	for _, router := range e.Routers() { // of hosts
		registered = append(registered, router.Routes()...)
	}
	err := route.Check(route.Written(routes), func(method, path string) bool {
		for _, r := range registered {
			if r.Path == path && (method == "" || r.Method == method) {
				return true
			}
		}
		return false
	})
	if err != nil {
		return fmt.Errorf("echov4limit: %w", err)
	}
	return nil
}
