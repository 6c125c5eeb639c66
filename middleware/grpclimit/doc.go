// Package grpclimit limits the calls of a gRPC server.
//
//	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerSecond(5), ratelimit.Config{})
//	limit, err := grpclimit.New(limiter, grpclimit.Config{Key: grpclimit.Metadata("x-api-key")})
//	server := grpc.NewServer(
//		grpc.ChainUnaryInterceptor(limit.Unary),
//		grpc.ChainStreamInterceptor(limit.Stream),
//	)
//
// A call over the limit gets codes.ResourceExhausted, and its handler does not run. The status
// has a RetryInfo with the time to wait and a QuotaFailure with the names of the limits. The
// trailer grpc-retry-pushback-ms has the same time, in milliseconds, so a client whose service
// config retries RESOURCE_EXHAUSTED waits as long as it is asked to. If no wait helps, there is
// no RetryInfo, and the trailer is -1: clients do not retry.
//
// Calls that succeed have the fields ratelimit and ratelimit-policy, x-rate-limit-limit and
// x-rate-limit-remaining in their header. All others have them in their trailer, denied ones
// beside retry-after and retry-after-ms: a client does not retry a call that has a header. They
// are those of package middleware, in lower case. Use one Interceptor for a server, with all
// limits: two would send two sets of fields.
//
// The opening of a stream is a call. With Config.MessageCost, each message that the client
// sends is charged as well. A limit on concurrent calls counts a stream until its handler
// returns. With Config.Reserve, a handler sets the price of its call with middleware.Settle.
//
// A [middleware.Route] gives limits or a cost to a method: its Pattern is the full method,
// "/package.Service/Method". Health checks and reflection are exempt, unless a Route has their
// method.
//
// [NewClient] is for the other side: it waits as denials ask.
package grpclimit
