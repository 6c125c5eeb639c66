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

// decisionTime is more than usual: four processes, Redis and their callers share one machine.
const decisionTime = 500 * time.Millisecond

// startTime is how long a process may take to answer.
const startTime = 20 * time.Second

// A node is this program in a process of its own.
type node struct {
	*process.Process

	host   string
	ledger string
	stdin  io.WriteCloser // it ends with it
}

var serving = regexp.MustCompile(`Serving http://([^/\s]+)/ `)

// startNode starts node i of nodeCount. Its ledger is in folder.
func startNode(ctx context.Context, i int, redisURL, folder string, leases bool) (*node, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	n := &node{ledger: filepath.Join(folder, strconv.Itoa(i))}
	command := exec.CommandContext(context.WithoutCancel(ctx), path, "-addr", "127.0.0.1:0", "-timeout", decisionTime.String(), "-nodes", strconv.Itoa(nodeCount), "-leases="+strconv.FormatBool(leases))
	command.Env = append(os.Environ(), envRedis+"="+redisURL+"?timeout="+decisionTime.String(), envLedger+"="+n.ledger, envSecret+"="+secret)
	if n.stdin, err = command.StdinPipe(); err != nil {
		return nil, err
	}
	if n.Process, err = process.Start(command); err != nil {
		return nil, err
	}
	late := time.After(startTime)
	for {
		if m := serving.FindStringSubmatch(n.Output()); m != nil {
			n.host = m[1]
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

// call makes the callers of the node call so often per second.
func (n *node) call(pace int) error {
	_, err := fmt.Fprintln(n.stdin, pace)
	return err
}
