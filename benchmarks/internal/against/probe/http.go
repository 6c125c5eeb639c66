package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"runtime"
	"time"
)

// An httpWorker is a server on loopback and on one core.
type httpWorker struct{ address string }

func (w *httpWorker) SetUp(json.RawMessage) error {
	runtime.GOMAXPROCS(1)
	answer := []byte("ok\n")
	limiter, err := newLimiter(1_000_000, 1, 10_000)
	if err != nil {
		return err
	}
	handler, err := newHandler(limiter, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(answer) }))
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

// Do returns the address and the processor time so far, as the load generator asks for it.
func (w *httpWorker) Do(json.RawMessage) (any, error) {
	used, err := processorTime()
	return struct {
		Address string
		CPU     time.Duration
	}{w.address, used}, err
}
