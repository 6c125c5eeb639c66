package otel

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// The attributes that Span sets.
const (
	OutcomeKey   = attribute.Key("keyrate.outcome")   // allowed, denied, blocked, exempt or undecided
	LimitKey     = attribute.Key("keyrate.limit")     // the name of the limit that decides
	RemainingKey = attribute.Key("keyrate.remaining") // the tokens that are left of it
	SourceKey    = attribute.Key("keyrate.source")    // what the decision is based on
	ErrorTypeKey = attribute.Key("error.type")        // the class of the error of an undecided call
)

// Span is a [ratelimit.Config].Observe that sets attributes on the span of the call, if that is
// recorded. It starts no span of its own. Of several decisions in one span the last one counts.
func Span(ctx context.Context, e ratelimit.Event) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	if e.Err != nil {
		span.SetAttributes(OutcomeKey.String("undecided"), ErrorTypeKey.String(store.ErrorClass(e.Err)))
		return
	}
	outcome := "denied"
	switch {
	case e.Result.Policy() == ratelimit.Unlimited:
		span.SetAttributes(OutcomeKey.String("exempt"))
		return
	case e.Result.Blocked():
		span.SetAttributes(OutcomeKey.String("blocked"))
		return
	case e.Result.Allowed:
		outcome = "allowed"
	}
	span.SetAttributes(
		OutcomeKey.String(outcome), LimitKey.String(e.Result.Limit().Name),
		RemainingKey.Int(e.Result.Remaining()), SourceKey.String(e.Result.Source().String()),
	)
}
