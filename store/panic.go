package store

import (
	"encoding/json"
	"fmt"
	"runtime/debug"
)

// Try calls f and returns nil, or a [PanicError] if f panics. It is how this module calls
// every function that a user has written. A call of [runtime.Goexit] in f is not stopped.
func Try(f func()) (panicked *PanicError) {
	defer func() {
		if v := recover(); v != nil {
			panicked = &PanicError{v, debug.Stack()}
		}
	}()
	f()
	return nil
}

// A PanicError is the panic of a function that a user has written. [errors.As] finds it in
// the errors of this module. Its text holds neither the value nor the stack, which may
// hold a key: log them only where a key may be seen.
type PanicError struct {
	Value any    // of the panic
	Stack []byte // of the goroutine, as [runtime/debug.Stack] formats it
}

// Error reports that there was a panic.
func (*PanicError) Error() string { return "it panicked" }

// Format prints Error, whatever the verb.
func (e *PanicError) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(e.Error())) }

// MarshalJSON returns Error as a string.
func (e *PanicError) MarshalJSON() ([]byte, error) { return json.Marshal(e.Error()) }
