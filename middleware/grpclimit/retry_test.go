package grpclimit_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/grpclimit"
	"github.com/keyrate/keyrate/ratelimit"
)

// retries is a service config as users write it. Its backoff would be far too long.
const retries = `{"methodConfig": [{
	"name": [{"service": "keyrate.test.Service"}],
	"retryPolicy": {"maxAttempts": 5, "initialBackoff": "60s", "maxBackoff": "60s", "backoffMultiplier": 1,
		"retryableStatusCodes": ["RESOURCE_EXHAUSTED", "UNAVAILABLE"]}}]}`

// TestRetryPolicy: a client with a service config finishes 50 calls at 5 per second, and waits
// only as long as it is asked to.
func TestRetryPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		denials := 0
		limit := newLimit(t, ratelimit.PerSecond(5), grpclimit.Config{Observe: func(_ context.Context, e middleware.Event) {
			if !e.Served {
				denials++
			}
		}})
		conn := dial(t, echo, limit, grpc.WithDefaultServiceConfig(retries))
		start := time.Now()
		for i := range 50 {
			if _, _, err := call(as(t, "alice"), conn, get); err != nil {
				t.Fatalf("call %d: %v", i, err)
			}
		}
		if took := time.Since(start); took != 9*time.Second || denials != 45 {
			t.Errorf("50 calls took %v, with %d denials; want 9s and 45: 5 are in the burst", took, denials)
		}
	})
}

// TestNoRetryWithoutHope: a client does not retry a call that is never admitted.
func TestNoRetryWithoutHope(t *testing.T) {
	attempts := 0
	limit := newLimit(t, ratelimit.PerSecond(50), grpclimit.Config{
		Cost:    func(context.Context, string, any) int { return 51 },
		Observe: func(context.Context, middleware.Event) { attempts++ },
	})
	_, trailer, err := call(as(t, "alice"), dial(t, echo, limit, grpc.WithDefaultServiceConfig(retries)), get)
	if status.Code(err) != codes.ResourceExhausted || attempts != 1 {
		t.Errorf("%v after %d attempts, want a denial after 1", err, attempts)
	}
	if got := trailer["grpc-retry-pushback-ms"]; len(got) != 1 || got[0] != "-1" {
		t.Errorf("the pushback is %q, want -1", got)
	}
	if a := answerOf(nil, nil, err); a.Wait != 0 {
		t.Errorf("the RetryInfo asks for %v, want none", a.Wait)
	}
}

// TestRetryOfHandlersError: an allowed call whose handler fails is retried as without limits.
func TestRetryOfHandlersError(t *testing.T) {
	attempts := 0
	fails := service{
		unary: func(context.Context, string) (string, error) {
			if attempts++; attempts < 3 {
				return "", status.Error(codes.Unavailable, "not yet")
			}
			return "", nil
		},
		stream: func(grpc.ServerStream) error {
			if attempts++; attempts < 3 {
				return status.Error(codes.Unavailable, "not yet")
			}
			return nil
		},
	}
	quick := `{"methodConfig": [{"name": [{}], "retryPolicy": {"maxAttempts": 5, "initialBackoff": "0.001s", "maxBackoff": "0.001s",
		"backoffMultiplier": 1, "retryableStatusCodes": ["UNAVAILABLE"]}}]}`
	conn := dial(t, fails, newLimit(t, ratelimit.PerHour(50), grpclimit.Config{}), grpc.WithDefaultServiceConfig(quick))
	for _, method := range []string{get, chat} {
		attempts = 0
		header, _, err := stream(as(t, "alice"), conn, method)
		if err != nil || attempts != 3 {
			t.Errorf("%s: %v after %d attempts, want success after 3", method, err, attempts)
		}
		if len(header["ratelimit"]) != 1 {
			t.Errorf("%s: the header is %v", method, header)
		}
	}
	fails.unary = func(context.Context, string) (string, error) { return "", errors.New("broken") }
	header, trailer, err := call(as(t, "bob"), dial(t, fails, newLimit(t, ratelimit.PerHour(50), grpclimit.Config{})), get)
	if status.Code(err) != codes.Unknown || len(header["ratelimit"]) != 0 || len(trailer["ratelimit"]) != 1 {
		t.Errorf("%v, %v, %v; want the fields in the trailer", err, header, trailer)
	}
}
