package main

import (
	"context"
	"io"
	"os"
	"os/exec"
	"regexp"
	"sync/atomic"

	"github.com/keyrate/keyrate/examples/internal/process"
)

// A node is a gateway in a process of its own.
type node struct {
	*process.Process
	url    string
	dead   atomic.Bool
	stdin  io.Closer       // it ends with it, should this program crash
	inside [3]atomic.Int32 // streams, by organisation
}

var serving = regexp.MustCompile(`Serving (http://\S+)/ `)

// startNode starts this program once more, as a gateway.
func startNode(ctx context.Context, redisURL, upstream string, after bool) (*node, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := []string{"-upstream", upstream, "-addr", "127.0.0.1:0"}
	if after {
		args = append(args, "-after")
	}
	command := exec.CommandContext(context.WithoutCancel(ctx), path, args...)
	command.Env = append(os.Environ(), envRedis+"="+redisURL, envChild+"=1")
	p, stdin, url, err := process.Serve(ctx, command, serving)
	if err != nil {
		return nil, err
	}
	return &node{Process: p, url: url, stdin: stdin}, nil
}

// kill ends the gateway in the middle of what it does.
func (n *node) kill() {
	n.dead.Store(true)
	n.End()
}
