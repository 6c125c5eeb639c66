package connectv2limit_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"strconv"
	"testing"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"github.com/keyrate/keyrate/middleware/connectv2limit"
	"github.com/keyrate/keyrate/middleware/doorstest"
)

var deciding = regexp.MustCompile(`^"([^"]*)";r=(\d+)`)

// statusOf translates codes.
var statusOf = map[connect.Code]int{
	connect.CodeInvalidArgument:   http.StatusBadRequest,
	connect.CodeUnauthenticated:   http.StatusUnauthorized,
	connect.CodePermissionDenied:  http.StatusForbidden,
	connect.CodeResourceExhausted: http.StatusTooManyRequests,
	connect.CodeUnavailable:       http.StatusServiceUnavailable,
}

// answerOf translates a reply.
func answerOf(r reply) doorstest.Answer {
	a := doorstest.Answer{Status: http.StatusOK}
	if r.err != nil {
		a.Status = statusOf[connect.CodeOf(r.err)]
	}
	if item := deciding.FindStringSubmatch(r.header.Get("RateLimit")); item != nil {
		a.Limit = item[1]
		a.Remaining, _ = strconv.Atoi(item[2])
	}
	if e, ok := errors.AsType[*connect.Error](r.err); ok {
		for _, detail := range e.Details() {
			if m, err := connectproto.UnmarshalErrorDetail(detail); err == nil {
				if info, ok := m.(*errdetails.RetryInfo); ok {
					a.Wait = info.RetryDelay.AsDuration()
				}
			}
		}
	}
	return a
}

// TestConformance: calls in all protocols behave as requests do in package middleware, and so do
// streams.
func TestConformance(t *testing.T) {
	for name, protocol := range protocols {
		t.Run(name, func(t *testing.T) {
			t.Run("Unary", func(t *testing.T) { doorstest.Run(t, door(protocol, get)) })
			t.Run("Stream", func(t *testing.T) { doorstest.Run(t, door(protocol, chat)) })
		})
	}
}

// door returns a door whose "/" is that procedure.
func door(protocol []connecthttp.Option, root string) doorstest.Door {
	return doorstest.Door{Pattern: export, Brief: true, Open: func(t *testing.T, s doorstest.Setup) func(context.Context, doorstest.Call) doorstest.Answer {
		c := connectv2limit.Config{
			Key: connectv2limit.Header(doorstest.KeyHeader), RequireKey: s.RequireKey, BlockedAsExhausted: s.BlockedAs429, FailClosed: s.FailClosed,
			Logger: slog.New(slog.DiscardHandler),
		}
		if s.Reserve > 0 {
			c.Reserve = func(context.Context, string) int { return s.Reserve }
		}
		limit, err := connectv2limit.New(s.Limiter, c, s.Routes...)
		if err != nil {
			t.Fatal(err)
		}
		handler := service{
			unary: func(ctx context.Context, request *message) (*message, error) {
				s.Handle(ctx, actionOf(ctx))
				return request, nil
			},
			stream: func(ctx context.Context, _ connect.ServerStream) error {
				s.Handle(ctx, actionOf(ctx))
				return nil
			},
		}.handler(limit)
		return func(ctx context.Context, c doorstest.Call) doorstest.Answer {
			procedure := root
			if c.Path != "/" {
				procedure = export
			}
			r, _ := call(ctx, handler, protocol, procedure, http.Header{doorstest.ActionHeader: {c.Action}, doorstest.KeyHeader: c.Keys})
			return answerOf(r)
		}
	}}
}

func actionOf(ctx context.Context) string {
	info, _ := connect.CallInfoForServerContext(ctx)
	return info.RequestHeader().Get(doorstest.ActionHeader)
}
