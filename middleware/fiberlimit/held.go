package fiberlimit

import (
	"context"
	"errors"

	"github.com/gofiber/fiber/v3"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/internal/gate"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// serveHeld serves a request that holds something, or whose response SettleBy must see.
func (d *door) serveHeld(ctx context.Context, c fiber.Ctx, hold *ratelimit.Hold, cost int, next fiber.Handler) (err error) {
	var held *gate.HeldContext
	if hold != nil {
		held = &gate.HeldContext{Context: c.Context()}
		d.gate.Begin(&held.Held, hold, cost)
		c.SetContext(held)
		defer end(ctx, c, held)
	}
	if d.config.SettleBy == nil {
		return next(c)
	}
	status := fiber.StatusInternalServerError // if it panics
	defer func() { d.settleBy(ctx, c, held, status) }()
	err = next(c)
	status = statusOf(c, err)
	return err
}

// statusOf returns the status of the response to be, as the ErrorHandler of fiber makes it.
func statusOf(c fiber.Ctx, err error) int {
	if err == nil {
		return c.Response().StatusCode()
	}
	if e, ok := errors.AsType[*fiber.Error](err); ok {
		return e.Code
	}
	return fiber.StatusInternalServerError
}

// settleBy calls Config.SettleBy.
func (d *door) settleBy(ctx context.Context, c fiber.Ctx, held *gate.HeldContext, status int) {
	var n int
	switch {
	case store.Try(func() { n = d.config.SettleBy(status, c) }) != nil:
		d.gate.Report(ctx, middleware.FaultSettleByPanic, "ignored")
	case n < 0:
		d.gate.Report(ctx, middleware.FaultNegativePrice, "ignored")
	case held != nil:
		held.Held.SetUsual(n)
	}
}

// end ends what a request holds: now, or when its stream has been written.
func end(ctx context.Context, c fiber.Ctx, held *gate.HeldContext) {
	if r := c.RequestCtx(); r != nil && r.Response.IsBodyStream() && held.Held.Keep() {
		r.SetUserValue(held, &written{ctx, held})
	}
	held.Held.Done(ctx)
}

// A written is a value of a request. fasthttp closes those that are an io.Closer when it is done
// with the request: the response has been written, or the connection is broken.
type written struct {
	ctx  context.Context //nolint:containedctx // of the request
	held *gate.HeldContext
}

func (w *written) Close() error {
	w.held.Held.Done(w.ctx)
	return nil
}
