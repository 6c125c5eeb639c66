package ginlimit

import (
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/internal/route"
	"github.com/keyrate/keyrate/ratelimit"
)

// New returns a middleware with the limits of limiter. It is safe for concurrent use.
//
// The routes have limits or costs of their own. Their patterns are a method and the path as
// [gin.Context.FullPath] returns it, "GET /export/:id", or the path alone, for all methods that
// have no route of their own. [CheckRoutes] finds one that the engine does not have. A request
// with HEAD counts as one with GET.
//
// With [middleware.Config.SettleBy], the status is the last one that was set before the response
// began, or else when the handlers returned. An error that a middleware outside this one writes
// later is not seen: put such a middleware inside.
//
// If a request passes the same middleware twice, such as one of an engine and of its group, it is
// charged twice; that is reported once, as [middleware.FaultChargedTwice].
//
// The error joins all faults of limiter, c and routes.
func New(limiter *ratelimit.Limiter, c middleware.Config, routes ...middleware.Route) (gin.HandlerFunc, error) {
	door, err := middleware.NewDoor(limiter, c, routes...)
	if err != nil {
		return nil, err
	}
	found, settles := route.New(c.Observe != nil, route.Written(routes)...), c.SettleBy != nil
	return func(c *gin.Context) {
		var next http.Handler = (*chain)(c)
		if settles {
			next = (*settling)(c)
		}
		if !door.Serve(c.Writer, c.Request, found.Of(c.Request.Method, c.FullPath()), next) {
			c.Abort()
		}
	}, nil
}

// A chain is what follows the middleware. It is the context itself under another type, which
// saves an allocation.
type chain gin.Context

// ServeHTTP goes on with the request of the door.
func (h *chain) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	c := (*gin.Context)(h)
	c.Request = r
	c.Next()
}

// CheckRoutes returns an error if engine has no route for the pattern of one of routes, whose
// limits would then apply to no request. Call it when all routes of engine are registered.
func CheckRoutes(engine *gin.Engine, routes ...middleware.Route) error {
	registered := engine.Routes()
	err := route.Check(route.Written(routes), func(method, path string) bool {
		for _, r := range registered {
			if r.Path == path && (method == "" || r.Method == method) {
				return true
			}
		}
		return false
	})
	if err != nil {
		return fmt.Errorf("ginlimit: %w", err)
	}
	return nil
}
