package transport

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/keyrate/keyrate/middleware/internal/pace"
	"github.com/keyrate/keyrate/middleware/internal/signals"
)

// A call is one RoundTrip: a request and its attempts.
type call struct {
	*Transport
	pace     *pace.Pace
	ticket   pace.Ticket
	sender   sender
	unnamed  bool          // the request has no credential
	left     time.Duration // of Config.MaxWait
	attempts int
	denial   *http.Response // the last one, until the next attempt
}

func (c *call) run(ctx context.Context) (*http.Response, error) {
	for {
		attempt, err := c.wait(ctx)
		if err != nil {
			return c.notSent(ctx, err)
		}
		response, err := c.send()
		if err != nil {
			return nil, err
		}
		if c.answered(ctx, attempt, response) {
			return response, nil
		}
	}
}

// wait waits for the pace.
func (c *call) wait(ctx context.Context) (pace.Attempt, error) {
	began := time.Now()
	attempt, err := c.pace.Wait(ctx, c.ticket, c.left)
	waited := time.Since(began)
	c.left -= waited
	if err == nil {
		c.attempts++
		c.observe(ctx, Event{Action: Sent, Wait: waited, Attempt: c.attempts}, signals.Limits{})
	}
	return attempt, err
}

// send makes an attempt. If it ends without a response, or panics, it gives up its place.
func (c *call) send() (response *http.Response, err error) {
	defer func() {
		if response == nil {
			c.pace.Failed()
		}
	}()
	r, err := c.sender.next(c.attempts)
	if err != nil {
		return nil, err
	}
	c.dropDenial()
	return checked(c.base.RoundTrip(r))
}

// checked enforces the contract of a RoundTripper: a response with a body, or an error.
func checked(response *http.Response, err error) (*http.Response, error) {
	switch {
	case response == nil:
		return nil, cmp.Or(err, errNothing)
	case response.Body == nil:
		response.Body = http.NoBody
	}
	if err != nil {
		_ = response.Body.Close()
		return nil, err
	}
	return response, nil
}

// answered learns from a response, and reports whether it is the last one.
func (c *call) answered(ctx context.Context, attempt pace.Attempt, response *http.Response) bool {
	now := time.Now()
	limits := signals.Parse(response.Header, now)
	denial := c.config.denial(response, limits)
	wait := c.pace.Learn(attempt, limits, denial, c.attempts, now)
	status := response.StatusCode
	if c.unnamed && (status == http.StatusUnauthorized || status == http.StatusTooManyRequests) && c.pace.Warned.CompareAndSwap(false, true) {
		c.observe(ctx, Event{Action: NoCredential, Attempt: c.attempts, Status: status, Err: errNoCredential}, signals.Limits{})
	}
	e := Event{Action: Denied, Wait: wait, Attempt: c.attempts, Status: status}
	switch {
	case wait == 0:
		e.Action = Answered
	case c.attempts > c.config.MaxRetries || denial.Final || wait > c.patience(ctx, now) ||
		!denial.Limited && !idempotent(c.sender.request) || !c.sender.again():
		e.Action = Returned
	}
	c.observe(ctx, e, limits)
	if e.Action != Denied {
		return true
	}
	keepBody(ctx, response, c.patience(ctx, now)-wait)
	c.left -= time.Since(now)
	c.denial = response
	return false
}

// patience returns how much longer the request may wait.
func (c *call) patience(ctx context.Context, now time.Time) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return min(c.left, deadline.Sub(now))
	}
	return c.left
}

// notSent ends a call whose request cannot wait any longer: with the last denial, if
// there was one and the context has not ended.
func (c *call) notSent(ctx context.Context, err error) (*http.Response, error) {
	e := Event{Action: NotSent, Attempt: c.attempts, Err: err}
	late, isLate := errors.AsType[pace.LateError](err)
	if isLate {
		w := WaitError(late)
		e.Wait, e.Err = w.Wait, &w
	}
	c.observe(ctx, e, signals.Limits{})
	if isLate && c.denial != nil {
		return c.denial, nil
	}
	return nil, e.Err
}

// end closes what the caller does not get.
func (c *call) end(returned *http.Response) {
	if c.denial != returned {
		c.dropDenial()
	}
	c.sender.close()
}

// dropDenial closes a denial that is not returned.
func (c *call) dropDenial() {
	if c.denial != nil {
		_ = c.denial.Body.Close()
		c.denial = nil
	}
}

// observe reports an event.
func (c *call) observe(ctx context.Context, e Event, limits signals.Limits) {
	if c.config.Observe != nil {
		e.Host, e.Limits = c.sender.request.URL.Host, limitsOf(limits)
		_ = try(func() { c.config.Observe(ctx, e) })
	}
}
