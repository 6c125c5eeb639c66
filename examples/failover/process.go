package main

import (
	"context"

	"github.com/keyrate/keyrate/examples/internal/process"
)

// A server is a redis-server that the demo has started.
type server struct{ *process.Redis }

func (s server) url() string  { return s.URL() }
func (s server) close() error { return s.Close() }

func (s server) suffer(ctx context.Context, f fault) error {
	switch f {
	case hang:
		return s.Signal(stopSignal)
	case resume:
		return s.Signal(continueSignal)
	case kill:
		s.End()
		return nil
	case restart:
		return s.Again(ctx)
	default:
		return nil
	}
}
