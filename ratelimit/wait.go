package ratelimit

import (
	"context"
	"fmt"
	"time"
)

// Wait blocks until a call of cost 1 is admitted, and charges it. It returns
// early with an error when ctx ends, when its deadline comes before the next
// token does (it does not wait for that in vain), or when nothing could be
// decided. Callers that wait for one key are not served in a fixed order.
func (l *Limiter) Wait(ctx context.Context, key string) error {
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("ratelimit: gave up waiting: %w", err)
		}
		r, err := l.Allow(ctx, key)
		if r.Allowed { // in shadow mode, after a fault as well
			return nil
		}
		if err != nil {
			return err
		}
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < r.RetryAfter {
			return fmt.Errorf("ratelimit: the next token comes in %v, after the context's deadline: %w", r.RetryAfter, context.DeadlineExceeded)
		}
		wait := r.RetryAfter
		if wait == 0 { // a store that denies without a reason is not to be asked all the time
			wait = time.Millisecond
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}
