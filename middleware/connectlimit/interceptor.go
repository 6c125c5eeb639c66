package connectlimit

import (
	"context"
	"net/http"

	"connectrpc.com/connect"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/internal/rpc"
	"github.com/keyrate/keyrate/ratelimit"
)

// An Interceptor is a [connect.Interceptor] that limits the calls of handlers. [New] returns
// one. It is safe for concurrent use.
type Interceptor struct {
	door *rpc.Door
}

// New returns an Interceptor with the limits of limiter and, for some procedures, of routes.
// That handlers have these procedures is not checked. The error joins all faults.
func New(limiter *ratelimit.Limiter, c Config, routes ...middleware.Route) (*Interceptor, error) {
	door, err := rpc.New(limiter, rpc.Config{
		Package: "connectlimit", Values: values, Violations: quotaFailure,
		Key: c.Key.key, TrustedProxies: c.TrustedProxies, RequireKey: c.RequireKey,
		Cost: c.Cost, Reserve: c.Reserve, MessageCost: c.MessageCost, Skip: c.Skip,
		BlockedAsExhausted: c.BlockedAsExhausted, FailClosed: c.FailClosed, Jitter: c.Jitter, DisableQueue: c.DisableQueue, ResultInContext: c.ResultInContext,
		Observe: c.Observe, OnFault: c.OnFault, Logger: c.Logger,
	}, routes...)
	if err != nil {
		return nil, err
	}
	return &Interceptor{door}, nil
}

var _ connect.Interceptor = (*Interceptor)(nil)

// WrapUnary implements [connect.Interceptor]. The calls of a client are not limited.
func (i *Interceptor) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
		if request.Spec().IsClient {
			return next(ctx, request)
		}
		peer := request.Peer()
		call := &rpc.Call{
			Context: ctx, Method: request.Spec().Procedure, Request: request.Any(), Peer: peer.Addr, Source: request.Header(),
		}
		header, trailer := http.Header{}, http.Header{} // without a server, in a test
		if info, ok := connect.CallInfoForHandlerContext(ctx); ok {
			header, trailer = info.ResponseHeader(), info.ResponseTrailer()
		}
		if !i.door.Decide(call) {
			return nil, deny(call.Denial(), peer.Protocol, header, trailer)
		}
		call.SetHeaders(header)
		ctx, holds := call.Begin()
		if holds {
			defer call.Done()
		}
		return next(ctx, request)
	}
}

// WrapStreamingHandler implements [connect.Interceptor].
func (i *Interceptor) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		peer := conn.Peer()
		call := &rpc.Call{Context: ctx, Method: conn.Spec().Procedure, Peer: peer.Addr, Source: conn.RequestHeader()}
		if !i.door.Decide(call) {
			return deny(call.Denial(), peer.Protocol, conn.ResponseHeader(), conn.ResponseTrailer())
		}
		call.SetHeaders(conn.ResponseHeader())
		ctx, holds := call.Begin()
		if holds {
			defer call.Done()
		}
		if !call.HasMessages() {
			return next(ctx, conn)
		}
		limited := &limitedConn{StreamingHandlerConn: conn, call: call}
		err := next(ctx, limited)
		if denied := limited.denied.Load(); denied != nil {
			return denied
		}
		return err
	}
}

// WrapStreamingClient implements [connect.Interceptor]. It returns next.
func (i *Interceptor) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}
