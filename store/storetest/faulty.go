package storetest

import (
	"context"
	"errors"
	"time"

	"github.com/keyrate/keyrate/store"
)

// A Faulty is a store that fails, for tests of what a program does then. Each call of Take,
// Settle or Reset waits for Delay, then panics with Panic or returns Err if one is set.
// Otherwise Take returns Answer if that is set, and Store answers:
//
//	var down atomic.Bool
//	store := storetest.Faulty{Store: memstore.New(memstore.Config{}), When: down.Load, Err: errors.New("connection refused")}
//
// It can hold tokens if Store can, or if Store is nil. It is safe for concurrent use while its
// fields do not change.
type Faulty struct {
	Store  store.Store     // answers without a fault; may be nil if the others prevent that
	When   func() bool     // reports whether the fault occurs now; nil: always
	Delay  time.Duration   // ends early with the context, and then the call returns the context's error
	Panic  any             // if not nil
	Err    error           // if not nil
	Answer *store.Decision // of Take, if not nil; with it Settle and Reset do nothing, nor does Request.Release
}

// Take implements [store.Store].
func (f Faulty) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	occurs, err := f.occur(ctx)
	switch {
	case err != nil:
		fail(r.Release, err)
		return store.Decision{}, err
	case occurs && f.Answer != nil:
		return *f.Answer, nil
	case len(r.Release) > 0 && !f.Holds():
		fail(r.Release, errNoHolder)
		r.Release = nil
	}
	return f.Store.Take(ctx, r)
}

// Reset implements [store.Store].
func (f Faulty) Reset(ctx context.Context, r store.Request) error {
	occurs, err := f.occur(ctx)
	if err != nil || occurs && f.Answer != nil {
		return err
	}
	return f.Store.Reset(ctx, r)
}

// Settle implements [store.Holder].
func (f Faulty) Settle(ctx context.Context, all []store.Settlement) {
	occurs, err := f.occur(ctx)
	switch holder, ok := f.Store.(store.Holder); {
	case err == nil && occurs && f.Answer != nil:
		return
	case err == nil && ok:
		holder.Settle(ctx, all)
		return
	case err == nil:
		err = errNoHolder
	}
	fail(all, err)
}

// fail sets the error of settlements that are not made.
func fail(all []store.Settlement, err error) {
	for i := range all {
		all[i].Err = store.NewError(err, all[i].Key)
	}
}

// Holds implements [store.Holder].
func (f Faulty) Holds() bool { return f.Store == nil || store.CanHold(f.Store) }

var errNoHolder = &store.Error{Class: store.ClassOther, Err: errors.New("the store of a Faulty cannot hold tokens"), NotCharged: true}

// occur reports whether the fault occurs now, after its delay, panic or error.
func (f Faulty) occur(ctx context.Context) (bool, error) {
	if f.When != nil && !f.When() {
		return false, nil
	}
	if f.Delay > 0 {
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return true, ctx.Err()
		}
	}
	if f.Panic != nil {
		panic(f.Panic)
	}
	return true, f.Err
}
