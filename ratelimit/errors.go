package ratelimit

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/keyrate/keyrate/store"
)

// A LimitError reports why a limit, or a source of limits, cannot be used.
//
// Constructors that find several faults return one LimitError for each, joined
// with [errors.Join]; errors.As finds the first.
type LimitError struct {
	Limit string // the name of the limit; "" if the fault is not in one limit
	Field string // the field or parameter that is wrong
	Value any    // the value that was found; nil if there is none
	Want  string // what would be right
	Err   error  // the cause, where another function gave one
}

// Error returns the field, what was found and what would be right.
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

// ErrorClass returns [store.ClassLimits], the class in which [store.ErrorClass] counts e.
func (e *LimitError) ErrorClass() string { return store.ClassLimits }

// Faults returns the [LimitError]s that a constructor, parser or reader has joined in err,
// in their order; nil if err is none of these.
func Faults(err error) []*LimitError {
	var faults []*LimitError
	switch e := err.(type) { //nolint:errorlint // not what it wraps
	case *LimitError:
		faults = append(faults, e)
	case interface{ Unwrap() []error }:
		for _, err := range e.Unwrap() {
			faults = append(faults, Faults(err)...)
		}
	}
	return faults
}
