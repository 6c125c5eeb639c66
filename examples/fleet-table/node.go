package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/keyrate/keyrate/examples/internal/process"
)

// startTime is how long a process may take to answer.
const startTime = 20 * time.Second

// A node is this program in a process of its own.
type node struct {
	*process.Process

	url   string
	stdin io.WriteCloser // it ends with it
}

var serving = regexp.MustCompile(`Serving (http://[^/\s]+)/ `)

// startNode starts node i, which keeps its copy of the table in a folder.
func startNode(ctx context.Context, i int, redisURL, folder string) (*node, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	n := new(node)
	command := exec.CommandContext(context.WithoutCancel(ctx), path, "-addr", "127.0.0.1:0", "-file", filepath.Join(folder, strconv.Itoa(i)))
	command.Env = append(os.Environ(), envRedis+"="+redisURL, envSecret+"="+secret, envChild+"=1")
	if n.stdin, err = command.StdinPipe(); err != nil {
		return nil, err
	}
	if n.Process, err = process.Start(command); err != nil {
		return nil, err
	}
	late := time.After(startTime)
	for {
		if m := serving.FindStringSubmatch(n.Output()); m != nil {
			n.url = m[1]
			return n, nil
		}
		select {
		case <-n.Ended():
			return nil, fmt.Errorf("a process has ended; it said:\n%s", n.Output())
		case <-ctx.Done():
			n.End()
			return nil, ctx.Err()
		case <-late:
			n.End()
			return nil, fmt.Errorf("a process does not serve; it said:\n%s", n.Output())
		case <-time.After(5 * time.Millisecond):
		}
	}
}
