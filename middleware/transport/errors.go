package transport

import (
	"context"
	"errors"
	"fmt"
	"time"
)

var (
	errNothing      = errors.New("transport: the base RoundTripper returned neither a response nor an error")
	errOver         = errors.New("transport: this attempt to send the request is over")
	errNoCredential = errors.New("transport: the request has no credential that the default Config.Key knows, so all such requests to the host share one pace; set Config.Key if the credential is elsewhere")
)

// A WaitError is the error of a request that was not sent because it would have waited
// longer than [Config.MaxWait] or its context allows. It is a timeout in the sense of
// [net.Error]. If the context's deadline is the reason, it wraps
// [context.DeadlineExceeded].
type WaitError struct {
	// Wait is how much longer the request would have waited, at least.
	Wait time.Duration
	// Left is how much longer it could have waited.
	Left time.Duration
	// Deadline reports whether the context's deadline is the reason.
	Deadline bool
}

// Error returns the wait and the time that was left, both rounded.
func (e *WaitError) Error() string {
	which := "Config.MaxWait leaves"
	if e.Deadline {
		which = "the context's deadline leaves"
	}
	wait, left := unitOf(e.Wait), unitOf(e.Left)
	return fmt.Sprintf("transport: the limits of the API ask for a wait of %v more, and %s %v",
		(e.Wait + wait - 1).Truncate(wait), which, e.Left.Truncate(left))
}

// unitOf returns the unit to which a wait is rounded for a reader.
func unitOf(d time.Duration) time.Duration {
	switch {
	case d < time.Second:
		return time.Millisecond
	case d < time.Minute:
		return 100 * time.Millisecond
	}
	return time.Second
}

// Timeout returns true.
func (e *WaitError) Timeout() bool { return true }

// Temporary returns true: a later request may be sent. [net.Error] requires it.
func (e *WaitError) Temporary() bool { return true }

// Unwrap returns context.DeadlineExceeded if the deadline is the reason, else nil.
func (e *WaitError) Unwrap() error {
	if e.Deadline {
		return context.DeadlineExceeded
	}
	return nil
}
