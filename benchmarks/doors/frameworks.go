package main

import (
	"net/http"

	"github.com/keyrate/keyrate/benchmarks/internal/library"
	"github.com/keyrate/keyrate/benchmarks/internal/load"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// A call calls a handler with a key, and reports whether it was denied.
type call func(key string) (denied bool)

// A framework has a bare handler and limiters. Its open function returns a call of the handler
// behind what add makes; add is nil for the bare one.
type framework struct {
	name     string
	note     string
	open     func(add any, s setting) (call, error)
	limiters []limiter
}

// A limiter is something to put in front of the handler: add is a function of the framework's kind.
type limiter struct {
	name      string
	add       any
	framework framework
}

// The names of the frameworks that goals name.
const (
	netHTTP   = "net/http"
	fiberV3   = "fiber"
	grpcUnary = "gRPC unary"
)

var frameworks = []framework{
	{name: netHTTP, open: openHTTP, limiters: httpLimiters},
	{name: "gin", open: openGin, limiters: ginLimiters},
	{name: "echo", open: openEcho, limiters: echoLimiters, note: "echo's RateLimiter answers a denial by way of its error handler"},
	{name: fiberV3, open: openFiber, limiters: fiberLimiters, note: "fiber's limiter counts in fixed windows, and denies with one header and a line of text"},
	{name: grpcUnary, open: openGRPC, limiters: grpcLimiters, note: "without a connection; go-grpc-middleware has no limiter: x/time/rate in a map behind a mutex, without headers"},
}

// keyrateLimiter returns ours.
func keyrateLimiter(s setting) (*ratelimit.Limiter, error) {
	return ratelimit.New(memstore.New(memstore.Config{MaxKeys: s.Keys}), ratelimit.Limit{Rate: s.Limit.Tokens, Period: s.Limit.Per}, ratelimit.Config{})
}

// serving returns a call of a handler, with a response that costs nothing.
func serving(h http.Handler) (call, error) {
	request, err := http.NewRequest(http.MethodGet, "/", nil) //nolint:noctx // it is sent nowhere
	if err != nil {
		return nil, err
	}
	request.RemoteAddr = "192.0.2.1:1234"
	key := []string{""}
	request.Header[load.KeyHeader] = key
	sink := load.NewSink()
	return func(name string) bool {
		key[0] = name
		sink.Clear()
		h.ServeHTTP(sink, request)
		return sink.Status == http.StatusTooManyRequests
	}, nil
}

// setting in the terms of package library.
func (s setting) library() library.Setting {
	return library.Setting{Limit: s.Limit, Keys: s.Keys, Presized: true}
}
