package mirror

import (
	"context"
	"errors"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

var (
	errNoPolicy = &ratelimit.StoreError{
		Class: ratelimit.ClassOther, NotCharged: true,
		Err: errors.New("mirror: the policy is nil, zero or ratelimit.Unlimited; make one with ratelimit.NewPolicy"),
	}
	errZero = &ratelimit.StoreError{
		Class: ratelimit.ClassOther, NotCharged: true,
		Err: errors.New("mirror: this is the zero Store; make one with mirror.New"),
	}
)

// usable returns an error for what nothing can be decided with.
func (s *Store) usable(p *ratelimit.Policy) error {
	switch {
	case p == nil || p.Len() == 0:
		return errNoPolicy
	case s.parts == nil:
		return errZero
	}
	return nil
}

// Take implements [ratelimit.Store]. What the shared store does not decide is decided
// here, by this node's share. Unless [Config.NoShare] is set, its only errors are about a
// Policy that is not valid and a caller who gave up. All are [*ratelimit.StoreError]s.
//
// What the caller knows himself, Request.Known, is passed on as it is, in place of
// what the mirror knows.
func (s *Store) Take(ctx context.Context, r ratelimit.Request) (ratelimit.Decision, error) {
	if err := s.usable(r.Policy); err != nil {
		return ratelimit.Decision{}, err
	}
	if r.Timeout <= 0 {
		r.Timeout = ratelimit.DefaultTimeout
	}
	if int64(r.Timeout) > s.patience.Load() {
		s.patience.Store(int64(r.Timeout))
	}
	t := s.trip(r.Key)
	d, err := s.take(ctx, &r, t)
	s.trips.Put(t)
	return d, err
}

// take is Take with all that the call needs on its way.
func (s *Store) take(ctx context.Context, r *ratelimit.Request, t *trip) (d ratelimit.Decision, err error) {
	passing := r.Known != nil
	for waits := 0; ; waits++ {
		var away bool
		if t.epoch, away = t.part.now(); away {
			if t.part.name != "" && !t.part.wanted.Load() {
				t.part.wanted.Store(true)
			}
			return s.without(r, t, ClassAway, errAway)
		}
		if err := ctx.Err(); err != nil {
			return s.unsent(r, t, err)
		}
		t.sent = s.now()
		if passing {
			break
		}
		v, landing := s.recall(r, t, waits < mostWaits, &d)
		if v == refuse {
			return d, nil
		}
		if v == ask {
			break
		}
		if err := s.await(ctx, r, t, landing); err != nil {
			return s.unsent(r, t, err)
		}
	}
	if err = s.ask(ctx, r, &d); err != nil {
		return s.failed(ctx, r, t, err)
	}
	t.part.worked()
	if d.Source == ratelimit.NoSource {
		d.Source = ratelimit.FromStore
	}
	if passing {
		// The answer repeats what the caller knows, be it true or not, so nothing can be
		// learned from it; and whatever was known may have been changed by it.
		s.memory.forget(t.hash, r.Policy, 0)
	} else {
		s.learn(r, t, &d)
	}
	return d, nil
}

// ask makes the trip, from which a call comes back even if the store panics: else it
// would be counted among those flying for ever.
func (s *Store) ask(ctx context.Context, r *ratelimit.Request, d *ratelimit.Decision) (err error) {
	defer recovered(&err)
	*d, err = s.asked.Take(ctx, *r)
	return err
}

// mostWaits is how often a call lets others go first.
const mostWaits = 8

// await returns when one of those has landed that the call follows. The time that it
// took is the call's own.
func (s *Store) await(ctx context.Context, r *ratelimit.Request, t *trip, landing <-chan struct{}) error {
	timer := time.NewTimer(r.Timeout)
	defer timer.Stop()
	select {
	case <-landing:
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return context.DeadlineExceeded
	}
	if r.Timeout -= time.Duration(s.now() - t.sent); r.Timeout <= 0 {
		return context.DeadlineExceeded
	}
	return nil
}

var errUnsent = errors.New("mirror: the caller's time was over before the call was sent")

// unsent answers a call whose time was over before it was sent: mostly, since it followed
// others. It tells nothing of the shared store: those do, when they land.
func (s *Store) unsent(r *ratelimit.Request, t *trip, err error) (ratelimit.Decision, error) {
	if errors.Is(err, context.Canceled) {
		return ratelimit.Decision{}, &ratelimit.StoreError{Class: ratelimit.ClassCanceled, Err: err, NotCharged: true}
	}
	return s.without(r, t, ratelimit.ClassTimeout, errUnsent)
}

// failed answers a call that the shared store did not decide.
func (s *Store) failed(ctx context.Context, r *ratelimit.Request, t *trip, err error) (ratelimit.Decision, error) {
	class, notCharged, cause := anatomy(err)
	if ended := ctx.Err(); errors.Is(ended, context.Canceled) {
		s.memory.land(r, t)
		return ratelimit.Decision{}, &ratelimit.StoreError{Class: ratelimit.ClassCanceled, Err: ended, NotCharged: notCharged}
	}
	if class != ratelimit.ClassTimeout || !s.hurried(t) {
		part := t.part // the trip is another call's by the time that anybody looks
		part.failed(t.epoch, class, func(c Change, turn turn) { s.lookOut(part, c, turn) })
	}
	t.unknown = !notCharged
	return s.without(r, t, class, cause)
}

// hurried tells whether a call that ended without an answer says nothing about the
// shared store: it waited for less than half of what is usual, and there are others who
// have heard something meanwhile.
func (s *Store) hurried(t *trip) bool {
	usual, now := min(s.patience.Load(), int64(ratelimit.DefaultTimeout)), s.now()
	return now-t.sent < usual/2 && !t.part.silent(t.sent, now, usual)
}
