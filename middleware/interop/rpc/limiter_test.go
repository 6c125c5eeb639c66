package rpc_test

import (
	"context"
	"fmt"
	"testing"

	other "github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/ratelimit"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// An adapter is a limiter for the interceptors of go-grpc-middleware, with one key for all calls.
type adapter struct{ *ratelimit.Limiter }

func (a adapter) Limit(ctx context.Context) error {
	if r, err := a.Allow(ctx, "all"); err == nil && !r.Allowed {
		return fmt.Errorf("retry after %v", r.RetryAfter())
	}
	return nil // also if the limiter cannot decide
}

// TestGoGRPCMiddleware: a Limiter works in the interceptors of go-grpc-middleware.
func TestGoGRPCMiddleware(t *testing.T) {
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerHour(1), ratelimit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	intercept := other.UnaryServerInterceptor(adapter{limiter})
	for _, want := range []codes.Code{codes.OK, codes.ResourceExhausted} {
		_, err := intercept(t.Context(), nil, &grpc.UnaryServerInfo{FullMethod: get}, func(context.Context, any) (any, error) { return nil, nil })
		if status.Code(err) != want {
			t.Errorf("%v, want %v", err, want)
		}
	}
}
