package gate

import "context"

// A HeldContext is the context of a call that holds something. It is a value in itself, which
// saves an allocation. All doors use it, so that middleware.Settle and middleware.Keep work in
// their handlers.
type HeldContext struct {
	context.Context //nolint:containedctx // it is one

	Held Held
}

type heldKey struct{}

// Value returns c itself for a heldKey.
func (c *HeldContext) Value(key any) any {
	if _, ok := key.(heldKey); ok {
		return c
	}
	return c.Context.Value(key)
}

// HeldFrom returns the innermost HeldContext in ctx.
func HeldFrom(ctx context.Context) (*HeldContext, bool) {
	c, ok := ctx.Value(heldKey{}).(*HeldContext)
	return c, ok
}
