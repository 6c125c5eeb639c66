package grpclimit

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/internal/address"
	"github.com/keyrate/keyrate/middleware/internal/rpc"
	"github.com/keyrate/keyrate/ratelimit"
)

// An Interceptor limits the calls of a server. [New] returns one. It is safe for concurrent
// use.
type Interceptor struct {
	door *rpc.Door
}

// New returns an Interceptor with the limits of limiter and, for some methods, of routes. That
// the server has these methods is not checked. The error joins all faults.
func New(limiter *ratelimit.Limiter, c Config, routes ...middleware.Route) (*Interceptor, error) {
	door, err := rpc.New(limiter, rpc.Config{
		Package: "grpclimit", Lower: true,
		Values: func(call *rpc.Call, name string) []string {
			return metadata.ValueFromIncomingContext(call.Context, name)
		},
		Address: remote, Connection: connection, Violations: quotaFailure,
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

// remote returns the address of the peer.
func remote(call *rpc.Call) string {
	if p, ok := peer.FromContext(call.Context); ok && p.Addr != nil {
		return p.Addr.String()
	}
	return ""
}

// connection returns a string that is the same for calls on one connection.
func connection(call *rpc.Call) string {
	if p, ok := peer.FromContext(call.Context); ok && p.Addr != nil {
		return address.Connection(p.Addr)
	}
	return ""
}

var (
	_ grpc.UnaryServerInterceptor  = (*Interceptor)(nil).Unary
	_ grpc.StreamServerInterceptor = (*Interceptor)(nil).Stream
)

// Unary is a [grpc.UnaryServerInterceptor].
func (i *Interceptor) Unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (response any, err error) {
	call := &rpc.Call{Context: ctx, Method: info.FullMethod, Request: request}
	if !i.door.Decide(call) {
		trailer, err := deny(call.Denial())
		_ = grpc.SetTrailer(ctx, trailer) // fails only without a connection, in a test
		return nil, err
	}
	handlerCtx, holds := call.Begin()
	if holds {
		defer call.Done()
	}
	response, err = handler(handlerCtx, request)
	if call.HasHeaders() {
		// A client retries an error of the handler only if there is no header before it.
		if fields := fieldsOf(call); err != nil || grpc.SetHeader(ctx, fields) != nil {
			_ = grpc.SetTrailer(ctx, fields)
		}
	}
	return response, err
}

// Stream is a [grpc.StreamServerInterceptor].
func (i *Interceptor) Stream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	call := &rpc.Call{Context: stream.Context(), Method: info.FullMethod}
	if !i.door.Decide(call) {
		trailer, err := deny(call.Denial())
		stream.SetTrailer(trailer)
		return err
	}
	limited := &limitedStream{ServerStream: stream, call: call}
	var holds bool
	if limited.ctx, holds = call.Begin(); holds {
		defer call.Done()
	}
	err := handler(server, limited)
	return limited.end(err)
}

// fieldsOf returns the metadata of a call that is served.
func fieldsOf(call *rpc.Call) metadata.MD {
	md := make(metadata.MD, 8)
	call.SetHeaders(md)
	return md
}
