package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/keyrate/keyrate/examples/internal/process"
)

// startTime is how long a process may take to answer.
const startTime = 20 * time.Second

// A node is a gateway in a process of its own.
type node struct {
	*process.Process
	url    string
	dead   atomic.Bool
	stdin  io.Closer
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
	stdin, err := command.StdinPipe() // at whose end the gateway ends, should this program crash
	if err != nil {
		return nil, err
	}
	p, err := process.Start(command)
	if err != nil {
		return nil, err
	}
	n := &node{Process: p, stdin: stdin}
	late := time.After(startTime)
	for {
		if m := serving.FindStringSubmatch(p.Output()); m != nil {
			n.url = m[1]
			return n, nil
		}
		select {
		case <-p.Ended():
			return nil, fmt.Errorf("a gateway has ended; it said:\n%s", p.Output())
		case <-ctx.Done():
			p.End()
			return nil, ctx.Err()
		case <-late:
			p.End()
			return nil, fmt.Errorf("a gateway does not serve; it said:\n%s", p.Output())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// kill ends the gateway in the middle of what it does.
func (n *node) kill() {
	n.dead.Store(true)
	n.End()
}
