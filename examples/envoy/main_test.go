package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	ratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

// TestDemo: the demo shows what it says.
func TestDemo(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"-demo"}, &out, &errs); code != 0 || errs.Len() > 0 {
		t.Fatalf("status %d\n%s\n%s", code, &errs, &out)
	}
	for _, want := range []string{
		"default  5 in 5 SECOND: 4 left", "OVER_LIMIT", "default  5 in 5 SECOND: 0 left", "429", "user     1000 in 1 HOUR: 996 left",
		"login    50 in 1 SECOND: 49 left", "Envoy and Go took from one bucket.",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, &out)
		}
	}
}

// TestFlags: what is wrong is named.
func TestFlags(t *testing.T) {
	for args, want := range map[string]string{
		"-demo -redis redis://localhost": "-redis", "-addr 8080": "-addr", "x": `"x"`, "-redis localhost": "-redis",
	} {
		var errs bytes.Buffer
		if code := run(t.Context(), strings.Fields(args), io.Discard, &errs); code == 0 || !strings.Contains(errs.String(), want) {
			t.Errorf("%s: status %d, %s", args, code, &errs)
		}
	}
}

// newClient serves rules on a connection, and returns Envoy's client for it.
func newClient(t *testing.T, buckets store.Store, rules []rule) ratelimitv3.RateLimitServiceClient {
	t.Helper()
	s, err := newService(buckets, rules)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background()) //nolint:usetesting // it ends in a cleanup
	served := make(chan error, 1)
	go func() { served <- serveGRPC(ctx, listener, s) }()
	connection, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = connection.Close()
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return ratelimitv3.NewRateLimitServiceClient(connection)
}

// ask returns the answer to a request.
func ask(t *testing.T, client ratelimitv3.RateLimitServiceClient, r *ratelimitv3.RateLimitRequest) *ratelimitv3.RateLimitResponse {
	t.Helper()
	response, err := client.ShouldRateLimit(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

// header returns a header that is to be added to the response.
func header(r *ratelimitv3.RateLimitResponse, name string) string {
	for _, h := range r.GetResponseHeadersToAdd() {
		if h.GetKey() == name {
			return h.GetValue()
		}
	}
	return ""
}

var slow = []rule{
	{"api", []entry{{"api_key", ""}}, ratelimit.PerHour(3)},
	{"api", []entry{{"path", "/export"}, {"api_key", ""}}, ratelimit.PerHour(1).Named("export")},
	{"api", []entry{{"remote_address", ""}}, ratelimit.Limit{Rate: 9, Period: 15 * time.Minute, Name: "address"}},
	{"api", []entry{{"plan", ""}, {"user", ""}}, ratelimit.PerDay(2).Named("user")},
	{"api", []entry{{"path", "/login"}}, ratelimit.Limit{Rate: 1, Period: 1500 * time.Millisecond, Burst: 2, Name: "login"}},
}

// TestAnswers: Envoy gets the code, the limit, what is left, the wait, headers and a body.
func TestAnswers(t *testing.T) {
	client := newClient(t, memstore.New(memstore.Config{}), slow)
	one := ask(t, client, newRequest("api", 0, "api_key=alice"))
	s := one.GetStatuses()[0]
	if one.GetOverallCode() != ratelimitv3.RateLimitResponse_OK || s.GetCode() != one.GetOverallCode() || s.GetLimitRemaining() != 2 ||
		s.GetDurationUntilReset().AsDuration() != 20*time.Minute || s.GetCurrentLimit().GetUnit() != ratelimitv3.RateLimitResponse_RateLimit_HOUR ||
		s.GetCurrentLimit().GetRequestsPerUnit() != 3 || s.GetCurrentLimit().GetName() != "default" || len(one.GetRawBody()) > 0 {
		t.Errorf("%v", one)
	}
	if got := header(one, "ratelimit"); got != `"default";r=2;t=2400` {
		t.Errorf("RateLimit is %q", got)
	}
	ask(t, client, newRequest("api", 2, "api_key=alice"))
	over := ask(t, client, newRequest("api", 1, "api_key=bob", "api_key=alice", "unknown=x", "path=/export,api_key=alice"))
	var codes []ratelimitv3.RateLimitResponse_Code
	for _, s := range over.GetStatuses() {
		codes = append(codes, s.GetCode())
	}
	if over.GetOverallCode() != ratelimitv3.RateLimitResponse_OVER_LIMIT || len(codes) != 4 || codes[0] != 1 || codes[1] != 2 || codes[2] != 1 || codes[3] != 1 {
		t.Errorf("%v", over)
	}
	wait := over.GetStatuses()[1].GetDurationUntilReset().AsDuration()
	if wait > 20*time.Minute || wait < 19*time.Minute || header(over, "retry-after") == "" || header(over, "content-type") != "application/problem+json" ||
		!strings.Contains(string(over.GetRawBody()), `"violated-policies":["default"]`) {
		t.Errorf("%v, %v", wait, over)
	}
	if s := over.GetStatuses()[2]; s.GetCurrentLimit() != nil || s.GetDurationUntilReset() != nil {
		t.Errorf("a descriptor without a rule: %v", s)
	}
	if r := ask(t, client, newRequest("other", 1, "api_key=alice")); r.GetOverallCode() != ratelimitv3.RateLimitResponse_OK || len(r.GetResponseHeadersToAdd()) > 0 {
		t.Errorf("another domain: %v", r)
	}
	never := ask(t, client, newRequest("api", 4, "api_key=carol"))
	if never.GetOverallCode() != ratelimitv3.RateLimitResponse_OVER_LIMIT || never.GetStatuses()[0].GetDurationUntilReset() != nil || header(never, "retry-after") != "" {
		t.Errorf("more than the burst: %v", never)
	}
	if r := ask(t, client, newRequest("api", 1, "path=/login")); r.GetStatuses()[0].GetCurrentLimit() != nil || r.GetStatuses()[0].GetLimitRemaining() != 1 {
		t.Errorf("a period of a second and a half: %v", r)
	}
	if l := ask(t, client, newRequest("api", 1, "remote_address=192.0.2.1")).GetStatuses()[0].GetCurrentLimit(); l.GetUnitMultiplier().GetValue() != 15 {
		t.Errorf("a period of 15 minutes: %v", l)
	}
	for _, two := range []string{"plan=a,user=b%26c", "plan=a%26b,user=c", "plan=a&b,user=c", "plan=a,user=b&c"} {
		if r := ask(t, client, newRequest("api", 2, two)); r.GetOverallCode() != ratelimitv3.RateLimitResponse_OK {
			t.Errorf("%s shares a bucket with another: %v", two, r)
		}
	}
}

// TestHits: hits_addend of a descriptor is its cost, and nothing is given back.
func TestHits(t *testing.T) {
	client := newClient(t, memstore.New(memstore.Config{}), slow)
	r := newRequest("api", 3, "remote_address=192.0.2.1", "remote_address=192.0.2.1", "remote_address=192.0.2.1", "remote_address=192.0.2.1")
	r.Descriptors[1].HitsAddend = wrapperspb.UInt64(2)
	r.Descriptors[2].HitsAddend = wrapperspb.UInt64(0)
	r.Descriptors[3].IsNegativeHits = true
	var left []uint32
	for _, s := range ask(t, client, r).GetStatuses() {
		left = append(left, s.GetLimitRemaining())
	}
	if len(left) != 4 || left[0] != 6 || left[1] != 4 || left[2] != 4 || left[3] != 4 {
		t.Errorf("left: %d", left)
	}
	r = newRequest("api", 1, "api_key=x")
	r.Descriptors[0].HitsAddend = wrapperspb.UInt64(1 << 63)
	if got := ask(t, client, r).GetOverallCode(); got != ratelimitv3.RateLimitResponse_OVER_LIMIT {
		t.Error(got)
	}
}

// TestBuckets: they are those of the middleware.
func TestBuckets(t *testing.T) {
	buckets := memstore.New(memstore.Config{})
	client := newClient(t, buckets, slow)
	ask(t, client, newRequest("api", 2, "api_key= alice", "remote_address=2001:db8::7"))
	for key, limit := range map[string]ratelimit.Limit{
		middleware.BucketKey("alice"):                             slow[0].limit,
		middleware.AddressKey(netip.MustParseAddr("2001:db8::8")): slow[2].limit,
	} {
		limiter, err := ratelimit.New(buckets, limit, ratelimit.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if r, err := limiter.Peek(t.Context(), key); err != nil || r.Remaining() != limit.Rate-2 {
			t.Errorf("%q: %d remain, %v", key, r.Remaining(), err)
		}
	}
}

// TestErrors: a bad request, and a store that fails, are errors of gRPC; what Envoy does then is its
// own setting.
func TestErrors(t *testing.T) {
	client := newClient(t, down{}, slow)
	for want, r := range map[codes.Code]*ratelimitv3.RateLimitRequest{
		codes.InvalidArgument: newRequest("", 1, "api_key=alice"),
		codes.Unavailable:     newRequest("api", 1, "api_key=alice"),
	} {
		if _, err := client.ShouldRateLimit(t.Context(), r); status.Code(err) != want {
			t.Errorf("%v, want %v", err, want)
		}
	}
	if _, err := client.ShouldRateLimit(t.Context(), newRequest("api", 1)); status.Code(err) != codes.InvalidArgument {
		t.Errorf("no descriptor: %v", err)
	}
	if _, err := newService(down{}, []rule{{limit: ratelimit.PerHour(-1)}}); err == nil {
		t.Error("a rule with a limit that is none is no error")
	}
}

// down is a store that fails.
type down struct{}

func (down) Take(context.Context, store.Request) (store.Decision, error) {
	return store.Decision{}, errors.New("down")
}
func (down) Reset(context.Context, store.Request) error { return errors.New("down") }

var _ http.ResponseWriter = (*asked)(nil)
