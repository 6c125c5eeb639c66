package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"time"

	"github.com/keyrate/keyrate/benchmarks/internal/load"
)

// A middlewareOrder is a case, and for how long to measure it; 0 only prepares it.
type middlewareOrder struct {
	Keys   int
	Denied bool
	Span   time.Duration
}

// A middlewareWorker calls a handler behind the middleware, and the same handler bare.
type middlewareWorker struct {
	limited, bare slicer
	request       *http.Request
	key           []string // of the request
	keys          []string
	next          int
}

func (w *middlewareWorker) SetUp(json.RawMessage) error { return nil }

func (w *middlewareWorker) Do(args json.RawMessage) (any, error) {
	var o middlewareOrder
	if err := json.Unmarshal(args, &o); err != nil {
		return nil, err
	}
	if o.Span == 0 {
		return nil, w.prepare(o)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	calls := w.limited.total
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := w.limited.run(o.Span, &w.bare); err != nil {
		return nil, err
	}
	runtime.ReadMemStats(&after) // the bare handler allocates nothing
	return map[string]float64{
		"ns":     w.limited.result() - w.bare.result(),
		"allocs": float64((after.Mallocs - before.Mallocs) / uint64(w.limited.total-calls)),
	}, nil
}

func (w *middlewareWorker) prepare(o middlewareOrder) error {
	tokens, want := 1_000_000, http.StatusOK
	if o.Denied {
		tokens, want = 1, http.StatusTooManyRequests
	}
	limiter, err := newLimiter(tokens, 1, o.Keys)
	if err != nil {
		return err
	}
	bare := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	limited, err := newHandler(limiter, bare)
	if err != nil {
		return err
	}
	w.key = []string{""}
	w.request = &http.Request{Method: http.MethodGet, RemoteAddr: "192.0.2.1:1234", Header: http.Header{load.KeyHeader: w.key}}
	w.keys, w.next = nil, 0
	for _, n := range load.Shuffled(o.Keys) {
		w.keys = append(w.keys, load.NewKey(n))
	}
	if err := w.serve(limited, o.Keys, http.StatusOK); err != nil { // the first call of each key
		return err
	}
	w.limited = slicer{work: func(calls int) error { return w.serve(limited, calls, want) }, now: processorTime}
	w.bare = slicer{work: func(calls int) error { return w.serve(bare, calls, http.StatusOK) }, now: processorTime}
	if err := w.limited.slice(); err != nil { // so that both know how many calls fill a slice
		return err
	}
	w.limited.result()
	runtime.GC()
	return nil
}

// serve sends requests, one key after the other. Each must be answered with the status.
func (w *middlewareWorker) serve(h http.Handler, calls, want int) error {
	sink, wrong := load.NewSink(), 0
	for range calls {
		w.key[0] = w.keys[w.next]
		if w.next++; w.next == len(w.keys) {
			w.next = 0
		}
		sink.Clear()
		h.ServeHTTP(sink, w.request)
		if sink.Status != want {
			wrong++
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%d of %d requests were not answered with %d", wrong, calls, want)
	}
	return nil
}
