package main

import (
	"bytes"
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

// A database is a Redis on loopback that the demo has started, and that keeps nothing on disk.
type database struct {
	address string
	path    string // of redis-server; "" where there is none
	folder  string
	end     func() // ends what runs, by its handle and no other
}

const startTime = 10 * time.Second // for a Redis to answer

// startRedis starts a redis-server or, where there is none, a stand-in within this program, and says
// which.
func startRedis(ctx context.Context, embed bool, out io.Writer) (*database, error) {
	d := &database{end: func() {}}
	if path, err := exec.LookPath("redis-server"); err == nil && !embed {
		d.path = path
		if d.folder, err = os.MkdirTemp("", "keyrate-observed-"); err != nil {
			return nil, err
		}
	}
	// Another program may take the port between its choice and its use.
	var err error
	for range 3 {
		if d.address, err = freeAddress(ctx); err != nil {
			break
		}
		if err = d.start(ctx); err == nil {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	if d.path == "" {
		fmt.Fprintf(out, "No redis-server is used: a stand-in for it, miniredis, runs within this program, on %s.\n", d.address)
	} else {
		fmt.Fprintf(out, "A redis-server of its own runs on %s.\n", d.address)
	}
	return d, nil
}

// start starts it, empty.
func (d *database) start(ctx context.Context) error {
	if d.path == "" {
		stand := miniredis.NewMiniRedis()
		d.end = stand.Close
		return stand.StartAddr(d.address)
	}
	_, port, err := net.SplitHostPort(d.address)
	if err != nil {
		return err
	}
	// end ends it, which comes after the end of the context.
	command := exec.CommandContext(context.WithoutCancel(ctx), d.path,
		"--bind", "127.0.0.1", "--port", port, "--dir", d.folder, "--save", "", "--appendonly", "no", "--daemonize", "no")
	command.SysProcAttr = noOrphan()
	var said bytes.Buffer
	command.Stdout, command.Stderr = &said, &said
	if err := command.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		_ = command.Wait() // it is killed
		close(ended)
	}()
	d.end = func() {
		_ = command.Process.Kill() // it may have ended
		<-ended
	}
	if err := d.answers(ctx, ended); err != nil {
		d.end()
		return fmt.Errorf("%w; redis-server said:\n%s", err, &said)
	}
	return nil
}

// again starts it where it was before. One of the connections that were tried meanwhile may have its
// port for a moment.
func (d *database) again(ctx context.Context) (err error) {
	for range 10 {
		if err = d.start(ctx); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return err
}

// answers waits until it answers.
func (d *database) answers(ctx context.Context, ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	client := redis.NewClient(&redis.Options{Addr: d.address, Protocol: 2})
	defer client.Close()
	for {
		err := client.Ping(ctx).Err()
		if err == nil {
			return nil
		}
		select {
		case <-ended:
			return errors.New("redis-server has ended")
		case <-ctx.Done():
			return fmt.Errorf("redis-server does not answer: %w", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (d *database) url() string { return "redis://" + d.address }

func (d *database) close() error {
	d.end()
	if d.folder == "" {
		return nil
	}
	return os.RemoveAll(d.folder)
}

// freeAddress returns a loopback address without a listener.
func freeAddress(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
