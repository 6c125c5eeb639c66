package rpc_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/connectlimit"
	"github.com/keyrate/keyrate/middleware/grpclimit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

const (
	get   = "/keyrate.test.Service/Get"
	calls = 50
)

// limit is that of both servers: 49 of 50 calls wait, 0.9 seconds in all.
var limit = ratelimit.PerSecond(50).WithBurst(5)

// denials counts the calls that are denied.
type denials struct{ atomic.Int64 }

func (d *denials) observe(_ context.Context, e middleware.Event) {
	if !e.Served {
		d.Add(1)
	}
}

// check fails the test unless calls were denied, each at most about once.
func (d *denials) check(t *testing.T) {
	t.Helper()
	if n := d.Load(); n < 1 || n > 2*calls { // few on a machine so slow that tokens come back between calls
		t.Errorf("%d calls were denied, want about 45", n)
	}
}

func newLimiter(t *testing.T) *ratelimit.Limiter {
	t.Helper()
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), limit, ratelimit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return limiter
}

// startGRPC returns the address of a server behind grpclimit.
func startGRPC(t *testing.T, d *denials) string {
	t.Helper()
	door, err := grpclimit.New(newLimiter(t), grpclimit.Config{Key: grpclimit.Metadata("x-api-key"), Observe: d.observe})
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.ChainUnaryInterceptor(door.Unary))
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "keyrate.test.Service",
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Get", Handler: func(server any, ctx context.Context, decode func(any) error, i grpc.UnaryServerInterceptor) (any, error) {
			in := new(wrapperspb.StringValue)
			if err := decode(in); err != nil {
				return nil, err
			}
			return i(ctx, in, &grpc.UnaryServerInfo{Server: server, FullMethod: get}, func(_ context.Context, m any) (any, error) { return m, nil })
		}}},
	}, nil)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

// startConnect returns the URL of a server behind connectlimit.
func startConnect(t *testing.T, d *denials) string {
	t.Helper()
	door, err := connectlimit.New(newLimiter(t), connectlimit.Config{Key: connectlimit.Header("X-API-Key"), Observe: d.observe})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(get, connect.NewUnaryHandler(get, func(_ context.Context, r *connect.Request[wrapperspb.StringValue]) (*connect.Response[wrapperspb.StringValue], error) {
		return connect.NewResponse(r.Msg), nil
	}, connect.WithInterceptors(door)))
	server := httptest.NewUnstartedServer(mux)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	return server.URL
}
