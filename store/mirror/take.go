package mirror

import (
	"context"
	"errors"
	"time"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror/internal/breaker"
	"github.com/keyrate/keyrate/store/mirror/internal/memory"
)

// An attempt is what a request needs on its way. It is used again for another one.
type attempt struct {
	memory.Attempt
	part  *breaker.Part
	epoch uint64 // of the part's breaker
	ways  []way  // of the request's settlements, while they are not made
}

// Take implements [store.Store]. What the shared store does not decide is decided here,
// by this node's share. Unless [Config.NoShare] is set, its only errors are about the number of
// limits and about a request that was canceled. All are [*store.Error]s.
//
// Knowledge that the request brings, Request.Known, is handed to the shared store in place
// of what the mirror knows.
//
// Settlements that the request brings, Request.Release, have the results that [Store.Settle] sets.
// A lease is one of the shared store: this node's share leases nothing.
func (s *Store) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	if err := s.takes(&r); err != nil {
		for i := range r.Release {
			r.Release[i].Err = err
		}
		return store.Decision{}, err
	}
	if r.Hold != nil {
		return s.hold(ctx, r)
	}
	return s.take(ctx, &r)
}

// takes returns an error for a request that is not decided.
func (s *Store) takes(r *store.Request) error {
	if err := s.usable(r.Limits); err != nil {
		return err
	}
	if r.Hold != nil {
		if !s.Holds() {
			return errNoHolder
		}
		return nil
	}
	for i := range r.Limits {
		if r.Limits[i].Loan() && r.Cost > 0 {
			return errNoHold
		}
	}
	return nil
}

// hold is take for a request that holds tokens. The shared store gets a Hold of its own: it may
// still write into it when the request is decided without it.
func (s *Store) hold(ctx context.Context, r store.Request) (store.Decision, error) {
	hold := r.Hold
	hold.Leased = 0
	r.Hold = &store.Hold{Spend: hold.Spend, Lease: hold.Lease}
	d, err := s.take(ctx, &r)
	if err == nil {
		hold.Names, hold.Leased = r.Hold.Names, r.Hold.Leased
	}
	return d, err
}

func (s *Store) take(ctx context.Context, r *store.Request) (store.Decision, error) {
	if r.Timeout <= 0 {
		r.Timeout = store.DefaultTimeout
	}
	if s.nodes.wanted.Load() != 0 {
		s.setNodes()
	}
	a, ok := s.attempts.Get().(*attempt)
	if !ok {
		a = new(attempt)
	}
	a.part = s.breaker.Part(r.Home, r.Key)
	s.memory.Begin(r, &a.Attempt, &a.part.Clock)
	if len(r.Release) > 0 {
		s.release(r, a)
	}
	d, err := s.decide(ctx, r, a)
	if len(a.ways) > 0 {
		s.unreleased(r, a, errUnsent)
	}
	s.attempts.Put(a)
	return d, err
}

// decide is the way of a request: it goes down to the memory, to the shared store, and to the
// memory again.
func (s *Store) decide(ctx context.Context, r *store.Request, a *attempt) (d store.Decision, err error) {
	for verdict := memory.Wait; verdict == memory.Wait || verdict == memory.Owes; {
		var ok bool
		if a.epoch, ok = a.part.Allow(r.Timeout); !ok {
			return s.alone(r, a, errDown)
		}
		if err := ctx.Err(); err != nil {
			return s.unsent(r, a, err)
		}
		if s.kept.has(ownerOf(r.Home, r.Key)) {
			if err := s.settled(ctx, r, a.part); err != nil {
				return s.alone(r, a, errUnsent)
			}
		}
		switch verdict = s.memory.Before(r, &a.Attempt, &d); verdict {
		case memory.Deny:
			return d, nil
		case memory.Wait:
			if err := s.wait(ctx, r, a); err != nil {
				return s.unsent(r, a, err)
			}
		case memory.Read:
			if err := s.read(ctx, r, a); err != nil {
				return s.failed(ctx, r, a, err)
			}
			verdict = memory.Wait
		case memory.Settle:
			if err := s.settleFirst(ctx, r, a); err != nil {
				return s.unsent(r, a, err)
			}
			verdict = memory.Wait
		case memory.Owes:
			s.memory.HandOver(r, &a.Attempt, func(t *store.Settlement, token int64) { s.keep(t, a.part, token) })
		case memory.Ask:
			if s.kept.has(ownerOf(r.Home, r.Key)) { // it was handed over by another request since
				s.memory.Abandoned(r, &a.Attempt)
				verdict = memory.Wait
			}
		}
	}
	justBack := a.part.JustBack()
	if justBack { // others may have to hand over yet: what the store owes is too little
		if denial, denies := s.memory.ShareDenies(r); denies {
			s.memory.Abandoned(r, &a.Attempt)
			return denial, nil
		}
		if r.Hold != nil {
			r.Hold.Lease = 0 // the share could not deny what is spent of it
		}
	}
	if err = s.ask(ctx, r, a, &d); err != nil {
		return s.failed(ctx, r, a, err)
	}
	if justBack {
		s.memory.ShareSpends(r, &d)
	}
	if d.Source == store.NoSource {
		d.Source = store.FromStore
	}
	return d, nil
}

// settled returns when no kept settlement of the key waits any more. It sends some of other keys
// along: many have some when an outage ends.
func (s *Store) settled(ctx context.Context, r *store.Request, part *breaker.Part) error {
	began, owner, seen := s.clock.Now(), ownerOf(r.Home, r.Key), 0
	err := s.flush(ctx, r.Timeout, func(one *kept) bool {
		seen++
		return one.owner == owner || one.part == part && seen <= maxBatch
	})
	if r.Timeout -= time.Duration(s.clock.Now() - began); err == nil && r.Timeout <= 0 {
		err = errUnsent
	}
	return err
}

// read asks the shared store for the debts of a request's buckets. The time that it takes
// counts against the request's timeout.
func (s *Store) read(ctx context.Context, r *store.Request, a *attempt) error {
	var d store.Decision
	read := *r
	read.Cost, read.Least, read.Hold, read.Release = 0, 0, nil, nil
	s.memory.Before(&read, &a.Attempt, &d)
	if err := s.ask(ctx, &read, a, &d); err != nil {
		return err
	}
	if r.Timeout -= time.Duration(s.clock.Now() - a.Asked); r.Timeout <= 0 {
		return context.DeadlineExceeded
	}
	return nil
}

// wait returns when another attempt has ended. The time that it takes counts against the
// request's timeout.
func (s *Store) wait(ctx context.Context, r *store.Request, a *attempt) error {
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	select {
	case <-a.Ended:
	case <-ctx.Done():
		return ctx.Err()
	}
	if r.Timeout -= time.Duration(s.clock.Now() - a.Asked); r.Timeout <= 0 {
		return context.DeadlineExceeded
	}
	return nil
}

// ask asks the shared store, and takes in its answer. It returns even if the store panics: or
// the attempt would count as in flight for ever.
func (s *Store) ask(ctx context.Context, r *store.Request, a *attempt, d *store.Decision) (err error) {
	if p := store.Try(func() { *d, err = s.asked.Take(ctx, *r) }); p != nil {
		err = &store.Error{Class: store.ClassPanic, Err: p}
	}
	now := s.clock.Now()
	if len(r.Release) > 0 {
		s.released(r, a, err, now)
	}
	if err == nil {
		a.part.Succeeded(d.Now, a.Asked, now)
		s.memory.Answered(r, &a.Attempt, d, now)
	}
	return err
}

// unsent answers a request whose time was over before the shared store was asked. It is no
// failure of the store.
func (s *Store) unsent(r *store.Request, a *attempt, err error) (store.Decision, error) {
	if errors.Is(err, context.Canceled) {
		return store.Decision{}, &store.Error{Class: store.ClassCanceled, Err: err, NotCharged: true}
	}
	return s.alone(r, a, errUnsent)
}

// failed answers a request that the shared store did not decide.
func (s *Store) failed(ctx context.Context, r *store.Request, a *attempt, err error) (store.Decision, error) {
	failed := store.NewError(err, r.Key)
	if ended := ctx.Err(); errors.Is(ended, context.Canceled) {
		s.memory.Abandoned(r, &a.Attempt)
		return store.Decision{}, &store.Error{Class: store.ClassCanceled, Err: ended, NotCharged: failed.NotCharged}
	}
	a.part.Failed(a.epoch, failed.Class, a.Asked)
	return s.alone(r, a, failed)
}

// alone answers a request without the shared store, which failed.
func (s *Store) alone(r *store.Request, a *attempt, failed *store.Error) (store.Decision, error) {
	if len(a.ways) > 0 {
		s.unreleased(r, a, failed)
	}
	if s.noShare {
		s.memory.Abandoned(r, &a.Attempt)
		return store.Decision{}, failed
	}
	if r.Hold != nil {
		r.Hold = &store.Hold{Spend: r.Hold.Spend}
	}
	return s.memory.Alone(r, &a.Attempt, !failed.NotCharged), nil
}

// Reset implements [store.Store]. It fills the buckets of the shared store, and drops
// what is known of them here. The other nodes notice within a second. If it returns an
// error, a [*store.Error], the buckets were filled on this node only, and come back
// with the shared store.
func (s *Store) Reset(ctx context.Context, r store.Request) error {
	if err := s.usable(r.Limits); err != nil {
		return err
	}
	var err error = errNotReset
	if _, ok := s.breaker.Part(r.Home, r.Key).Allow(0); ok {
		err = breaker.Try(func() error { return s.asked.Reset(ctx, r) })
	}
	s.kept.drop(&r)
	s.memory.Reset(ctx, r)
	if err != nil {
		return store.NewError(err, r.Key)
	}
	return nil
}

// Validate returns an error for the zero Store.
func (s *Store) Validate() error {
	if s.memory == nil {
		return errZero.Err
	}
	return nil
}

// usable returns an error if nothing can be decided.
func (s *Store) usable(limits []store.Limit) error {
	switch {
	case len(limits) == 0 || len(limits) > store.MaxLimits:
		return errLimits
	case s.memory == nil:
		return errZero
	}
	return nil
}
