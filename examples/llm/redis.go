package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// A database is a Redis on loopback that the demo has started.
type database struct {
	url   string
	close func() error
}

// startRedis starts a redis-server or, where there is none, a stand-in within this program,
// and says which.
func startRedis(ctx context.Context, embed bool, out io.Writer) (database, error) {
	path, err := exec.LookPath("redis-server")
	if embed || err != nil {
		server, err := miniredis.Run()
		if err != nil {
			return database{}, err
		}
		fmt.Fprintf(out, "No redis-server is used: a stand-in for it, miniredis, runs within this program, on %s.\n", server.Addr())
		return database{"redis://" + server.Addr(), func() error { server.Close(); return nil }}, nil
	}
	folder, err := os.MkdirTemp("", "keyrate-llm-")
	if err != nil {
		return database{}, err
	}
	// Another program may take the port between its choice and its use.
	for range 3 {
		var d database
		if d, err = startServer(ctx, path, folder, out); err == nil {
			return d, nil
		}
	}
	return database{}, errors.Join(err, os.RemoveAll(folder))
}

// startServer starts a redis-server, which keeps nothing on disk.
func startServer(ctx context.Context, path, folder string, out io.Writer) (database, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return database{}, err
	}
	address := listener.Addr().String()
	_, port, err := net.SplitHostPort(address)
	if err := errors.Join(err, listener.Close()); err != nil {
		return database{}, err
	}
	command := exec.CommandContext(context.WithoutCancel(ctx), path,
		"--bind", "127.0.0.1", "--port", port, "--dir", folder, "--save", "", "--appendonly", "no", "--daemonize", "no")
	command.SysProcAttr = noOrphan()
	p, err := startProcess(command)
	if err != nil {
		return database{}, err
	}
	if err := answers(ctx, address, p); err != nil {
		p.end()
		return database{}, err
	}
	fmt.Fprintf(out, "A redis-server of its own runs as process %d, on %s.\n", p.pid(), address)
	return database{"redis://" + address, func() error {
		p.end()
		return os.RemoveAll(folder)
	}}, nil
}

// answers waits until the Redis at an address answers.
func answers(ctx context.Context, address string, p *process) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	client := redis.NewClient(&redis.Options{Addr: address, Protocol: 2})
	defer client.Close()
	for {
		err := client.Ping(ctx).Err()
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("redis-server has ended; it said:\n%s", &p.output)
		case <-ctx.Done():
			return fmt.Errorf("redis-server does not answer: %w; it said:\n%s", err, &p.output)
		case <-time.After(5 * time.Millisecond):
		}
	}
}
