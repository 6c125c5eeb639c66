package http

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"runtime"
	"syscall"
	"time"

	"github.com/keyrate/keyrate/benchmarks/internal/library"
	"github.com/keyrate/keyrate/benchmarks/internal/load"
)

// A serverWorker is a server with one library in it, on one core.
type serverWorker struct{ address string }

func (w *serverWorker) SetUp(args json.RawMessage) error {
	runtime.GOMAXPROCS(1)
	var name string
	if err := json.Unmarshal(args, &name); err != nil {
		return err
	}
	handler, err := newServerHandler(name)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	w.address = listener.Addr().String()
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }() // until the process ends
	return nil
}

// newServerHandler returns the handler, behind the library of that name.
func newServerHandler(name string) (http.Handler, error) {
	answer := []byte("ok\n")
	bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(answer) })
	// A token takes longer to come back than a key to call again.
	set := library.Setting{Limit: library.Limit{Tokens: 10_000, Per: 24 * time.Hour}, Keys: httpKeys, Presized: true}
	switch name {
	case bareServer:
		return bare, nil
	case headerServer:
		limited, err := library.KeyrateHandler(set, bare)
		if err != nil {
			return nil, err
		}
		return withConstants(bare, limited)
	}
	l, err := library.Named(name)
	if err != nil {
		return nil, err
	}
	return l.Handler(set, bare)
}

// withConstants returns a handler that sets the headers that limited sets, with
// values that were made once, in the way that costs least.
func withConstants(next, limited http.Handler) (http.Handler, error) {
	request, err := http.NewRequest(http.MethodGet, "/", nil) //nolint:noctx // it is sent nowhere
	if err != nil {
		return nil, err
	}
	request.RemoteAddr = "192.0.2.1:1234"
	request.Header[load.KeyHeader] = []string{load.NewKey(0)}
	sink := load.NewSink()
	limited.ServeHTTP(sink, request)
	if len(sink.Header()) == 0 {
		return nil, errors.New("keyrate sets no headers")
	}
	type constant struct {
		name   string
		values []string
	}
	var constants []constant
	for name, values := range sink.Header() {
		constants = append(constants, constant{name, values})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		for i := range constants {
			h[constants[i].name] = constants[i].values
		}
		next.ServeHTTP(w, r)
	}), nil
}

// A usage is what the parent wants to know of a server.
type usage struct {
	Address string
	CPU     time.Duration // of the process so far, its own and the system's for it
}

func (w *serverWorker) Do(json.RawMessage) (any, error) {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return nil, err
	}
	return usage{w.address, time.Duration(used.Utime.Nano() + used.Stime.Nano())}, nil
}
