package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"time"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// Wait is [Limiter.WaitN] for a call of cost 1.
func (l *Limiter) Wait(ctx context.Context, key string) error { return l.WaitN(ctx, key, 1) }

// WaitN blocks until a call that costs n tokens is admitted, and charges it. It returns
// early with an error when ctx ends, when its deadline comes before the tokens do (it does
// not wait for that in vain), or when nothing could be decided. Tokens that others hold may come
// back at any time: while they alone are in the way, it asks again after Config.RetryHint, and a
// last time at the deadline. For a key that is blocked, or becomes so, the error is [ErrBlocked]. Tokens
// that come before the
// deadline are taken, even if this machine is so busy that the deadline has passed by then.
// Callers that wait for one key are not served in a fixed order.
//
// If n is above the burst of a limit, WaitN returns a [LimitError] at once: so many tokens are
// never there together. [Limiter.WaitInParts] takes them one part after another.
func (l *Limiter) WaitN(ctx context.Context, key string, n int) error {
	r, err := l.wait(ctx, key, &ask{cost: n, charge: n})
	if err == nil && !r.Allowed {
		return &LimitError{Limit: r.Limit().Name, Field: "n", Value: n, Want: fmt.Sprintf("must be at most %d, the smallest burst; Limiter.WaitInParts takes more, in parts", r.policy.burst())}
	}
	return err
}

// WaitInParts blocks until n tokens have been taken, which may be more than the burst of a
// limit: first those that are there, then parts of at least half the smallest burst. If ctx
// has a deadline before so many tokens can have come, it returns an error and takes nothing.
// Otherwise it returns early as [Limiter.WaitN] does; taken then reports how many tokens it
// had taken before. They stay charged.
func (l *Limiter) WaitInParts(ctx context.Context, key string, n int) (taken int, err error) {
	if n < 0 {
		return 0, &LimitError{Field: "n", Value: n, Want: "must be at least 0"}
	}
	if _, ok := ctx.Deadline(); ok && n > 0 {
		r, err := l.PeekN(ctx, key, 1)
		if err == nil {
			err = r.inTime(ctx, n)
		}
		if err != nil && !r.shadow {
			return 0, err
		}
	}
	for least := 1; taken < n; {
		r, err := l.wait(ctx, key, &ask{cost: n - taken, charge: n - taken, least: min(least, n-taken)})
		if err != nil {
			return taken, err
		}
		if r.Allowed {
			taken += r.cost
		}
		if r.policy == nil { // in shadow mode, after a fault
			return n, nil
		}
		least = max(1, r.policy.burst()/2) // also where the limit has become smaller
	}
	return taken, nil
}

// burst returns the smallest burst of the limits.
func (p *Policy) burst() int {
	least := 0
	for i := range p.limits {
		if b := p.limits[i].Burst(); i == 0 || b < least {
			least = b
		}
	}
	return least
}

// inTime returns an error if n tokens cannot come before the deadline of ctx. What is held may
// come back at once.
func (r *Result) inTime(ctx context.Context, n int) error {
	deadline, _ := ctx.Deadline()
	for i := range r.Len() {
		l := &r.policy.limits[i]
		if wait := timeOf(l, n-l.Remaining(r.states[i].debt())); wait > time.Until(deadline) {
			return fmt.Errorf("ratelimit: %d tokens take %v, which ends after the context's deadline: %w", n, wait, context.DeadlineExceeded)
		}
	}
	return nil
}

// timeOf returns in what time n tokens of a limit come back, rounded down.
func timeOf(l *store.Limit, n int) time.Duration {
	num, den := l.Interval()
	hi, lo := bits.Mul64(uint64(max(n, 0)), num)
	if hi >= uint64(den) {
		return gcra.Never
	}
	micros, _ := bits.Div64(hi, lo, uint64(den))
	return time.Duration(min(micros, uint64(gcra.Never/time.Microsecond))) * time.Microsecond
}

// wait asks until the call is admitted, or never can be.
func (l *Limiter) wait(ctx context.Context, key string, a *ask) (r Result, err error) {
	if err := ctx.Err(); err != nil {
		return r, gaveUp(err)
	}
	a.waits = true
	for asks := ctx; ; {
		r = Result{}
		err := l.decideObserved(asks, key, a, &r)
		if r.Allowed { // in shadow mode, after a fault as well
			return r, nil
		}
		if err != nil {
			return r, err
		}
		if b, ok := r.policy.Block(); ok {
			return r, b.denies()
		}
		if err := ctx.Err(); err != nil {
			return r, gaveUp(err)
		}
		wait := r.RetryAfter()
		if wait == gcra.Never && r.cost > r.policy.burst() {
			return r, nil
		}
		last := false // held tokens may come back after all: ask once more at the deadline
		if deadline, ok := ctx.Deadline(); ok {
			left, certain := time.Until(deadline), r.certain()
			if certain > 0 && left < certain {
				tokens := "the next token comes"
				if r.cost > 1 {
					tokens = fmt.Sprintf("the %d tokens come", r.cost)
				}
				return r, fmt.Errorf("ratelimit: %s in %v, after the context's deadline: %w", tokens, certain, context.DeadlineExceeded)
			}
			last = left < wait
			wait = min(wait, left)
		}
		if wait <= 0 { // a store that denies without a wait must not be asked in a loop
			wait = time.Millisecond
		}
		if err := sleep(ctx, wait); err != nil && !(last && errors.Is(err, context.DeadlineExceeded)) {
			return r, gaveUp(err)
		}
		if _, ok := ctx.Deadline(); ok { // it may pass before the token is taken
			asks = context.WithoutCancel(ctx) // Config.Timeout still holds
		}
	}
}

// certain returns the part of a wait that is no guess: the time until what was spent leaves
// room in all limits, or what the store returned.
func (r *Result) certain() time.Duration {
	if !r.hinted {
		return r.RetryAfter()
	}
	wait := time.Duration(0)
	for i := range r.policy.limits {
		wait = max(wait, r.states[i].alone(&r.policy.limits[i], r.cost))
	}
	return wait
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
