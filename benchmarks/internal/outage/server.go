package outage

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"time"

	"github.com/keyrate/keyrate/benchmarks/internal/load"
	"github.com/keyrate/keyrate/benchmarks/internal/redis"
	"github.com/keyrate/keyrate/benchmarks/internal/report"
)

// An outageHire is the first line of a child of this suite.
type outageHire struct{ Library, Redis string }

// An outageOrder is what such a child is to do.
type outageOrder struct {
	Do      string
	Key     int // of hammer
	Callers int
	Span    time.Duration
}

// The orders.
const (
	tellAddress = "address" // where it serves
	hammer      = "hammer"  // call the handler with one key, without a connection
	decide      = "decide"  // call the limiter with one key, without a handler
	watchStalls = "watch"   // look how long the machine stands still, from now on
	tellStall   = "stall"   // the longest time, and the end of that
)

// An outageWorker is a server with one library in it.
type outageWorker struct {
	handler http.Handler
	limiter redis.Limiter
	address string
	stalls  *stalls
}

func (w *outageWorker) SetUp(args json.RawMessage) error {
	var h outageHire
	if err := json.Unmarshal(args, &h); err != nil {
		return err
	}
	at := outagePlace(h.Library)
	if at < 0 {
		return fmt.Errorf("there is no library %q in this suite", h.Library)
	}
	answer := []byte("ok\n")
	bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(answer) })
	var err error
	if w.handler, err = outageLibraries[at].open(h.Redis, outageLimit, bare); err != nil {
		return err
	}
	set := redis.Setting{Network: "tcp", Address: h.Redis, Limit: outageLimit}
	if w.limiter, err = outageLibraries[at].decide(set); err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	w.address = listener.Addr().String()
	// Panics of a handler are counted by their callers, who get no answer.
	server := &http.Server{Handler: w.handler, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = server.Serve(listener) }() // until the process ends
	return nil
}

func (w *outageWorker) Do(args json.RawMessage) (any, error) {
	var o outageOrder
	if err := json.Unmarshal(args, &o); err != nil {
		return nil, err
	}
	switch o.Do {
	case tellAddress:
		return w.address, nil
	case hammer:
		return hammerWith(o, func() func() int { return w.handling(o.Key) })
	case decide:
		return hammerWith(o, func() func() int { return w.deciding(o.Key) })
	case watchStalls:
		w.stalls = startStalls()
		return nil, nil
	case tellStall:
		return w.stalls.stop(), nil
	default:
		return nil, fmt.Errorf("there is no order %q", o.Do)
	}
}

// handling returns a caller of the handler, who returns the status of the answer.
func (w *outageWorker) handling(key int) func() int {
	request := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/"}, RemoteAddr: "192.0.2.1:1234", Header: http.Header{load.KeyHeader: {load.NewKey(key)}}}
	sink := load.NewSink()
	return func() int {
		sink.Clear()
		return serveSafely(w.handler, sink, request)
	}
}

// deciding returns a caller of the limiter, who returns the status that the decision
// stands for.
func (w *outageWorker) deciding(key int) func() int {
	ctx, name := context.Background(), load.NewKey(key)
	return func() int {
		allowed, err := w.limiter.Allow(ctx, name)
		switch {
		case err != nil:
			return http.StatusInternalServerError
		case !allowed:
			return http.StatusTooManyRequests
		default:
			return http.StatusOK
		}
	}
}

// givesWay is the number of calls after which a caller yields.
const givesWay = 16

// hammerWith lets callers call again as soon as they have their answer.
func hammerWith(o outageOrder, newCaller func() func() int) (report.Figures, error) {
	found := make([]answers, o.Callers)
	took, err := redis.Each(o.Callers, func(i int) error {
		call, deadline := newCaller(), time.Now().Add(o.Span)
		found[i] = newAnswers()
		for n, now := 1, time.Now(); now.Before(deadline); n, now = n+1, time.Now() {
			status := call()
			found[i].add(status, time.Since(now))
			// A server that reads requests from connections yields, too. Without this a
			// caller that does not ask Redis would run for 10 ms.
			if n%givesWay == 0 {
				runtime.Gosched()
			}
		}
		return nil
	})
	return joined(found).figures(took), err
}

// serveSafely returns the status of the answer, 0 if the handler panicked instead.
func serveSafely(handler http.Handler, sink *load.Sink, request *http.Request) (status int) {
	defer func() {
		if recover() != nil {
			status = 0
		}
	}()
	handler.ServeHTTP(sink, request)
	if sink.Status == 0 {
		return http.StatusOK
	}
	return sink.Status
}
