package mirror

import (
	"errors"

	"github.com/keyrate/keyrate/ratelimit"
)

// ClassDown is the class of the error of a request that was not sent, since the shared store
// counts as down.
const ClassDown = "down"

var (
	errNoPolicy = failed(ratelimit.ClassOther, "the policy is nil, zero or ratelimit.Unlimited; make one with ratelimit.NewPolicy")
	errZero     = failed(ratelimit.ClassOther, "this is the zero Store; make one with mirror.New")
	errDown     = failed(ClassDown, "the shared store is down")
	errNotReset = failed(ClassDown, "the shared store is down; the key's buckets were filled on this node only")
	errUnsent   = failed(ratelimit.ClassTimeout, "the timeout of the request was over before the shared store was asked")
)

func failed(class, text string) *ratelimit.StoreError {
	return &ratelimit.StoreError{Class: class, NotCharged: true, Err: errors.New("mirror: " + text)}
}

// usable returns an error if nothing can be decided.
func (s *Store) usable(p *ratelimit.Policy) error {
	switch {
	case p == nil || p.Len() == 0:
		return errNoPolicy
	case s.memory == nil:
		return errZero
	}
	return nil
}
