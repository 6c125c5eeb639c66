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
	ledger := filepath.Join(folder, strconv.Itoa(i))
	command := exec.CommandContext(context.WithoutCancel(ctx), path, "-addr", "127.0.0.1:0", "-timeout", decisionTime.String(), "-nodes", strconv.Itoa(nodeCount), "-leases="+strconv.FormatBool(leases))
	command.Env = append(os.Environ(), envRedis+"="+redisURL+"?timeout="+decisionTime.String(), envLedger+"="+ledger, envSecret+"="+secret)
	p, stdin, host, err := process.Serve(ctx, command, serving)
	if err != nil {
		return nil, err
	}
	return &node{Process: p, host: host, ledger: ledger, stdin: stdin}, nil
}

// call makes the callers of the node call so often per second.
func (n *node) call(pace int) error {
	_, err := fmt.Fprintln(n.stdin, pace)
	return err
}
