package main

import (
	"context"
	"errors"
	"net"
	"sync"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/ratelimit"
	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/keyrate/keyrate/benchmarks/internal/library"
	"github.com/keyrate/keyrate/middleware/grpclimit"
)

type addGRPC func(s setting) (grpc.UnaryServerInterceptor, error)

// keyName is the name of the key in the metadata of a call.
const keyName = "x-api-key"

var grpcLimiters = []limiter{
	{name: library.Ours, add: addGRPC(func(s setting) (grpc.UnaryServerInterceptor, error) {
		l, err := keyrateLimiter(s)
		if err != nil {
			return nil, err
		}
		i, err := grpclimit.New(l, grpclimit.Config{Key: grpclimit.Metadata(keyName)})
		if err != nil {
			return nil, err
		}
		return i.Unary, nil
	})},
	{name: "go-grpc-middleware", add: addGRPC(func(s setting) (grpc.UnaryServerInterceptor, error) {
		return ratelimit.UnaryServerInterceptor(&rates{limit: s.Limit, keys: map[string]*rate.Limiter{}}), nil
	})},
}

// rates is the limiter that users of go-grpc-middleware write.
type rates struct {
	limit library.Limit
	mu    sync.Mutex
	keys  map[string]*rate.Limiter
}

var errLimit = errors.New("limit exceeded")

func (r *rates) Limit(ctx context.Context) error {
	values := metadata.ValueFromIncomingContext(ctx, keyName)
	if len(values) != 1 {
		return errors.New("no key")
	}
	r.mu.Lock()
	l := r.keys[values[0]]
	if l == nil {
		l = rate.NewLimiter(rate.Limit(float64(r.limit.Tokens)/r.limit.Per.Seconds()), r.limit.Tokens)
		r.keys[values[0]] = l
	}
	r.mu.Unlock()
	if !l.Allow() {
		return errLimit
	}
	return nil
}

// A stream takes the headers and trailers of a call.
type stream struct{}

func (stream) Method() string               { return "/pkg.Service/Get" }
func (stream) SetHeader(metadata.MD) error  { return nil }
func (stream) SendHeader(metadata.MD) error { return nil }
func (stream) SetTrailer(metadata.MD) error { return nil }

func openGRPC(add any, s setting) (call, error) {
	interceptor := func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		return handler(ctx, request)
	}
	if add, ok := add.(addGRPC); ok {
		var err error
		if interceptor, err = add(s); err != nil {
			return nil, err
		}
	}
	handler := func(context.Context, any) (any, error) { return nil, nil } //nolint:nilnil // its answer is not looked at
	info := &grpc.UnaryServerInfo{FullMethod: "/pkg.Service/Get"}
	key := []string{""}
	ctx := metadata.NewIncomingContext(context.Background(), metadata.MD{keyName: key})
	ctx = peer.NewContext(ctx, &peer.Peer{Addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1234}})
	ctx = grpc.NewContextWithServerTransportStream(ctx, stream{})
	return func(name string) bool {
		key[0] = name
		_, err := interceptor(ctx, nil, info, handler)
		return err != nil && status.Code(err) == codes.ResourceExhausted
	}, nil
}
