package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// An Error reports that a store could not decide. One that a limiter returns never shows
// the key: where the text of the store's own error holds it, in any usual encoding, that
// text is withheld.
type Error struct {
	// Class is a short constant word for the kind of failure, fit for a metric label: one
	// of the Class constants here, or one that the store documents. It has 1 to 32
	// lower-case letters, digits and hyphens; any other becomes [ClassOther].
	Class string
	// Err is the cause. In an Error that a limiter returns, it prints the cause's text, and
	// [errors.Is] and [errors.As] see through it.
	Err error
	// NotCharged reports that the call was certainly not charged and will not be.
	// Otherwise it may have been.
	NotCharged bool
}

// The classes of failures. A store may add its own.
const (
	ClassTimeout  = "timeout"  // no answer within the timeout or the caller's deadline
	ClassCanceled = "canceled" // the caller gave up
	ClassPanic    = "panic"    // the store panicked
	ClassWrong    = "wrong"    // the store answered, but wrongly
	ClassLimits   = "limits"   // the look-up of the key's limits failed
	ClassOther    = "other"
)

// NewError returns a store's err about a key as an Error that does not show the key. An err
// that panics when it is asked, as a typed nil does, is of [ClassPanic].
func NewError(err error, key string) (failed *Error) {
	if Try(func() { failed = newError(err, key) }) != nil {
		return &Error{Class: ClassPanic, Err: errors.New("its error panicked")}
	}
	return failed
}

func newError(err error, key string) *Error {
	failed, ok := errors.AsType[*Error](err)
	if !ok {
		failed = &Error{Class: ClassOther, Err: err}
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			failed.Class = ClassTimeout
		case errors.Is(err, context.Canceled):
			failed.Class = ClassCanceled
		}
	}
	class := failed.Class
	if !validClass(class) || reveals(class, key) {
		class = ClassOther
	}
	return &Error{Class: class, Err: Withhold(failed.Err, key), NotCharged: failed.NotCharged}
}

// Error returns the class and the cause.
func (e *Error) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("ratelimit: the store could not decide (%s)", e.Class)
	}
	return fmt.Sprintf("ratelimit: the store could not decide (%s): %v", e.Class, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Format prints Error, whatever the verb: %#v would show what Error withholds.
func (e *Error) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(e.Error())) }

// MarshalJSON returns Error as a string.
func (e *Error) MarshalJSON() ([]byte, error) { return json.Marshal(e.Error()) }

// ErrorClass returns the class in which an error of a limiter counts, fit for a metric
// label: that of an [Error]; that of the first error in the chain with a method
// ErrorClass() string, as a [ratelimit.LimitError] has; [ClassPanic] for an error that
// panics when it is asked; [ClassOther] for the rest; "" for nil.
func ErrorClass(err error) (class string) {
	if err == nil {
		return ""
	}
	if Try(func() { class = errorClass(err) }) != nil {
		return ClassPanic
	}
	return class
}

func errorClass(err error) string {
	class := ClassOther
	if failed, ok := errors.AsType[*Error](err); ok {
		class = failed.Class
	} else if classed, ok := errors.AsType[interface {
		error
		ErrorClass() string
	}](err); ok {
		class = classed.ErrorClass()
	}
	if !validClass(class) {
		return ClassOther
	}
	return class
}

func validClass(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return s != "" && len(s) <= 32
}
