// Package prompt guards stores for callers that must not wait: the mirror and the leases.
package prompt

import (
	"context"
	"errors"

	"github.com/keyrate/keyrate/store"
)

// Guard is [store.Guard], and makes an answer after the deadline an error of
// [store.ClassTimeout]: a store that does not heed its context would make every call wait.
// What came with a late answer is done nevertheless, and the results of its settlements stand.
func Guard(s store.Store) store.Store {
	guarded := store.Guard(s)
	if _, ok := guarded.(store.SelfTimed); ok {
		return guarded
	}
	return store.Guard(prompt{s})
}

type prompt struct{ store.Store }

var (
	errLate     = &store.Error{Class: store.ClassTimeout, Err: errors.New("the shared store answered too late")}
	errNoHolder = &store.Error{Class: store.ClassOther, Err: errors.New("the shared store cannot hold tokens"), NotCharged: true}
)

func (p prompt) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	d, err := p.Store.Take(ctx, r)
	if err == nil && ctx.Err() != nil {
		err = errLate
	}
	return d, err
}

// Settle implements [store.Holder].
func (p prompt) Settle(ctx context.Context, all []store.Settlement) {
	holder, ok := p.Store.(store.Holder)
	if ok {
		holder.Settle(ctx, all)
	}
	for i := range all {
		switch {
		case !ok:
			all[i].Err = errNoHolder
		case all[i].Err == nil && ctx.Err() != nil:
			all[i].Err = errLate
		}
	}
}

// Holds implements [store.Holder].
func (p prompt) Holds() bool { return store.CanHold(p.Store) }
