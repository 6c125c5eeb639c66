package mirror

import (
	"errors"

	"github.com/keyrate/keyrate/store"
)

// ClassDown is the class of the error of a request that was not sent, since the shared store
// counts as down.
const ClassDown = "down"

var (
	errNoPolicy = failed(store.ClassOther, "the policy is nil, zero or ratelimit.Unlimited; make one with ratelimit.NewPolicy")
	errZero     = failed(store.ClassOther, "this is the zero Store; make one with mirror.New")
	errDown     = failed(ClassDown, "the shared store is down")
	errNotReset = failed(ClassDown, "the shared store is down; the key's buckets were filled on this node only")
	errUnsent   = failed(store.ClassTimeout, "the timeout of the request was over before the shared store was asked")
)

func failed(class, text string) *store.Error {
	return &store.Error{Class: class, NotCharged: true, Err: errors.New("mirror: " + text)}
}

// usable returns an error if nothing can be decided.
func (s *Store) usable(p []store.Limit) error {
	switch {
	case p == nil || len(p) == 0:
		return errNoPolicy
	case s.memory == nil:
		return errZero
	}
	return nil
}
