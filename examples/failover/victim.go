package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"

	"github.com/keyrate/keyrate/examples/internal/process"
)

// A fault is something that is done to Redis.
type fault int

const (
	none    fault = iota
	hang          // it stands still: connections stay open, no command is answered
	resume        // the end of hang
	kill          // it is gone, and with it all that it knew
	restart       // it is back, empty
)

// A victim is a Redis on loopback that the demo has started itself.
type victim interface {
	url() string
	suffer(context.Context, fault) error
	close() error
}

// newVictim starts a redis-server or, where there is none to be stopped, a stand-in
// within this program, and says which.
func newVictim(ctx context.Context, embed bool, out io.Writer) (victim, error) {
	if !embed && canStop {
		r, err := process.StartRedis(ctx)
		if err == nil {
			fmt.Fprintf(out, "A redis-server of its own runs as process %d, on %s.\n", r.PID(), r.Address)
			return server{r}, nil
		}
		if !errors.Is(err, exec.ErrNotFound) {
			return nil, err
		}
	}
	e, err := startEmbedded(ctx)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(out, "No redis-server is used: a stand-in for it, miniredis, runs within this program, on %s.\n", e.address)
	return e, nil
}
