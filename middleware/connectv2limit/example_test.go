package connectv2limit_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/connectv2limit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// A server with 3 calls an hour for each key, and 1 of them to Export.
func Example() {
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerHour(3), ratelimit.Config{})
	if err != nil {
		log.Fatal(err)
	}
	limit, err := connectv2limit.New(limiter, connectv2limit.Config{Key: connectv2limit.Header("X-API-Key")},
		middleware.Route{Pattern: "/keyrate.test.Service/Export", Limits: []ratelimit.Limit{ratelimit.PerHour(1)}})
	if err != nil {
		log.Fatal(err)
	}
	server := connect.NewServer(limit.Server)
	for _, procedure := range []string{"/keyrate.test.Service/Get", "/keyrate.test.Service/Export"} {
		server.Register(connect.Method{Spec: specOf(procedure), Handler: answer}) // as generated code does
	}
	mux := http.NewServeMux()
	connecthttp.Mount(mux, server)
	listening := httptest.NewServer(mux)
	defer listening.Close()

	client := connect.NewClient(connecthttp.NewTransport(listening.Client(), listening.URL))
	for _, method := range []string{"Get", "Export", "Export"} {
		ctx, info := connect.NewClientContext(context.Background())
		info.RequestHeader().Set("X-API-Key", "alice")
		err := client.CallUnary(ctx, specOf("/keyrate.test.Service/"+method), wrapperspb.String("hello"), new(wrapperspb.StringValue))
		if err != nil {
			fmt.Println(method, connect.CodeOf(err))
			continue
		}
		fmt.Println(method, info.ResponseHeader().Get("X-Rate-Limit-Remaining"))
	}
	// Output:
	// Get 2
	// Export 0
	// Export resource_exhausted
}

// answer is the handler of a method.
func answer(_ context.Context, _ connect.Spec, stream connect.ServerStream) error {
	m := new(wrapperspb.StringValue)
	if err := stream.Receive(m); err != nil {
		return err
	}
	return stream.Send(m)
}
