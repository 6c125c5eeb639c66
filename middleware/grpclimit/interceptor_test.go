package grpclimit_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/grpclimit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
	"github.com/keyrate/keyrate/store/storetest"
)

// TestStatus: what an allowed and a denied call report.
func TestStatus(t *testing.T) {
	conn := dial(t, echo, newLimit(t, ratelimit.PerHour(1), grpclimit.Config{}))
	header, _, err := call(as(t, "alice"), conn, get)
	if err != nil || header["x-rate-limit-limit"][0] != "1" || header["ratelimit"][0] != `"default";r=0;t=3600` || header["ratelimit-policy"][0] != `"default";q=1;w=3600` {
		t.Fatalf("%v, %v", header, err)
	}
	header, trailer, err := call(as(t, "alice"), conn, get)
	s := status.Convert(err)
	if s.Code() != codes.ResourceExhausted || !strings.HasPrefix(s.Message(), "Rate limit of 1 request per 1h exceeded; retry after ") {
		t.Fatal(err)
	}
	if len(header) != 0 && header["ratelimit"] != nil || trailer["retry-after-ms"] == nil || trailer["retry-after-ms"][0] != trailer["grpc-retry-pushback-ms"][0] {
		t.Errorf("header %v, trailer %v", header, trailer)
	}
	wait := answerOf(nil, nil, err).Wait
	if ms := fmt.Sprint(wait.Milliseconds()); ms != trailer["retry-after-ms"][0] || wait < 59*time.Minute {
		t.Errorf("RetryInfo asks for %v, the trailer for %v ms", wait, trailer["retry-after-ms"])
	}
	for _, detail := range s.Details() {
		if quota, ok := detail.(*errdetails.QuotaFailure); ok {
			if len(quota.Violations) != 1 || quota.Violations[0].Subject != "default" || quota.Violations[0].Description != "1/h" {
				t.Errorf("%v", quota)
			}
			return
		}
	}
	t.Error("there is no QuotaFailure")
}

// TestNoKeyInDenials: no status, detail, trailer or log has the key.
func TestNoKeyInDenials(t *testing.T) {
	const key = "canary-1f0e"
	var log bytes.Buffer
	var down atomic.Bool
	limiter, err := ratelimit.New(storetest.Faulty{Store: memstore.New(memstore.Config{}), When: down.Load, Err: errors.New(key)}, ratelimit.PerHour(1), ratelimit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	limit, err := grpclimit.New(limiter, grpclimit.Config{
		Key: grpclimit.Metadata("x-api-key"), FailClosed: true, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		Cost: func(context.Context, string, any) int { panic(key) },
	})
	if err != nil {
		t.Fatal(err)
	}
	conn := dial(t, echo, limit)
	var seen strings.Builder
	see := func(ctx context.Context, want codes.Code) {
		header, trailer, err := call(ctx, conn, get)
		if status.Code(err) != want {
			t.Errorf("%v, want %v", err, want)
		}
		fmt.Fprint(&seen, header, trailer, status.Convert(err).Proto(), err)
	}
	see(as(t, key), codes.OK)
	see(as(t, key), codes.ResourceExhausted)
	see(as(t, key, key), codes.InvalidArgument)
	down.Store(true)
	see(as(t, key), codes.Unavailable)
	for _, text := range []string{seen.String(), log.String()} {
		if strings.Contains(text, key) || strings.Contains(text, base64.StdEncoding.EncodeToString([]byte(key))) {
			t.Errorf("the key is in %s", text)
		}
	}
	if log.Len() == 0 {
		t.Error("no fault was logged")
	}
}

// TestNextTwice: an interceptor in front that calls the next one twice is charged twice, and a
// denied call reaches no handler.
func TestNextTwice(t *testing.T) {
	ran := 0
	limit := newLimit(t, ratelimit.PerHour(3), grpclimit.Config{})
	twice := func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		_, _ = handler(ctx, request)
		return handler(ctx, request)
	}
	server := grpc.NewServer(grpc.ChainUnaryInterceptor(twice, limit.Unary))
	service{unary: func(context.Context, string) (string, error) { ran++; return "", nil }}.register(server)
	conn := connect(t, server)
	for range 3 {
		_, _, _ = call(as(t, "alice"), conn, get)
	}
	if ran != 3 {
		t.Errorf("the handler ran %d times, want 3", ran)
	}
}

// TestChargedTwice: the same interceptor twice in a chain is reported, once.
func TestChargedTwice(t *testing.T) {
	var faults []string
	limit := newLimit(t, ratelimit.PerHour(30), grpclimit.Config{
		OnFault: func(_ context.Context, class string) { faults = append(faults, class) },
		Logger:  slog.New(slog.DiscardHandler),
	})
	server := grpc.NewServer(grpc.ChainUnaryInterceptor(limit.Unary, limit.Unary))
	echo.register(server)
	conn := connect(t, server)
	for range 3 {
		_, _, _ = call(as(t, "alice"), conn, get)
	}
	if len(faults) != 1 || faults[0] != middleware.FaultChargedTwice {
		t.Errorf("the faults are %q", faults)
	}
}

// TestHeaderOfHandler: a handler that sends the header itself does not lose the fields of its call:
// they are in the trailer, once.
func TestHeaderOfHandler(t *testing.T) {
	send := func(ctx context.Context) error { return grpc.SendHeader(ctx, metadata.Pairs("own", "1")) }
	conn := dial(t, service{
		unary: func(ctx context.Context, request string) (string, error) { return request, send(ctx) },
		stream: func(s grpc.ServerStream) error {
			return errors.Join(send(s.Context()), s.SendMsg(wrapperspb.String("x")))
		},
	}, newLimit(t, ratelimit.PerHour(3), grpclimit.Config{}))
	header, trailer, err := call(as(t, "alice"), conn, get)
	if err != nil || len(header["own"]) != 1 || len(trailer["ratelimit"]) != 1 {
		t.Errorf("unary: the header is %v, the trailer %v, %v", header, trailer, err)
	}
	s, err := conn.NewStream(as(t, "alice"), &grpc.StreamDesc{ServerStreams: true}, chat)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		err = s.RecvMsg(new(wrapperspb.StringValue))
	}
	header, _ = s.Header()
	if !errors.Is(err, io.EOF) || len(header["own"]) != 1 || len(s.Trailer()["ratelimit"]) != 1 {
		t.Errorf("stream: the header is %v, the trailer %v, %v", header, s.Trailer(), err)
	}
}

// TestMessages: each message of a stream is charged, and the first that is denied ends it,
// whatever its handler returns.
func TestMessages(t *testing.T) {
	got := 0
	limit := newLimit(t, ratelimit.PerHour(6), grpclimit.Config{
		MessageCost: func(_ context.Context, method string, message any) int {
			return len(text(message))
		},
	})
	conn := dial(t, echo, limit)
	s, err := conn.NewStream(as(t, "alice"), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, chat)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"aa", "", "bbb", "c", "d"} { // 1 + 2 + 0 + 3 = 6
		_ = s.SendMsg(wrapperspb.String(text))
	}
	for {
		if err = s.RecvMsg(new(wrapperspb.StringValue)); err != nil {
			break
		}
		got++
	}
	if got != 3 || status.Code(err) != codes.ResourceExhausted || answerOf(nil, nil, err).Wait < 9*time.Minute {
		t.Errorf("%d messages, then %v; want 3 and a denial", got, err)
	}
	if pushback := s.Trailer()["grpc-retry-pushback-ms"]; len(pushback) != 1 {
		t.Errorf("the trailer is %v", s.Trailer())
	}
}

// TestCancelledCallIsCharged: a client that cancels pays, and its place is free again.
func TestCancelledCallIsCharged(t *testing.T) {
	policy, err := ratelimit.NewPolicy(ratelimit.PerHour(5), ratelimit.AtOnce(1))
	if err != nil {
		t.Fatal(err)
	}
	entered, left := make(chan struct{}), make(chan struct{})
	waits := service{unary: func(ctx context.Context, _ string) (string, error) {
		close(entered)
		<-ctx.Done()
		close(left)
		return "", ctx.Err()
	}}
	limiter := newLimiter(t, policy)
	limit, err := grpclimit.New(limiter, grpclimit.Config{Key: grpclimit.Metadata("x-api-key")})
	if err != nil {
		t.Fatal(err)
	}
	conn := dial(t, waits, limit)
	ctx, cancel := context.WithCancel(as(t, "alice"))
	go func() { <-entered; cancel() }()
	if _, _, err := call(ctx, conn, get); status.Code(err) != codes.Canceled {
		t.Fatal(err)
	}
	<-left
	for range 1000 {
		r, err := limiter.Peek(t.Context(), "alice")
		if err != nil {
			t.Fatal(err)
		}
		if r.Allowed && r.State(1).Remaining == 4 {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Error("the call is not charged, or keeps its place")
}

// TestExempt: health checks are, unless a route has their method.
func TestExempt(t *testing.T) {
	for _, limited := range []bool{false, true} {
		var routes []middleware.Route
		if limited {
			routes = append(routes, middleware.Route{Pattern: healthgrpc.Health_Check_FullMethodName, Limits: []ratelimit.Limit{ratelimit.PerHour(5)}})
		}
		limit, err := grpclimit.New(newLimiter(t, ratelimit.PerHour(1)), grpclimit.Config{}, routes...)
		if err != nil {
			t.Fatal(err)
		}
		server := grpc.NewServer(grpc.UnaryInterceptor(limit.Unary))
		healthgrpc.RegisterHealthServer(server, health.NewServer())
		client := healthgrpc.NewHealthClient(connect(t, server))
		_, _ = client.Check(t.Context(), &healthgrpc.HealthCheckRequest{})
		_, err = client.Check(t.Context(), &healthgrpc.HealthCheckRequest{})
		if denied := status.Code(err) == codes.ResourceExhausted; denied != limited {
			t.Errorf("with a route: %v; the second check returns %v", limited, err)
		}
	}
}

type identity struct{}

// TestKeyFunc: the verified identity counts, and a fault is one without a key.
func TestKeyFunc(t *testing.T) {
	var faults atomic.Int64
	limit, err := grpclimit.New(newLimiter(t, ratelimit.PerHour(1)), grpclimit.Config{
		Key: grpclimit.KeyFunc(func(ctx context.Context) (string, error) {
			name, ok := ctx.Value(identity{}).(string)
			if !ok {
				return "", errors.New("no identity")
			}
			return name, nil
		}),
		RequireKey: true, ResultInContext: true,
		OnFault: func(context.Context, string) { faults.Add(1) },
		Logger:  slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	run := func(ctx context.Context) (key string, err error) {
		_, err = limit.Unary(ctx, nil, &grpc.UnaryServerInfo{FullMethod: get}, func(ctx context.Context, _ any) (any, error) {
			key, _ = middleware.KeyFrom(ctx)
			return nil, nil
		})
		return key, err
	}
	if key, err := run(context.WithValue(t.Context(), identity{}, "alice")); err != nil || key != "alice" {
		t.Errorf("%q, %v", key, err)
	}
	if _, err := run(context.WithValue(t.Context(), identity{}, "alice")); status.Code(err) != codes.ResourceExhausted {
		t.Error(err)
	}
	if _, err := run(t.Context()); status.Code(err) != codes.Unauthenticated || faults.Load() != 1 {
		t.Errorf("%v, %d faults", err, faults.Load())
	}
}

// TestKeysOfMetadata: Bearer takes exactly one form, and First the first key there is.
func TestKeysOfMetadata(t *testing.T) {
	for _, test := range []struct {
		key  grpclimit.Key
		md   metadata.MD
		want string
		code codes.Code
	}{
		{grpclimit.Bearer(), metadata.Pairs("authorization", "bearer  abc"), "abc", codes.OK},
		{grpclimit.Bearer(), metadata.Pairs("authorization", "Basic abc"), "", codes.Unauthenticated},
		{grpclimit.Bearer(), metadata.Pairs("authorization", "Bearer a", "authorization", "Bearer a"), "", codes.InvalidArgument},
		{grpclimit.First(grpclimit.Metadata("x-api-key"), grpclimit.Bearer()), metadata.Pairs("authorization", "Bearer abc"), "abc", codes.OK},
		{grpclimit.First(grpclimit.Metadata("x-api-key"), grpclimit.Bearer()), metadata.Pairs("authorization", "Bearer abc", "x-api-key", "k"), "k", codes.OK},
		{grpclimit.First(grpclimit.Metadata("x-api-key"), grpclimit.Bearer()), metadata.Pairs("x-api-key", "k", "x-api-key", "l"), "", codes.InvalidArgument},
		{grpclimit.First(grpclimit.Bearer(), grpclimit.Key{}), nil, " ip unknown", codes.OK},
	} {
		limit, err := grpclimit.New(newLimiter(t, ratelimit.PerHour(10)), grpclimit.Config{Key: test.key, RequireKey: true, ResultInContext: true})
		if err != nil {
			t.Fatal(err)
		}
		key := ""
		_, err = limit.Unary(metadata.NewIncomingContext(t.Context(), test.md), nil, &grpc.UnaryServerInfo{FullMethod: get}, func(ctx context.Context, _ any) (any, error) {
			key, _ = middleware.KeyFrom(ctx)
			return nil, nil
		})
		if key != test.want || status.Code(err) != test.code {
			t.Errorf("%v: %q, %v; want %q, %v", test.md, key, err, test.want, test.code)
		}
	}
	for want, key := range map[string]grpclimit.Key{
		`First(Metadata("x-api-key"), Bearer())`: grpclimit.First(), `Metadata("a b")`: grpclimit.First(grpclimit.Bearer(), grpclimit.Metadata("a b")),
	} {
		if _, err := grpclimit.New(newLimiter(t, ratelimit.PerHour(1)), grpclimit.Config{Key: key}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %s", err, want)
		}
	}
}

type address string

func (a address) Network() string { return "tcp" }
func (a address) String() string  { return string(a) }

// TestAddress: the peer's address counts, or what a trusted proxy reports.
func TestAddress(t *testing.T) {
	limit, err := grpclimit.New(newLimiter(t, ratelimit.PerHour(1)), grpclimit.Config{
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, ResultInContext: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	for peerAddress, want := range map[string]string{"192.0.2.1:5": "192.0.2.1", "10.1.2.3:5": "198.51.100.7"} {
		ctx := peer.NewContext(t.Context(), &peer.Peer{Addr: address(peerAddress)})
		ctx = metadata.NewIncomingContext(ctx, metadata.Pairs("x-forwarded-for", "198.51.100.7"))
		_, err := limit.Unary(ctx, nil, &grpc.UnaryServerInfo{FullMethod: get}, func(ctx context.Context, _ any) (any, error) {
			if key, _ := middleware.KeyFrom(ctx); key != middleware.AddressKey(netip.MustParseAddr(want)) {
				t.Errorf("%s: the key is %q, want that of %s", peerAddress, key, want)
			}
			return nil, nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// TestFaults: New reports all faults at once.
func TestFaults(t *testing.T) {
	cost := func(context.Context, string, any) int { return 1 }
	_, err := grpclimit.New(newLimiter(t, ratelimit.AtOnce(3)), grpclimit.Config{
		Key: grpclimit.Metadata("grpc-x"), Cost: cost, Reserve: cost, MessageCost: cost, Jitter: -1, TrustedProxies: []netip.Prefix{{}},
	}, middleware.Route{Pattern: "GET /export"}, middleware.Route{Pattern: get, Cost: 1}, middleware.Route{Pattern: get, Cost: 1})
	for _, want := range []string{`Metadata("grpc-x")`, "Config.Reserve", "Config.MessageCost", "Config.Jitter", "TrustedProxies[0]", "full method", "Route.Limits", "must differ"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not reported in %v", want, err)
		}
	}
	if _, err := grpclimit.New(nil, grpclimit.Config{Key: grpclimit.KeyFunc(nil)}); err == nil || !strings.Contains(err.Error(), "limiter is nil") || !strings.Contains(err.Error(), "KeyFunc") {
		t.Error(err)
	}
}
