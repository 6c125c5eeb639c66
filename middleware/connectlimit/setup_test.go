package connectlimit_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/keyrate/keyrate/middleware/connectlimit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// The procedures of the service under test.
const (
	get    = "/keyrate.test.Service/Get"
	export = "/keyrate.test.Service/Export"
	chat   = "/keyrate.test.Service/Chat"
)

type message = wrapperspb.StringValue

// A service is what the handlers of the service do.
type service struct {
	unary  func(ctx context.Context, request *connect.Request[message]) (*connect.Response[message], error)
	stream func(ctx context.Context, stream *connect.BidiStream[message, message]) error
}

// handler returns the handler of the service behind limit.
func (s service) handler(limit *connectlimit.Interceptor) http.Handler {
	mux := http.NewServeMux()
	for _, procedure := range []string{get, export} {
		mux.Handle(procedure, connect.NewUnaryHandler(procedure, s.unary, connect.WithInterceptors(limit)))
	}
	mux.Handle(chat, connect.NewBidiStreamHandler(chat, s.stream, connect.WithInterceptors(limit)))
	return mux
}

// echo returns what it gets.
var echo = service{
	unary: func(_ context.Context, request *connect.Request[message]) (*connect.Response[message], error) {
		return connect.NewResponse(request.Msg), nil
	},
	stream: func(_ context.Context, stream *connect.BidiStream[message, message]) error {
		for {
			m, err := stream.Receive()
			if err != nil {
				return nil // io.EOF, or a denial, which the handler does not report
			}
			if err := stream.Send(m); err != nil {
				return err
			}
		}
	},
}

// inProcess is a connection to a handler.
type inProcess struct{ handler http.Handler }

func (c inProcess) Do(r *http.Request) (response *http.Response, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("the connection is closed")
		}
	}()
	r = r.Clone(r.Context())
	r.RemoteAddr, r.RequestURI, r.ProtoMajor, r.ProtoMinor = "192.0.2.1:1234", r.URL.Path, 2, 0
	if r.Body == nil {
		r.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	c.handler.ServeHTTP(w, r)
	_ = r.Body.Close()
	response = w.Result()
	response.ProtoMajor, response.ProtoMinor = 2, 0
	return response, nil
}

// protocols are the options of clients.
var protocols = map[string]connect.ClientOption{
	"Connect": connect.WithClientOptions(),
	"gRPC":    connect.WithGRPC(),
	"gRPCWeb": connect.WithGRPCWeb(),
}

// A reply is what a call returns.
type reply struct {
	header http.Header // of the response, or of the error
	err    error
}

// call calls a procedure with keys. A stream is opened, and nothing is sent.
func call(ctx context.Context, handler http.Handler, protocol connect.ClientOption, procedure string, header http.Header) reply {
	client := connect.NewClient[message, message](inProcess{handler}, "http://test"+procedure, protocol)
	if procedure != chat {
		request := connect.NewRequest(wrapperspb.String("hello"))
		copyTo(request.Header(), header)
		response, err := client.CallUnary(ctx, request)
		if err != nil {
			return replyOf(err)
		}
		return reply{header: response.Header()}
	}
	stream := client.CallBidiStream(ctx)
	copyTo(stream.RequestHeader(), header)
	_ = stream.Send(nil) // sends the header
	_ = stream.CloseRequest()
	defer func() { _ = stream.CloseResponse() }()
	if _, err := stream.Receive(); !errors.Is(err, io.EOF) {
		return replyOf(err)
	}
	return reply{header: stream.ResponseHeader()}
}

func copyTo(to, from http.Header) {
	for name, values := range from {
		to[http.CanonicalHeaderKey(name)] = values
	}
}

func replyOf(err error) reply {
	if e, ok := errors.AsType[*connect.Error](err); ok {
		return reply{e.Meta(), err}
	}
	return reply{err: err}
}

func newLimiter(t testing.TB, limits ratelimit.Limits) *ratelimit.Limiter {
	t.Helper()
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), limits, ratelimit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return limiter
}

// newLimit returns an Interceptor whose keys are in X-API-Key.
func newLimit(t testing.TB, limits ratelimit.Limits, c connectlimit.Config) *connectlimit.Interceptor {
	t.Helper()
	c.Key = connectlimit.Header("X-API-Key")
	limit, err := connectlimit.New(newLimiter(t, limits), c)
	if err != nil {
		t.Fatal(err)
	}
	return limit
}
