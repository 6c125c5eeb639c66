package mirror

import (
	"context"
	"errors"
	"time"

	"github.com/keyrate/keyrate/store"
)

// guard returns the shared store as one that ends in time, does not panic, and gives no
// answer that cannot be right: see [store.Guard]. An answer that comes late is an error: all
// callers would wait for such a store.
func guard(shared store.Store) store.Store {
	if _, ok := shared.(store.SelfTimed); ok {
		return shared
	}
	return punctual{store.Guard(shared)}
}

type punctual struct{ store.Store }

func (p punctual) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	start := time.Now()
	d, err := p.Store.Take(ctx, r)
	if err == nil && (ctx.Err() != nil || time.Since(start) >= r.Timeout) {
		err = &store.Error{Class: store.ClassTimeout, Err: errLate}
	}
	return d, err
}

var (
	errLate  = errors.New("mirror: the shared store answered too late")
	errPanic = errors.New("mirror: the shared store panicked")
)

// failure returns the error of the shared store as one with a class.
func failure(err error) *store.Error {
	class, notCharged, cause := anatomy(err)
	if class != store.ClassPanic {
		if failed, ok := errors.AsType[*store.Error](err); ok && failed.Class == class {
			return failed
		}
	}
	return &store.Error{Class: class, Err: cause, NotCharged: notCharged}
}

// anatomy returns the class of an error of the shared store, whether it is certain that
// nothing was charged, and its cause. An error that panics when it is asked, as a typed
// nil does, is a panic of the store.
func anatomy(err error) (class string, notCharged bool, cause error) {
	defer func() {
		if recover() != nil {
			class, notCharged, cause = store.ClassPanic, false, errPanic
		}
	}()
	if failed, ok := errors.AsType[*store.Error](err); ok {
		return store.ErrorClass(err), failed.NotCharged, failed.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return store.ClassTimeout, false, err
	}
	return store.ErrorClass(err), false, err
}
