package ratelimit

import "context"

// PeekN returns what a call that costs n tokens would be answered now, and charges nothing:
// RetryAfter of the Result reports when it would be admitted.
func (l *Limiter) PeekN(ctx context.Context, key string, n int) (r Result, err error) {
	err = l.decideInTime(ctx, key, ask{cost: n}, &r)
	return r, err
}
