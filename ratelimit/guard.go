package ratelimit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// guarded is a store that was written elsewhere. If it panics, or answers what
// cannot be, that is an error: a limiter stands in front of everything its users
// have, and must not bring it down.
type guarded struct {
	store   Store
	timeout time.Duration // of a decision, for Check
}

func (g guarded) Take(ctx context.Context, r Request) (d Decision, err error) {
	defer recovered(&err)
	if d, err = g.store.Take(ctx, r); err != nil {
		return d, storeError(err, r.Key)
	}
	if !r.Policy.Permits(&d, r.Cost) {
		err = &StoreError{Class: ClassWrong, Err: errors.New("it answered with debts that do not go with its decision")}
	}
	return d, err
}

func (g guarded) Reset(ctx context.Context, key string, p *Policy) (err error) {
	defer recovered(&err)
	if err := g.store.Reset(ctx, key, p); err != nil {
		return storeError(err, key)
	}
	return nil
}

// Check passes on what the store says of itself, and else tries it.
func (g guarded) Check(ctx context.Context) (h Health) {
	checker, ok := g.store.(Checker)
	if !ok {
		return checkStore(ctx, g, g.timeout)
	}
	defer func() {
		if recover() != nil {
			h = Health{Status: StatusFailed, Parts: []PartHealth{{Name: "store", Class: ClassPanic}}}
		}
	}()
	return checker.Check(ctx)
}

// recovered is to be deferred: it turns a panic into an error.
func recovered(err *error) {
	if v := recover(); v != nil {
		*err = &StoreError{Class: ClassPanic, Err: newPanicError(v)}
	}
}

// A PanicError stands for the panic of a function that the limiter called: errors.As
// finds it in a [StoreError] or a [LimitError]. It prints neither value nor stack,
// for these may hold the key: look at them where that may be seen.
type PanicError struct {
	Value any    // what was panicked with
	Stack []byte // of the goroutine, as [runtime/debug.Stack] formats it
}

func newPanicError(v any) *PanicError { return &PanicError{v, debug.Stack()} }

// Error says that there was a panic.
func (*PanicError) Error() string { return "it panicked" }

// Format prints Error, whatever the verb.
func (e *PanicError) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(e.Error())) }

// MarshalJSON returns Error as a string.
func (e *PanicError) MarshalJSON() ([]byte, error) { return json.Marshal(e.Error()) }
