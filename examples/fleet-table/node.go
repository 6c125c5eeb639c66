package main

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/keyrate/keyrate/examples/internal/process"
)

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
	command := exec.CommandContext(context.WithoutCancel(ctx), path, "-addr", "127.0.0.1:0", "-file", filepath.Join(folder, strconv.Itoa(i)))
	command.Env = append(os.Environ(), envRedis+"="+redisURL, envSecret+"="+secret, envChild+"=1")
	p, stdin, url, err := process.Serve(ctx, command, serving)
	if err != nil {
		return nil, err
	}
	return &node{Process: p, url: url, stdin: stdin}, nil
}
