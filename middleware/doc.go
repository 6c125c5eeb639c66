// Package middleware limits how often each API key may call an http.Handler.
//
//	limit, err := middleware.RateLimit(limiter, middleware.Config{Key: middleware.Header("X-API-Key")})
//	...
//	http.ListenAndServe(":8080", limit(mux))
//
// For gin, echo, fiber, gRPC and Connect there are packages of their own, such as ginlimit, and
// for any other framework there is a [Door].
//
// # The way of a request
//
// [RateLimit] finds the key of the request with a [Key], asks the
// [ratelimit.Limiter] for a decision, and sets the rate-limit headers. Then it runs
// the handler, or responds with 429 and an RFC 9457 problem. It does not wrap the
// ResponseWriter, so flushing, hijacking, informational responses and trailers work as
// without it, and it does not read the body of the request. Unless the request holds
// something until it ends, all is done before the handler starts.
//
// # What a request holds
//
// A request has its place in limits on concurrent calls, such as [ratelimit.AtOnce], until
// its handler has returned or panicked: see [Keep] for connections that live longer. With
// [Config.Reserve] it holds an estimate of its price as well, and pays what the handler gives
// to [Settle] or what [Config.SettleBy] finds in the response. Only with SettleBy are the body of
// the request and the ResponseWriter wrapped, the latter in one that has the same methods. A
// limiter with requests that may be in progress for seconds renews what they hold: see
// [ratelimit.Limiter.Close].
//
// # Keys
//
// Use [Header], [Bearer], [ClientIP] or [First], or [KeyFunc] for the identity that your
// authentication has verified. A request without a key is limited by the client's
// address, or gets 401 with [Config.RequireKey]. The address is the peer's, unless
// [Config.TrustedProxies] names proxies whose X-Forwarded-For is trusted. A key never
// shares a bucket with an address. A request with two values of the key's header gets 400,
// because the application might use the other one. The path plays no part, so no spelling
// of a path makes a fresh bucket; limits and costs of a route go by the pattern that a
// ServeMux finds: see [Routes].
//
// # Clients that share a key
//
// Most HTTP clients wait as long as Retry-After says, and retry two or three times. If
// all clients that share a key waited equally long, they would come back together and be
// denied together, until some give up. So each denial gets a place in a queue:
// Retry-After, Retry-After-Ms, retry_after_ms and the t of RateLimit report when the
// bucket has room after those before it, at most one refill later than it has room at all.
// The queue is local to the node and reserves nothing. A client that does not share its
// key gets the same wait as without a queue, even if it comes back early on the same
// connection. No queue forms where far more is denied than the limit admits, as beside a
// client that does not wait. [Config.DisableQueue] turns the queue off.
//
// # Faults
//
// No failure becomes a 500, a panic or an uncounted request. If the store cannot decide,
// the handler runs, or the client gets 503 with [Config.FailClosed]. If a function in
// Config panics, it is recovered. Each of these is a fault: it goes to [Config.OnFault]
// and to the log, at most one line a second. [Config.Observe] is called once for every
// request, with its [Outcome]. No key, no address and no text of an error or of the
// request appears in a response or in a log line of this package.
//
// Only a CORS preflight is free; every other method costs, HEAD and OPTIONS too. A limiter
// in shadow mode decides and reports, and its clients do not notice.
package middleware
