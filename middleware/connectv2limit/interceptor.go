package connectv2limit

import (
	"context"

	"connectrpc.com/connect/v2"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/internal/rpc"
	"github.com/keyrate/keyrate/ratelimit"
)

// An Interceptor limits the calls of a server. [New] returns one. It is safe for concurrent
// use.
type Interceptor struct {
	door *rpc.Door
}

// New returns an Interceptor with the limits of limiter and, for some procedures, of routes.
// That the server has these procedures is not checked. The error joins all faults.
func New(limiter *ratelimit.Limiter, c Config, routes ...middleware.Route) (*Interceptor, error) {
	door, err := rpc.New(limiter, rpc.Config{
		Package: "connectv2limit", Values: values, Violations: quotaFailure,
		Key: c.Key.key, TrustedProxies: c.TrustedProxies, RequireKey: c.RequireKey,
		Cost: withRequest(c.Cost), Reserve: withRequest(c.Reserve), MessageCost: c.MessageCost, Skip: c.Skip,
		BlockedAsExhausted: c.BlockedAsExhausted, FailClosed: c.FailClosed, Jitter: c.Jitter, DisableQueue: c.DisableQueue, ResultInContext: c.ResultInContext,
		Observe: c.Observe, OnFault: c.OnFault, Logger: c.Logger,
	}, routes...)
	if err != nil {
		return nil, err
	}
	return &Interceptor{door}, nil
}

// withRequest returns f with a parameter for the message, which is not read yet.
func withRequest(f func(context.Context, string) int) func(context.Context, string, any) int {
	if f == nil {
		return nil
	}
	return func(ctx context.Context, procedure string, _ any) int { return f(ctx, procedure) }
}

var _ connect.ServerInterceptor = (*Interceptor)(nil).Server

// Server is a [connect.ServerInterceptor].
func (i *Interceptor) Server(next connect.ServerFunc) connect.ServerFunc {
	return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
		info, ok := connect.CallInfoForServerContext(ctx)
		if !ok {
			info = new(connect.CallInfo) // without a server, in a test
		}
		call := &rpc.Call{Context: ctx, Method: spec.Procedure, Peer: info.PeerAddr, Source: info.RequestHeader()}
		if !i.door.Decide(call) {
			return deny(call.Denial(), info.Protocol, info.ResponseHeader(), info.ResponseTrailer())
		}
		if call.HasHeaders() {
			header := make(map[string][]string, 8)
			call.SetHeaders(header)
			set(info.ResponseHeader(), header)
		}
		ctx, holds := call.Begin()
		if holds {
			defer call.Done()
		}
		if !call.HasMessages() {
			return next(ctx, spec, stream)
		}
		limited := &limitedStream{ServerStream: stream, call: call}
		err := next(ctx, spec, limited)
		if denial := limited.denied.Load(); denial != nil {
			if spec.StreamType != connect.StreamTypeUnary {
				set(info.ResponseTrailer(), denial.Headers) // the header may have been sent
			}
			return deny(denial, info.Protocol, info.ResponseHeader(), info.ResponseTrailer())
		}
		return err
	}
}
