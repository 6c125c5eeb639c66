package mirror

import (
	"context"
	"errors"

	"github.com/keyrate/keyrate/ratelimit"
)

// guard returns the shared store with what the limiter would have given it, had it
// stood behind the limiter itself: see [ratelimit.SelfTimed].
func guard(shared ratelimit.Store) ratelimit.Store {
	if _, ok := shared.(ratelimit.SelfTimed); ok {
		return shared
	}
	return guarded{shared}
}

// guarded ends in time, if the store heeds its context, does not panic, and answers
// nothing that cannot be.
type guarded struct{ store ratelimit.Store }

func (g guarded) Take(ctx context.Context, r ratelimit.Request) (d ratelimit.Decision, err error) {
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	d, err = g.store.Take(ctx, r)
	switch {
	case err != nil:
	case ctx.Err() != nil: // it does not heed the context, and everybody would wait for it
		err = &ratelimit.StoreError{Class: ratelimit.ClassTimeout, Err: errLate}
	case !r.Policy.Permits(&d, r.Cost):
		err = &ratelimit.StoreError{Class: ratelimit.ClassWrong, Err: errWrong}
	}
	return d, err
}

func (g guarded) Reset(ctx context.Context, key string, p *ratelimit.Policy) (err error) {
	defer recovered(&err)
	return g.store.Reset(ctx, key, p)
}

// recovered is to be deferred: it turns a panic into an error. The value is not kept:
// it may hold the key.
func recovered(err *error) {
	if recover() != nil {
		*err = &ratelimit.StoreError{Class: ratelimit.ClassPanic, Err: errPanic}
	}
}

var (
	errLate  = errors.New("mirror: the shared store answered too late")
	errPanic = errors.New("mirror: the shared store panicked")
	errWrong = errors.New("mirror: the shared store answered with debts that do not go with its decision")
)

// failure returns the error of the shared store as one with a class.
func failure(err error) *ratelimit.StoreError {
	class, notCharged, cause := anatomy(err)
	if class != ratelimit.ClassPanic {
		if failed, ok := errors.AsType[*ratelimit.StoreError](err); ok && failed.Class == class {
			return failed
		}
	}
	return &ratelimit.StoreError{Class: class, Err: cause, NotCharged: notCharged}
}

// anatomy returns the class of an error of the shared store, whether it is certain that
// nothing was charged, and its cause. An error that panics when it is asked, as a typed
// nil does, is a panic of the store.
func anatomy(err error) (class string, notCharged bool, cause error) {
	defer func() {
		if recover() != nil {
			class, notCharged, cause = ratelimit.ClassPanic, false, errPanic
		}
	}()
	if failed, ok := errors.AsType[*ratelimit.StoreError](err); ok {
		return ratelimit.ErrorClass(err), failed.NotCharged, failed.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return ratelimit.ClassTimeout, false, err
	}
	return ratelimit.ErrorClass(err), false, err
}
