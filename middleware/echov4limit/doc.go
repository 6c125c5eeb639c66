// Package echov4limit limits requests to echo, version 4, as package middleware does for net/http:
// the same keys, limits, headers and bodies. For version 5 there is package echolimit.
//
//	limit, err := echov4limit.New(limiter, middleware.Config{Key: middleware.Header("X-API-Key")})
//	if err != nil {
//		return err
//	}
//	e.Use(limit)
//
// A request that is denied is answered, and no later handler runs. Put the middleware behind
// authentication and Recover, and in front of the handlers. Echo.Use runs it for paths without a
// route, too; then the key's own limits apply. Do not give it to Echo.Pre, which runs before the
// router: routes with limits of their own would not be found.
//
// Handlers find the decision, the price and the place of a request through the context of
// c.Request(): middleware.ResultFrom(c.Request().Context()). So do middleware.Settle and
// middleware.Keep.
package echov4limit
