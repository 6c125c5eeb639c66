package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"
)

// serveAPI serves until ctx ends.
func serveAPI(ctx context.Context, o options, logger *slog.Logger) (err error) {
	secret := os.Getenv(envSecret)
	if secret == "" {
		logger.Warn("without a secret, a reader of Redis can guess which API keys are in use", "set", envSecret)
	}
	a, err := newAPI(setup{redis: o.redis, secret: []byte(secret), nodes: o.nodes, logger: logger})
	if err != nil {
		return fmt.Errorf("flag -redis: %w", err)
	}
	defer func() { err = errors.Join(err, a.close()) }()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", o.addr)
	if err != nil {
		return fmt.Errorf("flag -addr %s: %w; choose another address, such as -addr :8081", o.addr, err)
	}
	logger.Info("serving", "address", listener.Addr().String(), "limit", limit.String())
	if err := serve(ctx, listener, a); err != nil {
		return err
	}
	logger.Info("shut down")
	return nil
}

// serve answers on listener until ctx ends, and then lets the calls that are under
// way come to their end.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       time.Minute,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return server.Shutdown(grace)
}
