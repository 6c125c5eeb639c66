package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	descriptorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	ratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// demo calls the service as Envoy does, and an HTTP API in Go on the same buckets.
func demo(ctx context.Context, out io.Writer) (err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	buckets := memstore.New(memstore.Config{})
	s, err := newService(buckets, table)
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- serveGRPC(ctx, listener, s) }()
	defer func() {
		stop()
		err = errors.Join(err, <-served)
	}()
	connection, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	e := &envoy{client: ratelimitv3.NewRateLimitServiceClient(connection), out: out}

	limiter, err := ratelimit.New(buckets, table[0].limit, ratelimit.Config{})
	if err != nil {
		return err
	}
	limit, err := middleware.RateLimit(limiter, middleware.Config{Key: middleware.Header("X-API-Key")})
	if err != nil {
		return err
	}
	api := limit(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))

	fmt.Fprint(out, "Envoy asks for alice three times, and an API in Go has two calls of hers. The limit is 5 in 5 seconds:\n\n")
	ok := true
	for range 3 {
		ok = e.ask(ctx, 1, "api_key=alice") && ok
	}
	for range 2 {
		ok = call(ctx, out, api) == http.StatusNoContent && ok
	}
	over := !e.ask(ctx, 1, "api_key=alice")
	over = call(ctx, out, api) == http.StatusTooManyRequests && over
	fmt.Fprint(out, "\nA call that costs 4, of a descriptor with two entries, and one with two descriptors:\n\n")
	ok = e.ask(ctx, 4, "plan=gold,user=bob") && ok
	ok = e.ask(ctx, 1, "remote_address=192.0.2.1", "path=/login") && ok
	wait := e.wait
	fmt.Fprintf(out, "\nEnvoy is asked again after %d ms, as the denial said.\n\n", wait.Milliseconds())
	select {
	case <-time.After(wait):
	case <-ctx.Done():
		return ctx.Err()
	}
	ok = e.ask(ctx, 1, "api_key=alice") && ok
	if !ok || !over || e.err != nil {
		return errors.Join(fmt.Errorf("admitted what fits: %v, denied what does not: %v", ok, over), e.err)
	}
	fmt.Fprint(out, "\nEnvoy and Go took from one bucket.\n")
	return nil
}

// An envoy asks the service as Envoy does, and prints the answers.
type envoy struct {
	client ratelimitv3.RateLimitServiceClient
	out    io.Writer
	wait   time.Duration // of the last denial
	err    error
}

// ask asks about descriptors, such as "plan=gold,user=bob", and reports whether they are within their
// limits.
func (e *envoy) ask(ctx context.Context, hits uint32, descriptors ...string) bool {
	response, err := e.client.ShouldRateLimit(ctx, newRequest("api", hits, descriptors...))
	if err != nil {
		e.err = err
		return false
	}
	fmt.Fprintf(e.out, "  Envoy: %-40s %s\n", strings.Join(descriptors, " and "), response.GetOverallCode())
	for _, s := range response.GetStatuses() {
		fmt.Fprintf(e.out, "      %-8s %d in %d %s: %d left, reset after %v\n", s.GetCurrentLimit().GetName(), s.GetCurrentLimit().GetRequestsPerUnit(),
			max(1, s.GetCurrentLimit().GetUnitMultiplier().GetValue()), s.GetCurrentLimit().GetUnit(), s.GetLimitRemaining(), s.GetDurationUntilReset().AsDuration())
		if s.GetCode() == ratelimitv3.RateLimitResponse_OVER_LIMIT {
			e.wait = s.GetDurationUntilReset().AsDuration()
		}
	}
	return response.GetOverallCode() == ratelimitv3.RateLimitResponse_OK
}

// newRequest returns what Envoy sends.
func newRequest(domain string, hits uint32, descriptors ...string) *ratelimitv3.RateLimitRequest {
	r := &ratelimitv3.RateLimitRequest{Domain: domain, HitsAddend: hits}
	for _, text := range descriptors {
		d := &descriptorv3.RateLimitDescriptor{}
		for pair := range strings.SplitSeq(text, ",") {
			name, value, _ := strings.Cut(pair, "=")
			d.Entries = append(d.Entries, &descriptorv3.RateLimitDescriptor_Entry{Key: name, Value: value})
		}
		r.Descriptors = append(r.Descriptors, d)
	}
	return r
}

// call calls the API in Go as alice, prints the answer, and returns the status.
func call(ctx context.Context, out io.Writer, api http.Handler) int {
	r, w := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil), httptest.NewRecorder()
	r.Header.Set("X-API-Key", "alice")
	api.ServeHTTP(w, r)
	fmt.Fprintf(out, "  Go:    %-40s %d\n      %s\n", "X-API-Key: alice", w.Code, w.Header().Get(middleware.HeaderRateLimit))
	return w.Code
}
