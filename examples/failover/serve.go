package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/keyrate/keyrate/examples/internal/serve"
)

// serveAPI serves until ctx ends.
func serveAPI(ctx context.Context, o options, stdout io.Writer, logger *slog.Logger) (err error) {
	secret := os.Getenv(envSecret)
	if secret == "" {
		logger.Warn("without a secret, a reader of Redis can guess which API keys are in use", "set", envSecret)
	}
	a, err := newAPI(setup{redis: o.redis, secret: []byte(secret), nodes: o.nodes, logger: logger})
	if err != nil {
		return fmt.Errorf("flag -redis: %w", err)
	}
	defer func() { err = errors.Join(err, a.close()) }()
	return serve.API(ctx, o.addr, a, stdout, fmt.Sprintf("Serving URL with a limit of %s for each X-API-Key. Ctrl-C ends it.", limit))
}
