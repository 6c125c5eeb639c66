package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Wait blocks until a call of cost 1 is admitted, and charges it. It returns
// early with an error when ctx ends, when its deadline comes before the next
// token does (it does not wait for that in vain), or when nothing could be
// decided. A token that comes before the deadline is taken, even if this machine
// is so busy that the deadline has passed by then. Callers that wait for one key are
// not served in a fixed order.
func (l *Limiter) Wait(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return gaveUp(err)
	}
	for asks := ctx; ; {
		r, err := l.Allow(asks, key)
		if r.Allowed { // in shadow mode, after a fault as well
			return nil
		}
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return gaveUp(err)
		}
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < r.RetryAfter() {
			return fmt.Errorf("ratelimit: the next token comes in %v, after the context's deadline: %w", r.RetryAfter(), context.DeadlineExceeded)
		}
		wait := r.RetryAfter()
		if wait == 0 { // a store that denies without a wait must not be asked in a loop
			wait = time.Millisecond
		}
		if err := sleep(ctx, wait); err != nil {
			return gaveUp(err)
		}
		if _, ok := ctx.Deadline(); ok { // it may pass before the token is taken
			asks = context.WithoutCancel(ctx) // Config.Timeout still holds
		}
	}
}

func gaveUp(err error) error { return fmt.Errorf("ratelimit: gave up waiting: %w", err) }

// sleep waits for d, or until ctx ends before that. The timers of d and of a deadline that
// comes right after may both have fired when the caller is woken: then d has passed.
func sleep(ctx context.Context, d time.Duration) error {
	start := time.Now()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	if err := ctx.Err(); err != nil && (time.Since(start) < d || !errors.Is(err, context.DeadlineExceeded)) {
		return err
	}
	return nil
}
