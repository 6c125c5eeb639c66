package mirror

import (
	"errors"

	"github.com/keyrate/keyrate/store"
)

// ClassDown is the class of the error of a request that was not sent, since the shared store
// counts as down.
const ClassDown = "down"

var (
	errLimits   = failed(store.ClassOther, "a request needs 1 to 4 limits; make them with ratelimit.NewPolicy")
	errZero     = failed(store.ClassOther, "this is the zero Store; make one with mirror.New")
	errDown     = failed(ClassDown, "the shared store is down")
	errNotReset = failed(ClassDown, "the shared store is down; the key's buckets were filled on this node only")
	errUnsent   = failed(store.ClassTimeout, "the timeout of the request was over before the shared store was asked")
	errNoHold   = failed(store.ClassOther, "a request for limits on calls at a time must have a Hold")
	errNoHolder = failed(store.ClassOther, "the shared store cannot hold tokens; use one that is a store.Holder")
	errOtherKey = failed(store.ClassOther, "Request.Release has a settlement of another home or key; pass it to Settle")
	errIgnored  = &store.Error{Class: store.ClassWrong, Err: errors.New("mirror: the shared store ignored a settlement that came with a request")}
)

func failed(class, text string) *store.Error {
	return &store.Error{Class: class, NotCharged: true, Err: errors.New("mirror: " + text)}
}
