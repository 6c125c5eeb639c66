// Package middleware limits how often each API key may call an http.Handler.
//
//	limit := middleware.RateLimit(limiter, middleware.Config{Key: middleware.Header("X-API-Key")})
//	http.ListenAndServe(":8080", limit(mux))
//
// # The way of a request
//
// [RateLimit] finds the key of the request with a [KeyFunc], asks the
// [ratelimit.Limiter] for a decision, and sets the rate-limit headers. Then it runs
// the handler, or answers 429 with an RFC 9457 problem as its body. It is done
// before the handler starts: the ResponseWriter is handed on as it came, so
// flushing, hijacking, informational responses and trailers work as without it,
// and the body of the request is not read.
//
// # Who is who
//
// A key is what the KeyFunc returns: see [Header], [Bearer], [ClientIP], [First],
// or write one that returns the identity that your authentication has verified. A
// caller without a key is not let off: it is limited by its address, which is the
// peer's unless [Config.TrustedProxies] says whose X-Forwarded-For to believe, or
// it gets 401 with [Config.RequireKey]. A key can never name the bucket of an
// address, nor the other way round. Two values of the key's header get 400, since
// the application might go by the other one. The path plays no part, so no
// spelling of it makes a fresh bucket; limits and costs of a route's own go by the
// pattern that a ServeMux finds: see [Routes].
//
// # Callers that share a key
//
// Most HTTP clients wait for as long as Retry-After says, and retry two or three
// times. If all callers that share a key were given the same time, they would come
// back together and be denied together, until some give up. So each denial gets a
// place in a queue: Retry-After, Retry-After-Ms, retry_after_ms and the t of RateLimit
// report when the bucket has room after those before it, at most one refill later than
// it has room at all. The queue is local to the process and reserves nothing. A caller
// alone is given the time it is given without a queue, also if it comes back early on
// the same connection; and where far more is denied than the limit admits, as beside a
// client that does not wait, no queue forms. [Config.DisableQueue] turns it off.
//
// # What is never done
//
// Nothing that fails here becomes a 500, a panic, or a call that nobody counted.
// If the store cannot decide, the handler runs, or the caller gets 503 with
// [Config.FailClosed]; functions of the user's that panic are recovered. Each of
// these is a fault: it goes to [Config.OnFault] and to the log, at most one line a
// second. [Config.Observe] is called for every request, with one [Outcome]. No key, no address and no text of an error or of the request appears in
// a response or in a log line of ours.
//
// Only a CORS preflight is free; every other method costs, HEAD and OPTIONS too.
// A limiter in shadow mode decides and reports as ever, and its callers see
// nothing of it.
package middleware
