package grpclimit_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/grpclimit"
	"github.com/keyrate/keyrate/middleware/transport"
	"github.com/keyrate/keyrate/ratelimit"
)

// paced returns the options of a connection with a Client.
func paced(t testing.TB, c grpclimit.ClientConfig) []grpc.DialOption {
	t.Helper()
	client, err := grpclimit.NewClient(c)
	if err != nil {
		t.Fatal(err)
	}
	return []grpc.DialOption{grpc.WithChainUnaryInterceptor(client.Unary), grpc.WithChainStreamInterceptor(client.Stream)}
}

// TestClient: ten goroutines make 50 calls at the rate of the limit, and nearly none is denied.
func TestClient(t *testing.T) {
	for _, method := range []string{get, chat} {
		synctest.Test(t, func(t *testing.T) {
			var denials atomic.Int64
			limit := newLimit(t, ratelimit.PerSecond(5), grpclimit.Config{Observe: func(_ context.Context, e middleware.Event) {
				if !e.Served {
					denials.Add(1)
				}
			}})
			conn := dial(t, echo, limit, paced(t, grpclimit.ClientConfig{})...)
			start := time.Now()
			var workers sync.WaitGroup
			for range 10 {
				workers.Go(func() {
					for range 5 {
						if _, _, err := stream(as(t, "alice"), conn, method); err != nil {
							t.Error(err)
						}
					}
				})
			}
			workers.Wait()
			if took := time.Since(start); took < 8900*time.Millisecond || took > 11*time.Second || denials.Load() > 2 {
				t.Errorf("%s: 50 calls at 5/s took %v, want about 9s, and %d were denied", method, took, denials.Load())
			}
		})
	}
}

// TestClientWaits: a call is made again after the wait that the denial asks for, and a call that
// is never admitted, or fails otherwise, is not.
func TestClientWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts := 0
		limit := newLimit(t, ratelimit.PerMinute(2), grpclimit.Config{
			Observe: func(context.Context, middleware.Event) { attempts++ },
			Cost: func(_ context.Context, method string, _ any) int {
				if method == export {
					return 3 // never admitted
				}
				return 2
			},
		})
		plain := dial(t, echo, limit)
		conn := dial(t, echo, limit, paced(t, grpclimit.ClientConfig{})...)
		if _, _, err := call(as(t, "alice"), plain, get); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if _, _, err := call(as(t, "alice"), conn, get); err != nil || attempts != 3 {
			t.Errorf("%v after %d attempts, want success after 3", err, attempts)
		}
		if took := time.Since(start); took < time.Minute || took > 62*time.Second {
			t.Errorf("it took %v, want 1m", took)
		}
		attempts = 0
		if _, _, err := call(as(t, "bob"), conn, export); status.Code(err) != codes.ResourceExhausted || attempts != 1 {
			t.Errorf("%v after %d attempts, want a denial after 1", err, attempts)
		}
		ctx, cancel := context.WithTimeout(as(t, "alice"), time.Second)
		defer cancel()
		_, _, err := call(ctx, conn, get)
		if wait, ok := errors.AsType[*transport.WaitError](err); !ok || status.Code(err) != codes.DeadlineExceeded || !wait.Deadline {
			t.Errorf("%v, want a WaitError", err)
		}
	})
}

// TestClientAbandonsStream: a stream whose context ends before its response delays no other call. The
// first call goes alone, and others would wait a second for its response.
func TestClientAbandonsStream(t *testing.T) {
	client, err := grpclimit.NewClient(grpclimit.ClientConfig{MaxWait: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	conn := dial(t, echo, newLimit(t, ratelimit.PerHour(10), grpclimit.Config{}),
		grpc.WithChainUnaryInterceptor(client.Unary), grpc.WithChainStreamInterceptor(client.Stream))
	ctx, cancel := context.WithCancel(as(t, "alice"))
	if _, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, chat); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, _, err := call(as(t, "alice"), conn, get); err != nil {
		t.Error(err)
	}
}

// TestClientFaults: errors that are no denials are returned as they are, at once.
func TestClientFaults(t *testing.T) {
	attempts := 0
	fails := service{unary: func(context.Context, string) (string, error) {
		attempts++
		return "", status.Error(codes.ResourceExhausted, "the message is too large")
	}}
	limit := newLimit(t, ratelimit.PerHour(50), grpclimit.Config{})
	conn := dial(t, fails, limit, paced(t, grpclimit.ClientConfig{})...)
	if _, _, err := call(as(t, "alice"), conn, get); status.Code(err) != codes.ResourceExhausted || attempts != 1 {
		t.Errorf("%v after %d attempts", err, attempts)
	}
	if _, err := grpclimit.NewClient(grpclimit.ClientConfig{MaxWait: -1}); err == nil {
		t.Error("a negative MaxWait is accepted")
	}
	client, err := grpclimit.NewClient(grpclimit.ClientConfig{Key: func(context.Context) string { panic("broken") }})
	if err != nil {
		t.Fatal(err)
	}
	invoked := 0
	for _, key := range []string{"alice", "bob"} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "x-api-key", key)
		err := client.Unary(ctx, get, nil, nil, nil, func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error {
			invoked++
			return nil
		})
		if err != nil || invoked == 0 {
			t.Error(err)
		}
	}
	if text := fmt.Sprintf("%v %+v", client, client); strings.Contains(text, "seed") || strings.Contains(text, "alice") {
		t.Error(text)
	}
}
