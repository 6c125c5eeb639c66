package transport

import (
	"context"
	"errors"
	"fmt"
	"time"
)

var errNoCredential = errors.New("transport: the request has no credential that the default Config.Key knows, so all such requests to the host share one pace; set Config.Key if the credential is elsewhere")

// A WaitError is the error of a request that was not sent, since it would have had
// to wait for longer than [Config.MaxWait] or its context allows. It is a timeout,
// as [net.Error] tells. If the context's deadline is the reason, it wraps
// [context.DeadlineExceeded].
type WaitError struct {
	// Wait is how long the request would have had to wait from then on, as far as is
	// known: at least that.
	Wait time.Duration
	// Left is how long it could have waited.
	Left time.Duration
	// Deadline tells that the context allowed no more.
	Deadline bool
}

// Error tells the wait and what was left.
func (e *WaitError) Error() string {
	which := "Config.MaxWait leaves"
	if e.Deadline {
		which = "the context's deadline leaves"
	}
	return fmt.Sprintf("transport: the limits of the API ask for a wait of %v more, and %s %v", e.Wait, which, e.Left)
}

// Timeout tells that e is a timeout.
func (e *WaitError) Timeout() bool { return true }

// Temporary tells that a later request may be sent. [net.Error] asks for it.
func (e *WaitError) Temporary() bool { return true }

// Unwrap returns context.DeadlineExceeded if the deadline is the reason, else nil.
func (e *WaitError) Unwrap() error {
	if e.Deadline {
		return context.DeadlineExceeded
	}
	return nil
}
