package fiberlimit

import (
	"context"
	"sync"

	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/internal/gate"
	"github.com/keyrate/keyrate/middleware/internal/reply"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// names are those of reply.Names for fasthttp.
var names = func() (names [len(reply.Names)][]byte) {
	for i, name := range reply.Names {
		names[i] = []byte(name)
	}
	return names
}()

// allowed sets the headers of an allowed request, unless those of an outer limiter report as little
// remaining, or less.
func (d *door) allowed(c fiber.Ctx, result *ratelimit.Result) {
	h := &c.Response().Header
	if len(h.PeekCanonical(remaining)) > 0 {
		d.allowedInside(h, result)
		return
	}
	space, _ := spaces.Get().(*[512]byte)
	d.reply.EachAllowed(result, space[:0], func(name int, value []byte) { h.SetCanonical(names[name], value) })
	spaces.Put(space)
}

// allowedInside is allowed inside an outer limiter.
func (d *door) allowedInside(h *fasthttp.ResponseHeader, result *ratelimit.Result) {
	header := map[string][]string{}
	for _, name := range reply.LimitNames {
		if value := h.Peek(name); len(value) > 0 {
			header[name] = []string{string(value)}
		}
	}
	d.reply.Allowed(header, result)
	for _, name := range reply.LimitNames {
		if header[name] == nil {
			h.Del(name)
		} else {
			h.Set(name, header[name][0])
		}
	}
}

// deny responds to a request that is not served.
func (d *door) deny(ctx context.Context, c fiber.Ctx, call *gate.Call) error {
	switch call.Outcome {
	case gate.NoKey:
		c.Response().Header.Set(fiber.HeaderWWWAuthenticate, d.config.Challenge)
		respond(c, fiber.StatusUnauthorized, []byte(reply.NoKeyBody))
	case gate.Ambiguous:
		body := reply.TwoKeysBody
		if call.Err == gate.ErrAddresses { //nolint:errorlint // it is never wrapped
			body = reply.TwoAddressesBody
		}
		respond(c, fiber.StatusBadRequest, []byte(body))
	case gate.FailedClosed:
		header := map[string][]string{}
		reply.Unavailable(header, call.Wait)
		c.Response().Header.Set(reply.RetryAfter, header[reply.RetryAfter][0])
		respond(c, fiber.StatusServiceUnavailable, []byte(reply.UnavailableBody))
	case gate.Blocked:
		return d.blocked(ctx, c, call)
	default:
		return d.tooMany(ctx, c, call)
	}
	return nil
}

// blocked responds to a request whose key is blocked.
func (d *door) blocked(ctx context.Context, c fiber.Ctx, call *gate.Call) error {
	setWait := func() {
		header := map[string][]string{}
		reply.Blocked(header, call.Wait)
		for _, name := range []string{reply.RetryAfter, reply.RetryAfterMs} {
			if value := header[name]; value != nil {
				c.Response().Header.Set(name, value[0])
			}
		}
	}
	setWait()
	if d.config.Denied != nil {
		if responded, err := d.denied(ctx, c, &call.Result); responded {
			return err
		}
		setWait() // Denied may have changed them
	}
	respond(c, d.config.BlockedStatus, reply.AppendBlocked(nil, d.config.BlockedStatus, call.Wait))
	return nil
}

// tooMany answers 429.
func (d *door) tooMany(ctx context.Context, c fiber.Ctx, call *gate.Call) error {
	h := &c.Response().Header
	space, _ := spaces.Get().(*[512]byte)
	defer spaces.Put(space)
	denial := d.reply.Denied(&call.Result, call.Wait)
	set := func(name int, value []byte) { h.SetCanonical(names[name], value) }
	if len(h.PeekCanonical(reset)) > 0 {
		h.Del(reply.Reset) // an outer limiter's
	}
	denial.EachField(space[:0], set)
	if d.config.Denied != nil {
		if responded, err := d.denied(ctx, c, &call.Result); responded {
			return err
		}
		denial.EachField(space[:0], set) // Denied may have changed them
	}
	respond(c, fiber.StatusTooManyRequests, denial.AppendBody(space[:0]))
	return nil
}

// spaces are for headers and bodies, before fasthttp copies them. They are nearly always large
// enough for one limit.
var spaces = sync.Pool{New: func() any { return new([512]byte) }}

// denied calls Config.Denied. It reports whether that responded, or returned an error.
func (d *door) denied(ctx context.Context, c fiber.Ctx, result *ratelimit.Result) (responded bool, err error) {
	r := c.Response()
	r.ResetBody()
	problem(&r.Header)
	r.Header.SetContentTypeBytes(nil) // that of the problem
	status := r.StatusCode()
	switch {
	case store.Try(func() { err = d.config.Denied(c, *result) }) != nil:
		d.gate.Report(ctx, middleware.FaultDeniedPanic, "answered with the default")
		return false, nil
	case err != nil, r.StatusCode() != status, r.IsBodyStream(), len(r.Body()) > 0, c.RequestCtx().Hijacked():
		return true, err
	}
	d.gate.Report(ctx, middleware.FaultDeniedSilent, "answered with the default")
	return false, nil
}

var (
	remaining   = []byte(reply.Remaining)
	reset       = []byte(reply.Reset)
	contentType = []byte("application/problem+json")
	noSniffName = []byte(fiber.HeaderXContentTypeOptions)
	noSniff     = []byte("nosniff")
	noStoreName = []byte(fiber.HeaderCacheControl)
	noStore     = []byte("no-store")
)

// problem sets the headers that go with the body of a problem.
func problem(h *fasthttp.ResponseHeader) {
	h.SetContentTypeBytes(contentType)
	h.SetCanonical(noSniffName, noSniff)
	h.SetCanonical(noStoreName, noStore)
}

// respond responds with a problem. fasthttp omits the body in the response to HEAD, and sends its
// length.
func respond(c fiber.Ctx, status int, body []byte) {
	r := c.Response()
	problem(&r.Header)
	if len(r.Header.ContentEncoding()) > 0 {
		r.Header.SetContentEncodingBytes(nil) // of another body
	}
	r.SetStatusCode(status)
	r.SetBody(body) // copies
}
