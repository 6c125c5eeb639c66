package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"time"

	"github.com/redis/go-redis/v9"
)

// A Redis is a redis-server on a free port of loopback. It keeps nothing on disk.
type Redis struct {
	*Process

	Address string
	folder  string
}

// startTime is how long a server may take to answer.
const startTime = 10 * time.Second

// StartRedis starts one. The error is [exec.ErrNotFound] where there is no redis-server.
func StartRedis(ctx context.Context) (*Redis, error) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "keyrate-redis-")
	if err != nil {
		return nil, err
	}
	r := &Redis{folder: folder}
	// Another program may take the port between its choice and its use.
	for range 3 {
		if r.Address, err = FreeAddress(ctx); err != nil {
			break
		}
		if err = r.start(ctx); err == nil {
			return r, nil
		}
	}
	return nil, errors.Join(err, os.RemoveAll(folder))
}

// URL returns the address for redisstore.NewClient.
func (r *Redis) URL() string { return "redis://" + r.Address }

// Again starts it, empty, where it was before it has ended.
func (r *Redis) Again(ctx context.Context) error {
	return Retry(func() error { return r.start(ctx) })
}

// Retry calls start, which starts a server where another one has ended: a connection that was
// tried meanwhile may have its port for a moment.
func Retry(start func() error) (err error) {
	for range 10 {
		if err = start(); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return err
}

// Close ends it and removes its folder.
func (r *Redis) Close() error {
	r.End()
	return os.RemoveAll(r.folder)
}

func (r *Redis) start(ctx context.Context) error {
	_, port, err := net.SplitHostPort(r.Address)
	if err != nil {
		return err
	}
	// End ends it, which comes after the end of the context.
	command := exec.CommandContext(context.WithoutCancel(ctx), "redis-server",
		"--bind", "127.0.0.1", "--port", port, "--dir", r.folder, "--save", "", "--appendonly", "no", "--daemonize", "no")
	if r.Process, err = Start(command); err != nil {
		return err
	}
	if err := r.answers(ctx); err != nil {
		r.End()
		return fmt.Errorf("%w; redis-server said:\n%s", err, r.Output())
	}
	return nil
}

// answers waits until it answers.
func (r *Redis) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	client := redis.NewClient(&redis.Options{Addr: r.Address, Protocol: 2, MaxRetries: -1, DialerRetries: 1})
	defer client.Close()
	for {
		err := client.Ping(ctx).Err()
		if err == nil {
			return nil
		}
		select {
		case <-r.Ended():
			return errors.New("redis-server has ended")
		case <-ctx.Done():
			return fmt.Errorf("redis-server does not answer: %w", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// FreeAddress returns a loopback address without a listener.
func FreeAddress(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
