package connectlimit_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/connectlimit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// A server with 3 calls an hour for each key, and 1 of them to Export.
func Example() {
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerHour(3), ratelimit.Config{})
	if err != nil {
		log.Fatal(err)
	}
	limit, err := connectlimit.New(limiter, connectlimit.Config{Key: connectlimit.Header("X-API-Key")},
		middleware.Route{Pattern: "/keyrate.test.Service/Export", Limits: []ratelimit.Limit{ratelimit.PerHour(1)}})
	if err != nil {
		log.Fatal(err)
	}
	echo := func(_ context.Context, request *connect.Request[wrapperspb.StringValue]) (*connect.Response[wrapperspb.StringValue], error) {
		return connect.NewResponse(request.Msg), nil
	}
	mux := http.NewServeMux() // generated code has such handlers
	for _, procedure := range []string{"/keyrate.test.Service/Get", "/keyrate.test.Service/Export"} {
		mux.Handle(procedure, connect.NewUnaryHandler(procedure, echo, connect.WithInterceptors(limit)))
	}
	server := httptest.NewServer(mux)
	defer server.Close()

	for _, method := range []string{"Get", "Export", "Export"} {
		client := connect.NewClient[wrapperspb.StringValue, wrapperspb.StringValue](server.Client(), server.URL+"/keyrate.test.Service/"+method)
		request := connect.NewRequest(wrapperspb.String("hello"))
		request.Header().Set("X-API-Key", "alice")
		response, err := client.CallUnary(context.Background(), request)
		if err != nil {
			fmt.Println(method, connect.CodeOf(err))
			continue
		}
		fmt.Println(method, response.Header().Get("X-Rate-Limit-Remaining"))
	}
	// Output:
	// Get 2
	// Export 0
	// Export resource_exhausted
}
