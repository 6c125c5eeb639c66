package ratelimit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// A LimitError says why a limit, or a source of limits, cannot be used.
//
// Constructors that find several faults return one LimitError for each, joined
// with [errors.Join]; errors.As finds the first.
type LimitError struct {
	Limit string // the name of the limit; "" when it is not one limit's fault
	Field string // what is wrong: the name of a field or of a parameter
	Value any    // the value that was found; nil where there is none to tell
	Want  string // what would be right
	Err   error  // the cause, where another function gave one
}

// Error names the field, says what was found and what would be right.
func (e *LimitError) Error() string {
	var b strings.Builder
	b.WriteString("ratelimit: ")
	if e.Limit != "" {
		fmt.Fprintf(&b, "limit %q: ", e.Limit)
	}
	value := e.Value
	if s, ok := value.(string); ok {
		value = fmt.Sprintf("%q", s)
	}
	b.WriteString(e.Field)
	if value != nil {
		fmt.Fprintf(&b, " %v", value)
	}
	b.WriteString(" " + e.Want)
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

// Unwrap returns the cause, if another function gave one.
func (e *LimitError) Unwrap() error { return e.Err }

// Format prints Error, whatever the verb.
func (e *LimitError) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(e.Error())) }

// MarshalJSON returns Error as a string.
func (e *LimitError) MarshalJSON() ([]byte, error) { return json.Marshal(e.Error()) }

// A StoreError says that the store could not decide. One that a [Limiter] returns never
// shows the key: where the text of the store's own error holds it, in any usual encoding,
// that text is withheld.
type StoreError struct {
	// Class is a short, constant word for the kind of failure, fit for a metric
	// label: one of the Class constants here, or one that the store documents, of
	// lower-case letters, digits and hyphens. Any other becomes ClassOther.
	Class string
	// Err is the store's own error. In one that a [Limiter] returns it is what stands for
	// that error: it prints its text, and errors.Is and errors.As see through it.
	Err error
	// Fail is what the store wants done with the call, if it was told so itself: see
	// [FailMode].
	Fail FailMode
	// NotCharged says that it is certain that the call was not charged, and will not be.
	// Otherwise it may have been.
	NotCharged bool
}

// A FailMode says what becomes of a call about which nothing could be decided.
type FailMode int

// The modes. A store that is set to the second or third wants it whatever those who
// call the limiter are set to.
const (
	FailAsCaller FailMode = iota // as whoever calls the limiter is set to
	FailOpen                     // serve it
	FailClosed                   // refuse it
)

// FailsClosed tells whether a call is to be refused because of err, where the caller
// of the limiter is set to refuse, or not.
func FailsClosed(err error, caller bool) (closed bool) {
	defer func() {
		if recover() != nil { // by an error that panics when it is asked
			closed = caller
		}
	}()
	failed, ok := errors.AsType[*StoreError](err)
	if !ok || failed.Fail == FailAsCaller {
		return caller
	}
	return failed.Fail == FailClosed
}

// The classes that the limiter itself gives to failures. A store may add its own.
const (
	ClassTimeout  = "timeout"  // no answer within Config.Timeout or the caller's deadline
	ClassCanceled = "canceled" // the caller gave up
	ClassPanic    = "panic"    // the store panicked
	ClassLimits   = "limits"   // the look-up of the key's limits failed
	ClassOther    = "other"
)

// Error returns the class and the cause.
func (e *StoreError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("ratelimit: the store could not decide (%s)", e.Class)
	}
	return fmt.Sprintf("ratelimit: the store could not decide (%s): %v", e.Class, e.Err)
}

// Unwrap returns the store's own error.
func (e *StoreError) Unwrap() error { return e.Err }

// Format prints Error, whatever the verb: %#v would show what Error withholds.
func (e *StoreError) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(e.Error())) }

// MarshalJSON returns Error as a string.
func (e *StoreError) MarshalJSON() ([]byte, error) { return json.Marshal(e.Error()) }

// ErrorClass returns the one class that err counts in: a [StoreError]'s own, if it is of
// the form given there, [ClassLimits] for a [LimitError], [ClassOther] for the rest,
// [ClassPanic] for an error that panics when it is asked, "" for nil.
func ErrorClass(err error) (class string) {
	if err == nil {
		return ""
	}
	defer func() {
		if recover() != nil {
			class = ClassPanic
		}
	}()
	if failed, ok := errors.AsType[*StoreError](err); ok {
		if !validClass(failed.Class) {
			return ClassOther
		}
		return failed.Class
	}
	if _, ok := errors.AsType[*LimitError](err); ok {
		return ClassLimits
	}
	return ClassOther
}

// storeError makes what a store returned into a StoreError without the key. An
// error that panics when it is asked, as a typed nil does, is a panic of the store.
func storeError(err error, key string) (failed *StoreError) {
	defer func() {
		if recover() != nil {
			failed = &StoreError{Class: ClassPanic, Err: errors.New("its error panicked")}
		}
	}()
	failed, ok := errors.AsType[*StoreError](err)
	if !ok {
		failed = &StoreError{Class: ClassOther, Err: err}
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
	return &StoreError{Class: class, Err: withoutKey(failed.Err, key), Fail: failed.Fail, NotCharged: failed.NotCharged}
}

// validClass holds the classes of stores to what may be a metric label: 1 to 32
// lower-case letters, digits and hyphens.
func validClass(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return s != "" && len(s) <= 32
}
