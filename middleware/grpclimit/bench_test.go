package grpclimit_test

import (
	"context"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/keyrate/keyrate/middleware/grpclimit"
	"github.com/keyrate/keyrate/ratelimit"
)

// A transportStream is where grpc.SetHeader writes, as in a server.
type transportStream struct{ header, trailer metadata.MD }

func (*transportStream) Method() string { return get }
func (s *transportStream) SetHeader(md metadata.MD) error {
	s.header = metadata.Join(s.header, md)
	return nil
}
func (*transportStream) SendHeader(metadata.MD) error { return nil }
func (s *transportStream) SetTrailer(md metadata.MD) error {
	s.trailer = metadata.Join(s.trailer, md)
	return nil
}

func incoming(b *testing.B, s grpc.ServerTransportStream) context.Context {
	ctx := metadata.NewIncomingContext(b.Context(), metadata.MD{
		"x-api-key": {"alice"}, "user-agent": {"grpc-go/1.85.0"}, "content-type": {"application/grpc"}, ":authority": {"localhost"},
	})
	ctx = peer.NewContext(ctx, &peer.Peer{Addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1234}})
	return grpc.NewContextWithServerTransportStream(ctx, s)
}

// BenchmarkUnary measures what the interceptor adds to a call in process.
func BenchmarkUnary(b *testing.B) {
	handler := func(_ context.Context, request any) (any, error) { return request, nil }
	info := &grpc.UnaryServerInfo{FullMethod: get}
	request := wrapperspb.String("hello")
	allowed := newLimit(b, ratelimit.PerSecond(1_000_000_000), grpclimit.Config{})
	denied := newLimit(b, ratelimit.PerDay(1), grpclimit.Config{})
	bare := func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		return handler(ctx, request)
	}
	for _, c := range []struct {
		name      string
		intercept grpc.UnaryServerInterceptor
	}{{"Bare", bare}, {"Allowed", allowed.Unary}, {"Denied", denied.Unary}} {
		b.Run(c.name, func(b *testing.B) {
			var s transportStream
			ctx := incoming(b, &s)
			_, _ = c.intercept(ctx, request, info, handler)
			b.ReportAllocs()
			for b.Loop() {
				s.header, s.trailer = nil, nil
				_, _ = c.intercept(ctx, request, info, handler)
			}
		})
	}
}

// BenchmarkServer measures whole calls, with and without the interceptor.
func BenchmarkServer(b *testing.B) {
	bare := grpc.NewServer(grpc.ChainUnaryInterceptor(recovered))
	echo.register(bare)
	for name, conn := range map[string]*grpc.ClientConn{
		"Bare":    connect(b, bare),
		"Allowed": dial(b, echo, newLimit(b, ratelimit.PerSecond(1_000_000_000), grpclimit.Config{})),
	} {
		b.Run(name, func(b *testing.B) {
			ctx, out := as(b, "alice"), new(wrapperspb.StringValue)
			for b.Loop() {
				if err := conn.Invoke(ctx, get, wrapperspb.String("hello"), out); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
