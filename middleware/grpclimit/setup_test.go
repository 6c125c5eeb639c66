package grpclimit_test

import (
	"context"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/keyrate/keyrate/middleware/grpclimit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// The methods of the service under test.
const (
	get    = "/keyrate.test.Service/Get"
	export = "/keyrate.test.Service/Export"
	chat   = "/keyrate.test.Service/Chat"
)

// A service is what the handlers of the service do.
type service struct {
	unary  func(ctx context.Context, request string) (string, error)
	stream func(stream grpc.ServerStream) error
}

// register registers the service as generated code does.
func (s service) register(on grpc.ServiceRegistrar) {
	unary := func(server any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor, method string) (any, error) {
		in := new(wrapperspb.StringValue)
		if err := decode(in); err != nil {
			return nil, err
		}
		handler := func(ctx context.Context, request any) (any, error) {
			out, err := s.unary(ctx, text(request))
			if err != nil {
				return nil, err
			}
			return wrapperspb.String(out), nil
		}
		if interceptor == nil {
			return handler(ctx, in)
		}
		return interceptor(ctx, in, &grpc.UnaryServerInfo{Server: server, FullMethod: method}, handler)
	}
	method := func(name string) grpc.MethodDesc {
		return grpc.MethodDesc{MethodName: name, Handler: func(server any, ctx context.Context, decode func(any) error, i grpc.UnaryServerInterceptor) (any, error) {
			return unary(server, ctx, decode, i, "/keyrate.test.Service/"+name)
		}}
	}
	on.RegisterService(&grpc.ServiceDesc{
		ServiceName: "keyrate.test.Service",
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{method("Get"), method("Export")},
		Streams: []grpc.StreamDesc{{
			StreamName: "Chat", ServerStreams: true, ClientStreams: true,
			Handler: func(_ any, stream grpc.ServerStream) error { return s.stream(stream) },
		}},
	}, s)
}

// echo returns what it gets.
var echo = service{
	unary: func(_ context.Context, request string) (string, error) { return request, nil },
	stream: func(stream grpc.ServerStream) error {
		for {
			m := new(wrapperspb.StringValue)
			if err := stream.RecvMsg(m); err != nil {
				return nil // io.EOF, or a denial, which the handler does not report
			}
			if err := stream.SendMsg(m); err != nil {
				return err
			}
		}
	},
}

// recovered turns a panic of a handler into a status, as most servers do.
func recovered(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (response any, err error) {
	defer func() {
		if recover() != nil {
			err = status.Error(codes.Internal, "panic")
		}
	}()
	return handler(ctx, request)
}

func recoveredStream(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	defer func() {
		if recover() != nil {
			err = status.Error(codes.Internal, "panic")
		}
	}()
	return handler(server, stream)
}

// dial serves s behind limit, and returns a connection.
func dial(t testing.TB, s service, limit *grpclimit.Interceptor, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	server := grpc.NewServer(
		grpc.ChainUnaryInterceptor(recovered, limit.Unary),
		grpc.ChainStreamInterceptor(recoveredStream, limit.Stream),
	)
	s.register(server)
	return connect(t, server, options...)
}

func connect(t testing.TB, server *grpc.Server, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient("passthrough:///test", append(options,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
	)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// newLimiter returns a limiter on memory.
func newLimiter(t testing.TB, limits ratelimit.Limits) *ratelimit.Limiter {
	t.Helper()
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), limits, ratelimit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return limiter
}

// newLimit returns an Interceptor whose keys are in x-api-key.
func newLimit(t testing.TB, limits ratelimit.Limits, c grpclimit.Config) *grpclimit.Interceptor {
	t.Helper()
	c.Key = grpclimit.Metadata("X-API-Key")
	limit, err := grpclimit.New(newLimiter(t, limits), c)
	if err != nil {
		t.Fatal(err)
	}
	return limit
}

// as returns a context with keys.
func as(t testing.TB, keys ...string) context.Context {
	return metadata.NewOutgoingContext(t.Context(), metadata.MD{"x-api-key": keys})
}

// call calls a unary method, and returns what the response has.
func call(ctx context.Context, conn *grpc.ClientConn, method string) (header, trailer metadata.MD, err error) {
	out := new(wrapperspb.StringValue)
	err = conn.Invoke(ctx, method, wrapperspb.String("hello"), out, grpc.Header(&header), grpc.Trailer(&trailer))
	return header, trailer, err
}

// text returns the text of a message.
func text(m any) string {
	if s, ok := m.(*wrapperspb.StringValue); ok {
		return s.GetValue()
	}
	return ""
}
