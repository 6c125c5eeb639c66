package connectlimit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/connectlimit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
	"github.com/keyrate/keyrate/store/storetest"
)

func keys(keys ...string) http.Header { return http.Header{"X-Api-Key": keys} }

// TestWire: what a denied call is in HTTP, in the Connect protocol.
func TestWire(t *testing.T) {
	server := httptest.NewServer(echo.handler(newLimit(t, ratelimit.PerHour(1), connectlimit.Config{})))
	t.Cleanup(server.Close)
	for i := range 2 {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+get, strings.NewReader(`"hello"`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"Content-Type": {"application/json"}, "X-Api-Key": {"alice"}}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		h := response.Header
		switch {
		case h.Get("RateLimit-Policy") != `"default";q=1;w=3600` || len(h["X-Rate-Limit-Remaining"]) != 1 || h.Get("Content-Type") != "application/json":
			t.Errorf("%d: %v", response.StatusCode, h)
		case i == 0 && (response.StatusCode != http.StatusOK || h.Get("Retry-After") != ""):
			t.Errorf("%d: %v", response.StatusCode, h)
		case i == 1 && (response.StatusCode != http.StatusTooManyRequests || h.Get("Retry-After") != "3600" || !bytes.Contains(body, []byte(`"code":"resource_exhausted"`))):
			t.Errorf("%d: %v %s", response.StatusCode, h, body)
		}
	}
}

// TestPushback: clients that speak gRPC get it, and the name of the limit.
func TestPushback(t *testing.T) {
	for name, protocol := range protocols {
		handler := echo.handler(newLimit(t, ratelimit.PerHour(1), connectlimit.Config{}))
		for _, procedure := range []string{get, get, chat} {
			r := call(t.Context(), handler, protocol, procedure, keys("alice"))
			if r.err == nil {
				continue
			}
			pushback, ms := r.header.Get("grpc-retry-pushback-ms"), r.header.Get("Retry-After-Ms")
			if name == "Connect" && pushback != "" || name != "Connect" && pushback != ms || ms == "" {
				t.Errorf("%s: the pushback is %q, Retry-After-Ms %q", name, pushback, ms)
			}
			if e, ok := errors.AsType[*connect.Error](r.err); !ok || !hasQuota(e) {
				t.Errorf("%s: %v has no QuotaFailure of the limit", name, r.err)
			}
		}
	}
}

func hasQuota(e *connect.Error) bool {
	for _, detail := range e.Details() {
		if m, err := detail.Value(); err == nil {
			if quota, ok := m.(*errdetails.QuotaFailure); ok {
				return len(quota.Violations) == 1 && quota.Violations[0].Subject == "default" && quota.Violations[0].Description == "1/h"
			}
		}
	}
	return false
}

// TestMessages: each message of a stream is charged, and the first that is denied ends it,
// whatever its handler returns.
func TestMessages(t *testing.T) {
	for name, protocol := range protocols {
		handler := echo.handler(newLimit(t, ratelimit.PerHour(6), connectlimit.Config{
			MessageCost: func(_ context.Context, _ string, m any) int {
				text, _ := m.(*message)
				return len(text.GetValue())
			},
		}))
		client := connect.NewClient[message, message](inProcess{handler}, "http://test"+chat, protocol)
		stream := client.CallBidiStream(t.Context())
		copyTo(stream.RequestHeader(), keys("alice"))
		go func() {
			for _, text := range []string{"aa", "", "bbb", "c", "d"} { // 1 + 2 + 0 + 3 = 6
				_ = stream.Send(wrapperspb.String(text))
			}
			_ = stream.CloseRequest()
		}()
		got := 0
		var err error
		for {
			if _, err = stream.Receive(); err != nil {
				break
			}
			got++
		}
		if r := replyOf(err); got != 3 || connect.CodeOf(err) != connect.CodeResourceExhausted || answerOf(r).Wait < 9*time.Minute {
			t.Errorf("%s: %d messages, then %v; want 3 and a denial", name, got, err)
		}
		_ = stream.CloseResponse()
	}
}

// TestNoKeyInDenials: no error, detail, header or log has the key.
func TestNoKeyInDenials(t *testing.T) {
	const key = "canary-1f0e"
	var log bytes.Buffer
	var down atomic.Bool
	limiter, err := ratelimit.New(storetest.Faulty{Store: memstore.New(memstore.Config{}), When: down.Load, Err: errors.New(key)}, ratelimit.PerHour(1), ratelimit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	limit, err := connectlimit.New(limiter, connectlimit.Config{
		Key: connectlimit.Header("X-API-Key"), FailClosed: true, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		Cost: func(context.Context, string, any) int { panic(key) },
	})
	if err != nil {
		t.Fatal(err)
	}
	handler := echo.handler(limit)
	var seen strings.Builder
	see := func(want connect.Code, header http.Header) {
		r := call(t.Context(), handler, protocols["Connect"], get, header)
		if r.err != nil && connect.CodeOf(r.err) != want {
			t.Errorf("%v, want %v", r.err, want)
		}
		fmt.Fprintf(&seen, "%v %+v", r.header, r.err)
	}
	see(0, keys(key))
	see(connect.CodeResourceExhausted, keys(key))
	see(connect.CodeInvalidArgument, keys(key, key))
	down.Store(true)
	see(connect.CodeUnavailable, keys(key))
	if text := seen.String() + log.String(); strings.Contains(text, key) || log.Len() == 0 {
		t.Errorf("the key is in %s", text)
	}
}

// TestClient: an Interceptor of a client limits nothing.
func TestClient(t *testing.T) {
	limit := newLimit(t, ratelimit.PerHour(1), connectlimit.Config{})
	handler := echo.handler(newLimit(t, ratelimit.PerHour(10), connectlimit.Config{}))
	for range 3 {
		if r := call(t.Context(), handler, connect.WithInterceptors(limit), get, keys("alice")); r.err != nil {
			t.Error(r.err)
		}
	}
	if r := call(t.Context(), handler, connect.WithInterceptors(limit), chat, keys("alice")); r.err != nil {
		t.Error(r.err)
	}
}

// TestKeys: an identity in the context, and the address that a trusted proxy reports.
func TestKeys(t *testing.T) {
	seen := ""
	handler := func(c connectlimit.Config) http.Handler {
		c.ResultInContext = true
		limit, err := connectlimit.New(newLimiter(t, ratelimit.PerHour(10)), c)
		if err != nil {
			t.Fatal(err)
		}
		return service{unary: func(ctx context.Context, request *connect.Request[message]) (*connect.Response[message], error) {
			seen, _ = middleware.KeyFrom(ctx)
			return connect.NewResponse(request.Msg), nil
		}}.handler(limit)
	}
	_ = call(t.Context(), handler(connectlimit.Config{Key: connectlimit.KeyFunc(func(context.Context) (string, error) { return "alice", nil })}), protocols["gRPC"], get, nil)
	if seen != "alice" {
		t.Errorf("the key is %q", seen)
	}
	first := connectlimit.Config{Key: connectlimit.First(connectlimit.Header("X-API-Key"), connectlimit.Bearer())}
	_ = call(t.Context(), handler(first), protocols["gRPC"], get, http.Header{"Authorization": {"Bearer abc"}})
	if seen != "abc" {
		t.Errorf("the key is %q", seen)
	}
	_ = call(t.Context(), handler(connectlimit.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}), protocols["gRPC"], get, http.Header{"X-Forwarded-For": {"198.51.100.7"}})
	if want := middleware.AddressKey(netip.MustParseAddr("198.51.100.7")); seen != want {
		t.Errorf("the key is %q, want %q", seen, want)
	}
}

// TestFaults: New reports all faults at once.
func TestFaults(t *testing.T) {
	_, err := connectlimit.New(nil, connectlimit.Config{Key: connectlimit.Header("a b"), Jitter: -1}, middleware.Route{Pattern: "Get"})
	for _, want := range []string{`Header("a b")`, "connectlimit: Config.Jitter", "limiter is nil", "full method"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not reported in %v", want, err)
		}
	}
}
