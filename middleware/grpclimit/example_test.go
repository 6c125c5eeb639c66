package grpclimit_test

import (
	"context"
	"fmt"
	"log"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/grpclimit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// A server with 3 calls an hour for each key, and 1 of them to Export.
func Example() {
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerHour(3), ratelimit.Config{})
	if err != nil {
		log.Fatal(err)
	}
	limit, err := grpclimit.New(limiter, grpclimit.Config{Key: grpclimit.Metadata("x-api-key")},
		middleware.Route{Pattern: "/keyrate.test.Service/Export", Limits: []ratelimit.Limit{ratelimit.PerHour(1)}})
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer(
		grpc.ChainUnaryInterceptor(limit.Unary),
		grpc.ChainStreamInterceptor(limit.Stream),
	)
	echo.register(server) // the service

	listener, err := net.Listen("tcp", "localhost:0") //nolint:noctx // an example
	if err != nil {
		log.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = conn.Close() }()

	ctx := metadata.AppendToOutgoingContext(context.Background(), "x-api-key", "alice")
	for _, method := range []string{"Get", "Export", "Export"} {
		var header metadata.MD
		err := conn.Invoke(ctx, "/keyrate.test.Service/"+method, wrapperspb.String("hello"), new(wrapperspb.StringValue), grpc.Header(&header))
		fmt.Println(method, status.Code(err), header["x-rate-limit-remaining"])
	}
	// Output:
	// Get OK [2]
	// Export OK [0]
	// Export ResourceExhausted []
}

// A ratelimit.Limiter of github.com/grpc-ecosystem/go-grpc-middleware/v2 on a limiter: one key
// for all calls, or what keyOf returns. Its interceptors turn the error into
// codes.ResourceExhausted, without details.
func Example_goGRPCMiddleware() {
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerHour(1), ratelimit.Config{})
	if err != nil {
		log.Fatal(err)
	}
	var adapter interface {
		Limit(ctx context.Context) error
	} = adapter{limiter}
	fmt.Println(adapter.Limit(context.Background()) == nil)
	fmt.Println(adapter.Limit(context.Background()) == nil)
	// Output:
	// true
	// false
}

// An adapter implements ratelimit.Limiter of go-grpc-middleware.
type adapter struct{ *ratelimit.Limiter }

func (a adapter) Limit(ctx context.Context) error {
	if r, err := a.Allow(ctx, "all"); err == nil && !r.Allowed {
		return fmt.Errorf("retry after %v", r.RetryAfter())
	}
	return nil // fails open
}

// A client that waits as denials ask, and keeps to the limits that servers report.
func ExampleNewClient() {
	c, err := grpclimit.NewClient(grpclimit.ClientConfig{})
	if err != nil {
		log.Fatal(err)
	}
	conn, err := grpc.NewClient("localhost:50051",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithChainUnaryInterceptor(c.Unary),
		grpc.WithChainStreamInterceptor(c.Stream),
	)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	fmt.Println(conn.Target())
	// Output: localhost:50051
}
