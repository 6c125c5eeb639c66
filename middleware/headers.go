package middleware

import (
	"slices"

	"github.com/keyrate/keyrate/middleware/internal/reply"
)

// The headers of a response that describe its limits, in the canonical form of
// [http.Header]. RateLimit-Policy and RateLimit are the fields of
// draft-ietf-httpapi-ratelimit-headers-11; the others are a convention.
const (
	HeaderPolicy       = reply.Policy       // RateLimit-Policy, all limits: quota and window
	HeaderRateLimit    = reply.RateLimit    // RateLimit, all limits: what remains, and for how long
	HeaderLimit        = reply.Limit        // X-Rate-Limit-Limit, of the limit that decides: see LimitForm
	HeaderRemaining    = reply.Remaining    // X-Rate-Limit-Remaining, of the limit that decides: whole tokens left
	HeaderReset        = reply.Reset        // X-Rate-Limit-Reset, of the limit that decides: see ResetForm
	HeaderRetryAfter   = reply.RetryAfter   // Retry-After, on 429 and 503: seconds, rounded up, at least 1
	HeaderRetryAfterMs = reply.RetryAfterMs // Retry-After-Ms, on 429: milliseconds, rounded up, at least 1
)

// Headers returns the names of all headers that a response of [RateLimit] may have, for
// Access-Control-Expose-Headers: otherwise a script in a browser does not see them. The
// caller may change the slice.
func Headers() []string { return slices.Clone(reply.Names[:]) }

// A LimitForm is a form of the X-Rate-Limit-Limit header.
type LimitForm int

// The forms of X-Rate-Limit-Limit.
const (
	// LimitAsCount is the number of tokens that the bucket holds, the burst: "5".
	LimitAsCount LimitForm = iota
	// LimitAsPeriod is the period of the limit, with its unit: "1s", "15m", "12h",
	// "1d", as in AspNetCoreRateLimit.
	LimitAsPeriod
)

// A ResetForm is a form of the X-Rate-Limit-Reset header: when the bucket will be
// full again, rounded up to a second.
type ResetForm int

// The forms of X-Rate-Limit-Reset.
const (
	// ResetOff sends no such header.
	ResetOff = ResetForm(reply.ResetOff)
	// ResetAsDelta is a number of seconds from now: "12".
	ResetAsDelta = ResetForm(reply.ResetAsDelta)
	// ResetAsEpoch is a number of seconds since 1970 UTC, by this machine's clock.
	ResetAsEpoch = ResetForm(reply.ResetAsEpoch)
	// ResetAsTime is an RFC 3339 time in UTC, by this machine's clock.
	ResetAsTime = ResetForm(reply.ResetAsTime)
)
