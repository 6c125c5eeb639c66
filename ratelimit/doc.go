// Package ratelimit decides whether an API key may call now.
//
// # The one idea
//
// A token bucket holds up to Burst tokens; each call takes its cost, and Rate
// tokens come back, evenly, in every Period. Such a bucket is one number: the
// instant at which it will be full again, its theoretical arrival time. How far
// away that instant is, is the bucket's debt. A call is admitted if the debt,
// with the cost of the call, still fits into the bucket. All of this is exact,
// in integers, in bucket.go.
//
// Two things follow. A full bucket is the same as none, so a [Store] forgets it
// and no decision changes. And of two debts that are known of one bucket, the
// larger is the better knowledge, so that debts seen by several parties can be
// merged.
//
// # The way of a request
//
//	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerSecond(5), ratelimit.Config{})
//	...
//	result, err := limiter.Allow(ctx, apiKey)
//
// Allow finds the [Policy] of the key through [Limits], asks the [Store] with
// Take, and makes its answer, debts, into a [Result]: tokens left, time to wait.
// Package middleware does this in front of an http.Handler.
//
// # Words
//
//   - A [Limit] is a rate, a period and a burst, under a name.
//   - A [Policy] is one to four limits that are decided together: all of them
//     admit a call, or none is charged.
//   - A [Table] gives keys policies of their own, mostly by plans: package plans/file
//     reads one from a file.
//   - A limit that is shadow is decided and reported, but refuses nobody: it is for
//     watching a limit before it is enforced. See [Limiter.ShadowReport].
//   - A part of what a limiter guards, such as a route, can have limits beside those of
//     the key: see [Limiter.With].
//   - A denial is a Result. An error is a fault: the store, or the look-up of the
//     limits, failed, and the caller says what happens then.
//
// This package imports neither net/http nor a Redis client.
package ratelimit
