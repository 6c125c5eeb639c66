// Package connectv2limit limits the calls of a Connect server. It is for
// connectrpc.com/connect/v2; package connectlimit is for connectrpc.com/connect.
//
//	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerSecond(5), ratelimit.Config{})
//	limit, err := connectv2limit.New(limiter, connectv2limit.Config{Key: connectv2limit.Header("X-API-Key")})
//	server := connect.NewServer(limit.Server)
//	pingv1connect.RegisterPingServiceHandler(server, ping)
//	connecthttp.Mount(mux, server)
//
// A call over the limit gets connect.CodeResourceExhausted, 429 in the Connect protocol, and its
// handler does not run. The error has a RetryInfo with the time to wait, unless no wait helps,
// and a QuotaFailure with the names of the limits.
//
// In all three protocols, the response headers have the fields of package middleware:
// RateLimit, RateLimit-Policy, X-Rate-Limit-Limit and X-Rate-Limit-Remaining, and those of a
// denied call Retry-After and Retry-After-Ms. With gRPC and gRPC-Web, a denied call has the
// trailer grpc-retry-pushback-ms. Clients of grpc-go do not retry by their service config, since
// Connect sends a header before each error.
//
// A call is limited before its message is read. The opening of a stream is a call. With
// Config.MessageCost, each message that the client sends is charged as well. A limit on
// concurrent calls counts a call until its handler returns. With Config.Reserve, a handler
// sets the price of its call with middleware.Settle.
//
// A [middleware.Route] gives limits or a cost to a procedure: its Pattern is the procedure,
// "/package.Service/Method". Health checks and reflection are exempt, unless a Route has their
// procedure.
package connectv2limit
