// Package ginlimit limits requests to a gin engine as package middleware does for net/http: the
// same keys, limits, headers and bodies.
//
//	limit, err := ginlimit.New(limiter, middleware.Config{Key: middleware.Header("X-API-Key")})
//	if err != nil {
//		return err
//	}
//	engine.Use(limit)
//
// A request that is denied is answered and aborted: no later handler runs. Put the middleware
// behind authentication and [gin.Recovery], and in front of the handlers. A [gin.Engine] runs it
// for paths without a route, too; then the key's own limits apply.
//
// Handlers find the decision, the price and the place of a request through its context, which
// is that of gin.Context.Request: middleware.ResultFrom(c.Request.Context()). So do
// middleware.Settle and middleware.Keep.
package ginlimit
