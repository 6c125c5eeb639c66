package transport

import "time"

// An Event tells an observer of one thing that a [Transport] did. It holds no
// credential and no URL, which may hold one.
type Event struct {
	// Action is what was done.
	Action Action
	// Host is the host of the request, with its port if the URL has one.
	Host string
	// Wait is how long the request was held back, for Sent; how long it is to
	// wait, for Refused and Returned; or how long it would have had to, for NotSent.
	Wait time.Duration
	// Attempt counts how often the request was sent, from 1. It is 0 for NotSent if
	// it never was.
	Attempt int
	// Status is that of the response, 0 for Sent and NotSent.
	Status int
	// Limits is what the response told, nothing for Sent and NotSent. It is shared:
	// do not change it.
	Limits Limits
	// Err is why the request was not sent, for NotSent: a [*WaitError], or the
	// error of its context. For NoCredential it says what to do.
	Err error
}

// An Action is what a [Transport] did.
type Action string

// The actions. A request that is admitted at once has Sent and Answered.
const (
	// Sent: the request leaves the queue, after Wait, which is mostly 0.
	Sent Action = "sent"
	// Answered: the response is no refusal.
	Answered Action = "answered"
	// Refused: the request was refused, and will be sent again after Wait.
	Refused Action = "refused"
	// Returned: the request was refused, and the caller gets the refusal.
	Returned Action = "returned"
	// NotSent: the request has left the queue unsent.
	NotSent Action = "not sent"
	// NoCredential: the host answered 401 or 429, for the first time, to a request in
	// which there is no credential that the default [Config.Key] knows. If there is one
	// elsewhere, all who use the API share one pace: set Config.Key.
	NoCredential Action = "no credential"
)
