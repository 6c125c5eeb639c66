package ratelimit

import "context"

// Limits tell which policy holds a key. A [Limit], a [*Policy], a [*Table] and a
// [LimitsFunc] are Limits.
//
// PolicyFor is called for every decision, concurrently, so it should be quick.
// An error or a nil Policy is a fault, not a free pass: the limiter returns it. Its
// context ends with Config.Timeout, which it must heed if it waits for anything.
type Limits interface {
	PolicyFor(ctx context.Context, key string) (*Policy, error)
}

// A LimitsFunc is a function that looks a key's limits up. The key may be cut out of a
// long header: a function that keeps keys should keep a [strings.Clone]. An error that it
// returns is shown by its text, and not if that holds the key: see [StoreError].
type LimitsFunc func(ctx context.Context, key string) (*Policy, error)

// PolicyFor calls f.
func (f LimitsFunc) PolicyFor(ctx context.Context, key string) (*Policy, error) { return f(ctx, key) }
