package mirror

import (
	"errors"

	"github.com/keyrate/keyrate/ratelimit"
)

// ClassDown is the class of the error of a request that was not sent, since the shared store
// counts as down.
const ClassDown = "down"

var (
	errNoPolicy = &ratelimit.StoreError{
		Class: ratelimit.ClassOther, NotCharged: true,
		Err: errors.New("mirror: the policy is nil, zero or ratelimit.Unlimited; make one with ratelimit.NewPolicy"),
	}
	errZero = &ratelimit.StoreError{
		Class: ratelimit.ClassOther, NotCharged: true,
		Err: errors.New("mirror: this is the zero Store; make one with mirror.New"),
	}
	errDown = &ratelimit.StoreError{
		Class: ClassDown, NotCharged: true,
		Err: errors.New("mirror: the shared store is down"),
	}
	errUnsent = &ratelimit.StoreError{
		Class: ratelimit.ClassTimeout, NotCharged: true,
		Err: errors.New("mirror: the timeout of the request was over before the shared store was asked"),
	}
	errNotReset = &ratelimit.StoreError{
		Class: ClassDown,
		Err:   errors.New("mirror: the shared store is down; the key's buckets were filled on this node only"),
	}
)

// usable returns an error for what nothing can be decided with.
func (s *Store) usable(p *ratelimit.Policy) error {
	switch {
	case p == nil || p.Len() == 0:
		return errNoPolicy
	case s.memory == nil:
		return errZero
	}
	return nil
}
