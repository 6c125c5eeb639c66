// Package ratelimit decides whether an API key may call now.
//
// # The one idea
//
// A token bucket holds up to Burst tokens; each call takes its cost, and Rate
// tokens come back, evenly, in every Period. Such a bucket is one number: the
// instant at which it will be full again, its theoretical arrival time. The time
// until then is the bucket's debt. A call is admitted if the debt, with the cost
// of the call, still fits into the bucket. Package gcra computes all of this
// exactly, in integers.
//
// Two things follow. A full bucket is the same as none, so a [store.Store] can
// forget it. And of two debts known for one bucket the larger is the better
// knowledge, so debts from several observers can be merged.
//
// # The way of a request
//
//	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerSecond(5), ratelimit.Config{})
//	...
//	result, err := limiter.Allow(ctx, apiKey)
//
// Allow finds the [Policy] of the key through [Limits], asks the [store.Store] with
// Take, and turns the debts that it returns into a [Result]: tokens left, time to wait.
// Package middleware does this in front of an http.Handler.
//
// # Words
//
//   - A [Limit] is a rate, a period and a burst, under a name; or, with [AtOnce], how many
//     calls may run at a time.
//   - A [Policy] is one to four limits that are decided together: all of them
//     admit a call, or none is charged.
//   - A [Block] stops a key: none of its calls is admitted, and no store is asked. A [Lockout]
//     is a block that a limiter sets by itself.
//   - A table, of package plans, gives keys policies of their own. Package plans/file
//     reads one from a file.
//   - A shadow limit is decided and reported, but denies no call: use one to watch a
//     limit before it is enforced. See [Limiter.ShadowReport].
//   - A part of what a limiter guards, such as a route, can have limits beside those of
//     the key. See [Limiter.With].
//   - A [Hold] is what one call holds of the key's limits while it runs: tokens until its price
//     is known, and its place among the calls at a time. See [Limiter.Hold] and
//     [Limiter.Enter].
//   - A denial is a Result. An error is a fault: the store or the look-up of the limits
//     failed, and the caller decides whether the call passes.
//
// This package imports neither net/http nor a Redis client.
package ratelimit
