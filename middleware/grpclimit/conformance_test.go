package grpclimit_test

import (
	"context"
	"log/slog"
	"net/http"
	"regexp"
	"strconv"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/keyrate/keyrate/middleware/doorstest"
	"github.com/keyrate/keyrate/middleware/grpclimit"
)

var deciding = regexp.MustCompile(`^"([^"]*)";r=(\d+)`)

// statusOf translates codes.
var statusOf = map[codes.Code]int{
	codes.OK:                http.StatusOK,
	codes.InvalidArgument:   http.StatusBadRequest,
	codes.Unauthenticated:   http.StatusUnauthorized,
	codes.PermissionDenied:  http.StatusForbidden,
	codes.ResourceExhausted: http.StatusTooManyRequests,
	codes.Unavailable:       http.StatusServiceUnavailable,
}

// answerOf translates a response.
func answerOf(header, trailer metadata.MD, err error) doorstest.Answer {
	s := status.Convert(err)
	a := doorstest.Answer{Status: statusOf[s.Code()]}
	for _, value := range append(header["ratelimit"], trailer["ratelimit"]...) {
		if item := deciding.FindStringSubmatch(value); item != nil {
			a.Limit = item[1]
			a.Remaining, _ = strconv.Atoi(item[2])
		}
	}
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			a.Wait = info.RetryDelay.AsDuration()
		}
	}
	return a
}

// open returns the Open of a door whose calls are made by send.
func open(send func(ctx context.Context, conn *grpc.ClientConn, method string) doorstest.Answer) func(*testing.T, doorstest.Setup) func(context.Context, doorstest.Call) doorstest.Answer {
	return func(t *testing.T, s doorstest.Setup) func(context.Context, doorstest.Call) doorstest.Answer {
		c := grpclimit.Config{
			Key: grpclimit.Metadata(doorstest.KeyHeader), RequireKey: s.RequireKey, BlockedAsExhausted: s.BlockedAs429, FailClosed: s.FailClosed,
			Logger: slog.New(slog.DiscardHandler),
		}
		if s.Reserve > 0 {
			c.Reserve = func(context.Context, string, any) int { return s.Reserve }
		}
		limit, err := grpclimit.New(s.Limiter, c, s.Routes...)
		if err != nil {
			t.Fatal(err)
		}
		action := func(ctx context.Context) {
			s.Handle(ctx, metadata.ValueFromIncomingContext(ctx, doorstest.ActionHeader)[0])
		}
		conn := dial(t, service{
			unary:  func(ctx context.Context, request string) (string, error) { action(ctx); return request, nil },
			stream: func(stream grpc.ServerStream) error { action(stream.Context()); return nil },
		}, limit)
		return func(ctx context.Context, c doorstest.Call) doorstest.Answer {
			md := metadata.Pairs(doorstest.ActionHeader, c.Action)
			md.Append(doorstest.KeyHeader, c.Keys...)
			ctx = metadata.NewOutgoingContext(ctx, md)
			method := get
			if c.Path != "/" {
				method = export
			}
			return send(ctx, conn, method)
		}
	}
}

// TestConformance: unary calls behave as requests do in package middleware.
func TestConformance(t *testing.T) {
	doorstest.Run(t, doorstest.Door{Pattern: export, Brief: true, Open: open(func(ctx context.Context, conn *grpc.ClientConn, method string) doorstest.Answer {
		return answerOf(call(ctx, conn, method))
	})})
}

// TestConformanceOfStreams: so do streams.
func TestConformanceOfStreams(t *testing.T) {
	doorstest.Run(t, doorstest.Door{Pattern: export, Brief: true, Open: open(func(ctx context.Context, conn *grpc.ClientConn, method string) doorstest.Answer {
		if method == get {
			method = chat
		}
		return answerOf(stream(ctx, conn, method))
	})})
}

// stream opens a stream, sends nothing, and waits for its end. A unary method is called.
func stream(ctx context.Context, conn *grpc.ClientConn, method string) (header, trailer metadata.MD, err error) {
	if method != chat {
		return call(ctx, conn, method)
	}
	s, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
	if err != nil {
		return nil, nil, err
	}
	_ = s.CloseSend()
	header, _ = s.Header()
	if err = s.RecvMsg(new(wrapperspb.StringValue)); err != nil && err.Error() == "EOF" {
		err = nil
	}
	return header, s.Trailer(), err
}
