package pace

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// A LateError is the error of a request that would have to wait longer than it can.
type LateError struct {
	Wait     time.Duration // at least
	Left     time.Duration
	Deadline bool // Left ends with the context's deadline
}

// Error returns the wait and the time that was left.
func (e LateError) Error() string {
	return fmt.Sprintf("pace: a wait of %v, and %v left", e.Wait, e.Left)
}

// Wait waits until the request may be sent, for left at most. Only the first request of a
// queue is sent, so that a change of the pace holds for all of them. The error is a
// [LateError], or the one of ctx.
func (p *Pace) Wait(ctx context.Context, t Ticket, left time.Duration) (Attempt, error) {
	w := &waiter{Ticket: t, wake: make(chan struct{}, 1), end: time.Now().Add(left)}
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(w.end) {
		w.end, w.deadline = deadline, true
	}
	p.mu.Lock()
	ahead := p.queues.join(w, p.routes.of(t.route))
	p.mu.Unlock()
	for {
		a, wait, err := p.try(ctx, w, ahead)
		if wait == 0 {
			return a, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-w.wake:
		case <-ctx.Done():
		}
		timer.Stop()
		ahead = 0 // w is woken when it is the first
	}
}

// try returns how long w waits until it tries again. If that is 0, w has left the queue,
// with an attempt or an error. ahead is how many are in front of it, at least.
func (p *Pace) try(ctx context.Context, w *waiter, ahead int) (a Attempt, wait time.Duration, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer func() {
		if wait == 0 {
			p.queues.leave(w)
		}
	}()
	if err := ctx.Err(); err != nil {
		return Attempt{}, 0, err
	}
	now := time.Now()
	left := w.end.Sub(now)
	first := p.queues.isFirst(w)
	if first {
		ahead = 0
	}
	must, should := p.delay(w.set, now, ahead)
	if should > left {
		should = must // no time to be sparing
	}
	probe := p.probing(w.set, now) // usually ends sooner, with a response
	switch {
	case first && should <= 0 && probe <= 0:
		return p.grant(w, now), 0, nil
	case left <= 0 || must > left:
		return Attempt{}, 0, LateError{Wait: max(must, time.Nanosecond), Left: max(left, 0), Deadline: w.deadline}
	case first:
		left = min(left, max(should+p.jitter(w.set, now, should, left), probe))
	}
	return Attempt{}, left, nil
}

// delay returns how long a request must wait that has so many in front of it, and how long
// it should. 0 or less means that it may be sent.
func (p *Pace) delay(set *limitSet, now time.Time, ahead int) (must, should time.Duration) {
	must = p.backoff.delay(now)
	if set == nil {
		must = max(must, p.adaptive.delay(now, ahead))
	}
	should = must
	for _, l := range set.all() {
		m, s := l.delay(now, ahead)
		m = max(m, l.backoff.delay(now))
		must, should = max(must, m), max(should, s, m)
	}
	return must, should
}

// probing returns how much longer the next request must wait because another one, sent
// alone, probes the limits.
func (p *Pace) probing(set *limitSet, now time.Time) time.Duration {
	wait := p.backoff.probing(now)
	if !p.known && !p.lastSent.IsZero() {
		wait = max(wait, p.lastSent.Add(probeTime).Sub(now))
	}
	for _, l := range set.all() {
		if wait = max(wait, l.backoff.probing(now)); l.stale(now) {
			wait = max(wait, l.probed.Add(probeTime).Sub(now)) // long over if nothing was sent
		}
	}
	return wait
}

const (
	maxSpaceJitter   = 50 * time.Millisecond
	maxBackoffJitter = 500 * time.Millisecond
)

// jitter returns what is added to a wait so that nodes do not act in step: up to a tenth of
// it, and at most half of the time that the request could wait beyond it. It costs no
// throughput while the bucket has room for the tokens that come in.
func (p *Pace) jitter(set *limitSet, now time.Time, wait, most time.Duration) time.Duration {
	limit := maxSpaceJitter
	if p.backsOff(set, now) {
		limit = maxBackoffJitter
	} else if slices.ContainsFunc(set.all(), (*limiter).single) {
		limit = wait / 200
	}
	return rand.N(max(min(wait/10, limit, (most-wait)/2), 0) + 1)
}

// backsOff reports whether requests of a set wait because of a denial.
func (p *Pace) backsOff(set *limitSet, now time.Time) bool {
	return now.Before(p.backoff.until) || slices.ContainsFunc(set.all(), func(l *limiter) bool { return now.Before(l.backoff.until) })
}

// grant counts a request as sent.
func (p *Pace) grant(w *waiter, now time.Time) Attempt {
	p.sent++
	p.recent[p.sent%maxRecent] = sending{now, w.set}
	p.lastSent = now
	p.backoff.sent(now, p.sent, p.maxWait)
	if w.set == nil {
		p.adaptive.take(now)
	}
	for _, l := range w.set.all() {
		l.backoff.sent(now, p.sent, p.maxWait)
		l.take(now, &p.rtt)
	}
	return Attempt{number: p.sent, sent: now, route: w.route}
}
