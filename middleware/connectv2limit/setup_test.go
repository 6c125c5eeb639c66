package connectv2limit_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/keyrate/keyrate/middleware/connectv2limit"
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

// specOf returns the Spec of a procedure, as generated code has it.
func specOf(procedure string) connect.Spec {
	spec := connect.Spec{Procedure: procedure, StreamType: connect.StreamTypeUnary, Schema: (*message)(nil).ProtoReflect().Descriptor()}
	if procedure == chat {
		spec.StreamType = connect.StreamTypeBidi
	}
	return spec
}

// A service is what the handlers of the service do.
type service struct {
	unary  func(ctx context.Context, request *message) (*message, error)
	stream func(ctx context.Context, stream connect.ServerStream) error
}

// handler returns the handler of the service behind limit.
func (s service) handler(limit *connectv2limit.Interceptor) http.Handler {
	server := connect.NewServer(limit.Server)
	for _, procedure := range []string{get, export} {
		server.Register(connect.Method{Spec: specOf(procedure), Handler: func(ctx context.Context, _ connect.Spec, stream connect.ServerStream) error {
			request := new(message)
			if err := stream.Receive(request); err != nil {
				return err
			}
			response, err := s.unary(ctx, request)
			if err != nil {
				return err
			}
			return stream.Send(response)
		}})
	}
	server.Register(connect.Method{Spec: specOf(chat), Handler: func(ctx context.Context, _ connect.Spec, stream connect.ServerStream) error {
		return s.stream(ctx, stream)
	}})
	mux := http.NewServeMux()
	connecthttp.Mount(mux, server)
	return mux
}

// echo returns what it gets.
var echo = service{
	unary: func(_ context.Context, request *message) (*message, error) { return request, nil },
	stream: func(_ context.Context, stream connect.ServerStream) error {
		for {
			m := new(message)
			if err := stream.Receive(m); err != nil {
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
var protocols = map[string][]connecthttp.Option{
	"Connect": nil,
	"gRPC":    {connecthttp.WithGRPC()},
	"gRPCWeb": {connecthttp.WithGRPCWeb()},
}

// A reply is what a call returns.
type reply struct {
	header, trailer *connect.Header
	err             error
}

// call calls a procedure with headers. A stream gets the messages of texts.
func call(ctx context.Context, handler http.Handler, protocol []connecthttp.Option, procedure string, header http.Header, texts ...string) (r reply, got int) {
	ctx, info := connect.NewClientContext(ctx)
	for name, values := range header {
		info.RequestHeader().SetValues(name, values)
	}
	client := connect.NewClient(connecthttp.NewTransport(inProcess{handler}, "http://test", protocol...))
	if procedure != chat {
		err := client.CallUnary(ctx, specOf(procedure), wrapperspb.String("hello"), new(message))
		return reply{info.ResponseHeader(), info.ResponseTrailer(), err}, 0
	}
	stream, err := client.CallClientStream(ctx, specOf(procedure))
	if err != nil {
		return reply{err: err}, 0
	}
	defer func() { _ = stream.Close() }()
	go func() {
		_ = stream.SendHeaders()
		for _, text := range texts {
			_ = stream.Send(wrapperspb.String(text))
		}
		_ = stream.CloseSend()
	}()
	for {
		if err := stream.Receive(new(message)); errors.Is(err, io.EOF) {
			return reply{info.ResponseHeader(), info.ResponseTrailer(), nil}, got
		} else if err != nil {
			return reply{info.ResponseHeader(), info.ResponseTrailer(), err}, got
		}
		got++
	}
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
func newLimit(t testing.TB, limits ratelimit.Limits, c connectv2limit.Config) *connectv2limit.Interceptor {
	t.Helper()
	c.Key = connectv2limit.Header("X-API-Key")
	limit, err := connectv2limit.New(newLimiter(t, limits), c)
	if err != nil {
		t.Fatal(err)
	}
	return limit
}
