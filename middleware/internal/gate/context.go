package gate

import (
	"context"
	"fmt"

	"github.com/keyrate/keyrate/ratelimit"
)

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

// A DecisionContext is the context of a call with what was decided about it, for
// middleware.ResultFrom and middleware.KeyFrom. It is a value in itself, which saves an
// allocation.
type DecisionContext struct {
	context.Context //nolint:containedctx // it is one

	key     string
	result  ratelimit.Result
	decided bool
}

type (
	resultKey struct{}
	keyKey    struct{}
)

// WithDecision returns ctx with the key of a call and what was decided about it.
func WithDecision(ctx context.Context, call *Call) *DecisionContext {
	return &DecisionContext{ctx, call.Key, call.Result, call.Decided()}
}

// Value returns c itself for a keyKey and, if there is a result, for a resultKey.
func (c *DecisionContext) Value(key any) any {
	switch key.(type) {
	case keyKey:
		return c
	case resultKey:
		if c.decided {
			return c
		}
	}
	return c.Context.Value(key)
}

// Format prints the name of the type: the key may be a secret.
func (c *DecisionContext) Format(f fmt.State, _ rune) {
	_, _ = f.Write([]byte("*gate.DecisionContext"))
}

// ResultFrom returns the innermost result in ctx.
func ResultFrom(ctx context.Context) (ratelimit.Result, bool) {
	if c, ok := ctx.Value(resultKey{}).(*DecisionContext); ok {
		return c.result, true
	}
	return ratelimit.Result{}, false
}

// KeyFrom returns the innermost key in ctx.
func KeyFrom(ctx context.Context) (string, bool) {
	if c, ok := ctx.Value(keyKey{}).(*DecisionContext); ok {
		return c.key, true
	}
	return "", false
}
