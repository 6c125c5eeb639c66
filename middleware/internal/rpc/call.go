package rpc

import (
	"context"
	"fmt"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/internal/gate"
)

// A Call is an RPC.
type Call struct {
	Context context.Context //nolint:containedctx // the functions of a Gate get nothing else
	Method  string          // "/package.Service/Method"
	Request any             // the message; nil when a stream opens
	Peer    string          // its address, if the door has no Config.Address
	Source  any             // for the functions of the door

	key     string // once it is decided
	limits  *limits
	twice   *twice
	decided gate.Call
	held    gate.HeldContext
}

// Format prints the name of the type: the key may be a secret.
func (c *Call) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("*rpc.Call")) }

// Decide decides about c, once, and reports whether to serve it. A client that cancels the
// call is charged all the same.
func (d *Door) Decide(c *Call) (served bool) {
	c.limits = d.of(c.Method)
	c.decided.Pattern = c.Method
	c.limits.gate.Decide((*charged)(c), c, &c.decided)
	c.key = c.decided.Key
	if c.twice = &d.twice; c.decided.Served && c.twice.found(c) {
		c.limits.gate.Report((*charged)(c), middleware.FaultChargedTwice, "charged by the same interceptor twice")
	}
	return c.decided.Served
}

// SetHeaders sets the headers of a call that is served.
func (c *Call) SetHeaders(h map[string][]string) {
	if c.HasHeaders() {
		c.limits.reply.Allowed(h, &c.decided.Result)
	}
}

// HasHeaders reports whether a call that is served has headers to set.
func (c *Call) HasHeaders() bool { return c.decided.Outcome == gate.Allowed }

// Begin returns the context of the handler. If it reports that the call holds something, call
// Done when the handler has returned or panicked.
func (c *Call) Begin() (ctx context.Context, holds bool) {
	ctx = c.twice.mark(c)
	if c.limits.result && c.key != "" {
		ctx = gate.WithDecision(ctx, &c.decided)
	}
	if c.decided.Hold == nil {
		return ctx, false
	}
	c.held = gate.HeldContext{Context: ctx}
	c.limits.gate.Begin(&c.held.Held, c.decided.Hold, c.decided.Result.Cost())
	return &c.held, true
}

// Done ends what the call holds.
func (c *Call) Done() { c.held.Held.Done((*charged)(c)) }

// HasMessages reports whether messages are charged.
func (c *Call) HasMessages() bool {
	return c.limits.messages != nil && c.key != "" && c.decided.Outcome != gate.Skipped
}

// Message decides about a message of a stream that is served, and returns nil if it is, too.
func (c *Call) Message(message any) *Denial {
	part := &Call{Context: c.Context, Method: c.Method, Request: message, Peer: c.Peer, Source: c.Source, key: c.key, limits: c.limits}
	part.decided.Pattern = c.Method
	c.limits.messages.Decide((*charged)(c), part, &part.decided)
	if part.decided.Served {
		return nil
	}
	return part.Denial()
}

// A charged is the context of a Call for its decision, which does not end when the client
// cancels the call: it is still charged. It is the Call itself under another type, which saves
// the allocation of context.WithoutCancel.
type charged Call

func (c *charged) Deadline() (time.Time, bool) { return time.Time{}, false }
func (c *charged) Done() <-chan struct{}       { return nil }
func (c *charged) Err() error                  { return nil }
func (c *charged) Value(key any) any           { return c.Context.Value(key) }

// Format prints the name of the type: the key may be a secret.
func (c *charged) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("*rpc.charged")) }
