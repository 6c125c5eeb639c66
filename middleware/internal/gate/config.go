package gate

import (
	"context"
	"log/slog"
	"time"
)

// Config configures a Gate for calls of type C. Key, Address and Peer are required.
type Config[C any] struct {
	// Key returns the key of a call as the limiter gets it, or "" if the call has none. It
	// fails with ErrKeys or ErrAddresses if the call has several; any other error is a fault.
	Key func(C) (string, error)
	// Address returns the key of the client's address, or ErrAddresses.
	Address func(C) (string, error)
	// Peer returns a string that is the same for calls on the same connection.
	Peer func(C) string

	Free         func(C) bool  // reports calls that the protocol makes, such as a CORS preflight; may be nil
	Skip         func(C) bool  // may be nil
	Cost         func(C) int   // nil: a call costs 1
	Reserve      func(C) int   // in place of Cost; may be nil
	Part         bool          // calls are parts of another one, whose places they share
	Priced       bool          // the price is known when the call ends: Cost or Reserve estimates it
	RequireKey   bool          // deny a call without a key, instead of limiting it by its address
	FailClosed   bool          // deny a call that cannot be decided
	DisableQueue bool          // give all denied calls of a key the same wait
	Jitter       time.Duration // the most that is added to a wait, at random

	Observe func(C, Call)                 // may be nil
	OnFault func(context.Context, string) // receives the class of each fault; may be nil
	Logger  *slog.Logger                  // nil: slog.Default()
}
