package doorstest

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

// A Door opens the door under test.
type Door struct {
	// Open returns a function that sends a request through a new door with two routes, "/"
	// and "/export/7", and returns the answer. It closes what must be closed with t.Cleanup.
	// The function is called concurrently. It may return before the handler does if ctx ends.
	// If a handler panics, it may panic, too. Required.
	Open func(t *testing.T, s Setup) func(ctx context.Context, c Call) Answer
	// Pattern is the pattern of the route of "/export/7", as the framework writes it:
	// "GET /export/:id". Required.
	Pattern string
	// Owned are headers that the framework sets, in canonical form. They are not compared.
	Owned []string
	// RealTime is for a door that cannot run in a bubble of testing/synctest, for example
	// since its goroutines outlive it. Then numbers of 100 or more, which are times, may
	// differ by 1%, and the text of a body about a time is not compared.
	RealTime bool
	// Brief is for a protocol other than HTTP: of an answer only Status, Limit, Remaining and
	// Wait are compared, and there are no preflights.
	Brief bool
	// Settle sets the price of the call with that context, as [middleware.Settle] does, which
	// is the one if Settle is nil.
	Settle func(ctx context.Context, n int) bool
}

// A Setup is what a door is opened with.
type Setup struct {
	Limiter      *ratelimit.Limiter
	RequireKey   bool
	FailClosed   bool
	BlockedAs429 bool               // Config.BlockedStatus is 429, or Config.BlockedAsExhausted is set
	Reserve      int                // what Config.Reserve returns; if 0, there is no Config.Reserve
	Routes       []middleware.Route // with the pattern of the Door

	// Handle must be called by the handler of both routes, with the context of the request and
	// Call.Action. It may panic. The handler then responds with 200, [ContentType] and [Body].
	Handle func(ctx context.Context, action string)
}

// A Call is a request. Send it with GET, from an address that does not change.
type Call struct {
	Path      string   // "/" or "/export/7": a method of a service in another protocol
	Keys      []string // the values of the header [KeyHeader]
	Action    string   // the value of the header [ActionHeader]
	Preflight bool     // send it as a CORS preflight: with OPTIONS, Origin and Access-Control-Request-Method
}

// An Answer is the response to a Call.
type Answer struct {
	// Status is the status of HTTP: 200 of a served request, or else 400, 401, 403, 429 or 503. A
	// door to another protocol translates its own.
	Status int
	// Header and Body are the rest of the response.
	Header http.Header
	Body   []byte
	// Limit, Remaining and Wait are for a Door that is Brief: the name of the deciding limit,
	// its tokens, and how long a denied client must wait. They are zero if the response does
	// not report them.
	Limit     string
	Remaining int
	Wait      time.Duration
}

// The parts of a request and of the response to one that is served.
const (
	KeyHeader    = "X-API-Key"
	ActionHeader = "X-Action"
	ContentType  = "text/plain; charset=utf-8"
	Body         = "hello\n"
)

// Run sends the script through the door, with one subtest for each part of it.
func Run(t *testing.T, d Door) {
	t.Helper()
	if d.Open == nil || d.Pattern == "" {
		t.Fatal("doorstest: Door.Open and Door.Pattern are required")
	}
	for _, p := range parts {
		t.Run(p.name, func(t *testing.T) {
			t.Helper()
			for _, fault := range p.faults(t, d) {
				t.Error(fault)
			}
		})
	}
}

// faults returns what the door does wrong in one part of the script.
func (part part) faults(t *testing.T, d Door) []string {
	want := part.play(t, plain, d.RealTime)
	got := part.play(t, d, d.RealTime)
	faults := append(want.faults, got.faults...)
	if len(want.answers) != len(got.answers) {
		return append(faults, "the door and package middleware differ in what they do, so their answers cannot be compared")
	}
	for i := range want.answers {
		faults = append(faults, d.compare(want.answers[i], got.answers[i])...)
	}
	return faults
}
