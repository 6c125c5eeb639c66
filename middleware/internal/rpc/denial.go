package rpc

import (
	"strconv"
	"time"

	"github.com/keyrate/keyrate/middleware/internal/gate"
	"github.com/keyrate/keyrate/middleware/internal/reply"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
)

// A Code is why a call is denied, with the number that gRPC and Connect have for it.
type Code uint32

// The codes.
const (
	InvalidArgument   Code = 3  // several keys
	PermissionDenied  Code = 7  // the key is blocked
	ResourceExhausted Code = 8  // over the limit
	Unavailable       Code = 14 // the limiter cannot decide
	Unauthenticated   Code = 16 // no key
)

// Pushback is the trailer that tells gRPC clients when to retry: see gRFC A6.
const Pushback = "Grpc-Retry-Pushback-Ms"

// A Denial is a call that is not served. It contains no key.
type Denial struct {
	Code       Code
	Message    string
	Wait       time.Duration // in whole milliseconds; 0: a retry makes no sense
	Pushback   string        // the value of that trailer; "" if a retry has nothing to do with limits
	Violations any           // what Config.Violations has made of the limits that deny the call, or nil
	Headers    map[string][]string
}

// A Violation is a limit that denies the call.
type Violation struct {
	Limit       string // its name
	Quota       int
	Description string
}

// Denial returns why a call is not served.
func (c *Call) Denial() *Denial {
	switch call := &c.decided; call.Outcome {
	case gate.NoKey:
		return &Denial{Code: Unauthenticated, Message: "The call has no API key; send one."}
	case gate.Ambiguous:
		if call.Err == gate.ErrAddresses { //nolint:errorlint // it is never wrapped
			return &Denial{Code: InvalidArgument, Message: "The call has more than one client address; a proxy in front must send one."}
		}
		return &Denial{Code: InvalidArgument, Message: "The call has more than one API key; send one."}
	case gate.FailedClosed:
		d := &Denial{Code: Unavailable, Message: "Rate limits cannot be checked at present; retry later.", Headers: map[string][]string{}}
		d.setWait(call.Wait)
		c.limits.reply.Unavailable(d.Headers, call.Wait)
		return d
	case gate.Blocked:
		d := &Denial{Code: c.limits.blocked, Message: string(reply.AppendBlockedDetail(nil, call.Wait)), Headers: map[string][]string{}, Pushback: "-1"}
		if c.limits.reply.Blocked(d.Headers, call.Wait); call.Wait != gcra.Never {
			d.setWait(call.Wait)
		}
		return d
	}
	d := &Denial{Code: ResourceExhausted, Headers: make(map[string][]string, len(reply.Names)), Pushback: "-1"}
	denied := c.limits.reply.Denied(&c.decided.Result, c.decided.Wait)
	denied.SetFields(d.Headers)
	var space [128]byte
	d.Message = string(denied.AppendDetail(space[:0]))
	d.Violations = denied.Once(func() any {
		var all []Violation
		denied.Violated(func(l ratelimit.Limit) {
			l.Lockout = ratelimit.Lockout{} // which is for operators
			all = append(all, Violation{l.Name, l.Burst, l.String()})
		})
		return c.limits.violations(all)
	})
	if c.decided.Wait != gcra.Never {
		d.Wait, d.Pushback = whole(c.decided.Wait), denied.Milliseconds()
	}
	return d
}

func (d *Denial) setWait(wait time.Duration) {
	d.Wait, d.Pushback = whole(wait), strconv.FormatInt(reply.Milliseconds(wait), 10)
}

// whole returns a wait in whole milliseconds.
func whole(wait time.Duration) time.Duration {
	return time.Duration(reply.Milliseconds(wait)) * time.Millisecond
}
