package transport

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"reflect"
	"time"

	"github.com/keyrate/keyrate/middleware/transport/internal/pace"
	"github.com/keyrate/keyrate/middleware/transport/internal/signals"
)

// A Transport is an http.RoundTripper that keeps to the limits of the APIs that it
// calls, see the package comment. It is safe for concurrent use, and meant to be
// shared: requests with Transports of their own know nothing of each other's pace.
// Its zero value is not for use: see [New].
type Transport struct {
	base   http.RoundTripper
	config Config
	paces  pace.Cache
	seed   []byte // of the hash that stands for a credential

	routeSeed maphash.Seed // of those that stand for paths
}

// New returns a Transport that sends requests with base; nil means
// [http.DefaultTransport], as it is at that time. The error joins all faults of c. It
// starts nothing and does no I/O.
func New(base http.RoundTripper, c Config) (*Transport, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	if base == nil {
		base = http.DefaultTransport
	} else if v := reflect.ValueOf(base); (v.Kind() == reflect.Pointer || v.Kind() == reflect.Func) && v.IsNil() {
		return nil, fmt.Errorf("transport: base is a nil %T; to use http.DefaultTransport, pass nil itself", base)
	}
	return &Transport{base: base, config: c, paces: pace.Cache{MaxPaces: c.MaxPaces, MaxWait: c.MaxWait}, seed: []byte(rand.Text()), routeSeed: maphash.MakeSeed()}, nil
}

// RoundTrip sends r when the pace allows it, and again when it was refused and can
// be. It returns the last response, which may be a refusal; the error of base; or, if
// r was not sent at all, a [*WaitError], the error of its context, or of its GetBody.
// It does not change r, and closes its body in any case.
func (t *Transport) RoundTrip(r *http.Request) (response *http.Response, err error) {
	if r.URL == nil {
		return t.base.RoundTrip(r) // which says what is wrong
	}
	key, found := t.keyOf(r)
	p := t.paces.Acquire(key)
	defer t.paces.Release(p)
	trip := trip{
		Transport: t,
		pace:      p,
		sender:    sender{request: r},
		ticket:    p.Ticket(),
		unnamed:   !found,
		route:     t.routeOf(r),
		left:      t.config.MaxWait,
	}
	defer func() { trip.end(response) }() // also if base panics
	return trip.run(r.Context())
}

// Format writes the type, whatever the verb: fields would show the hashes of credentials,
// and the seed with which they can be guessed.
func (t *Transport) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("*transport.Transport")) }

// CloseIdleConnections closes those of the base, if it can.
func (t *Transport) CloseIdleConnections() {
	if base, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}

// A trip is one RoundTrip.
type trip struct {
	*Transport
	pace    *pace.Pace
	sender  sender
	ticket  uint64
	unnamed bool // it has no credential
	route   pace.Route
	left    time.Duration // of Config.MaxWait
	attempt int
	refusal *http.Response // the last one
}

func (t *trip) run(ctx context.Context) (*http.Response, error) {
	for {
		call, err := t.enter(ctx)
		if err != nil {
			return t.notSent(ctx, err)
		}
		t.attempt++
		response, err := t.send()
		if err != nil {
			return nil, err
		}
		if t.answered(ctx, call, response) {
			return response, nil
		}
	}
}

// send makes an attempt. The place of a request that ends without a response is given
// up, also by a panic.
func (t *trip) send() (response *http.Response, err error) {
	defer func() {
		if response == nil {
			t.pace.Failed()
		}
	}()
	r, err := t.sender.next(t.attempt)
	if err != nil {
		return nil, err
	}
	t.drop()
	return checked(t.base.RoundTrip(r))
}

// checked holds a base to its contract: there is a response that has a body, or an
// error.
func checked(response *http.Response, err error) (*http.Response, error) {
	if response == nil {
		if err == nil {
			err = errNothing
		}
		return nil, err
	}
	if response.Body == nil {
		response.Body = http.NoBody
	}
	if err != nil {
		_ = response.Body.Close()
		return nil, err
	}
	return response, nil
}

var errNothing = errors.New("transport: the base RoundTripper returned neither a response nor an error")

// enter waits for the pace.
func (t *trip) enter(ctx context.Context) (pace.Attempt, error) {
	began := time.Now()
	c, err := t.pace.Wait(ctx, t.ticket, t.route, t.left)
	waited := time.Since(began)
	t.left -= waited
	if err == nil {
		t.observe(ctx, Event{Action: Sent, Wait: waited, Attempt: t.attempt + 1})
	}
	return c, err
}

// answered reads a response, and returns false if the request is to be sent again.
func (t *trip) answered(ctx context.Context, c pace.Attempt, response *http.Response) bool {
	now := time.Now()
	limits := signals.Parse(response.Header, now)
	d := t.config.denial(response, limits)
	wait := t.pace.Learn(c, limits, d, t.attempt, now)
	if (response.StatusCode == http.StatusUnauthorized || response.StatusCode == http.StatusTooManyRequests) && t.unnamed && t.pace.Warned.CompareAndSwap(false, true) {
		t.observe(ctx, Event{Action: NoCredential, Attempt: t.attempt, Status: response.StatusCode, Err: errNoCredential})
	}
	e := Event{Action: Answered, Wait: wait, Attempt: t.attempt, Status: response.StatusCode, Limits: limitsOf(limits)}
	if wait == 0 {
		t.observe(ctx, e)
		return true
	}
	if t.attempt > t.config.MaxRetries || d.Last || wait > t.patience(ctx, now) || !d.Limited && !idempotent(t.sender.request) || !t.sender.again() {
		e.Action = Returned
		t.observe(ctx, e)
		return true
	}
	e.Action = Refused
	t.observe(ctx, e)
	keep(ctx, response, t.patience(ctx, now)-wait)
	t.left -= time.Since(now)
	t.refusal = response
	return false
}

// patience returns how much longer the request may wait.
func (t *trip) patience(ctx context.Context, now time.Time) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return min(t.left, deadline.Sub(now))
	}
	return t.left
}

// notSent ends a trip for which there is no time left: with the last refusal, if
// there was one and somebody is still waiting.
func (t *trip) notSent(ctx context.Context, err error) (*http.Response, error) {
	e := Event{Action: NotSent, Attempt: t.attempt, Err: err}
	l, late := errors.AsType[pace.Late](err)
	if late {
		w := WaitError(l)
		err, e.Err, e.Wait = &w, &w, w.Wait
	}
	t.observe(ctx, e)
	if late && t.refusal != nil {
		return t.refusal, nil
	}
	return nil, err
}

// end closes what the caller does not get.
func (t *trip) end(returned *http.Response) {
	if t.refusal != returned {
		t.drop()
	}
	t.sender.close()
}

// drop closes a refusal that nobody will see.
func (t *trip) drop() {
	if t.refusal != nil {
		_ = t.refusal.Body.Close()
		t.refusal = nil
	}
}

// observe tells of an event. An observer that panics does so for itself.
func (t *trip) observe(ctx context.Context, e Event) {
	if t.config.Observe == nil {
		return
	}
	defer func() { _ = recover() }()
	e.Host = t.sender.request.URL.Host
	t.config.Observe(ctx, e)
}
