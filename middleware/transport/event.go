package transport

import "time"

// An Event reports one thing that a [Transport] did. It holds no credential, and no URL,
// which may hold one.
type Event struct {
	// Action is what was done.
	Action Action
	// Host is the host of the request, with its port if the URL has one.
	Host string
	// Wait is how long the request was held back, for Sent; how long it is to wait,
	// for Denied and Returned; how long it would have waited, for NotSent.
	Wait time.Duration
	// Attempt counts how often the request was sent, from 1. It is 0 for NotSent if
	// the request was never sent.
	Attempt int
	// Status is the status of the response, 0 for Sent and NotSent.
	Status int
	// Limits is what the response reports, for Answered, Denied and Returned.
	Limits Limits
	// Err is why the request was not sent, for NotSent: a [*WaitError], or the error
	// of its context. For NoCredential it says what to do.
	Err error
}

// An Action is what a [Transport] did.
type Action string

// The actions. A request that is admitted at once has Sent and Answered.
const (
	// Sent: the request leaves the queue after Wait, which is usually 0.
	Sent Action = "sent"
	// Answered: the response is no denial.
	Answered Action = "answered"
	// Denied: the request was denied, and is sent again after Wait.
	Denied Action = "denied"
	// Returned: the request was denied, and the caller gets the denial.
	Returned Action = "returned"
	// NotSent: the request left the queue unsent.
	NotSent Action = "not sent"
	// NoCredential: the host answered 401 or 429, for the first time, to a request
	// without a credential that the default [Config.Key] knows. If the credential is
	// elsewhere, all users of the API share one pace: set Config.Key.
	NoCredential Action = "no credential"
)
