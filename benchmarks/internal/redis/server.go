package redis

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// A Server is a real Redis of the suite's own, on a free port of loopback and on a socket.
// It saves nothing, and its folder is removed with it.
type Server struct {
	TCP    string // host:port
	socket string // a path
	Admin  *redis.Client
	folder string
	server *os.Process
	ended  chan struct{}
	stop   context.CancelFunc
}

// errNoRedis says what to do.
var errNoRedis = errors.New("redis-server is not on the PATH; this suite needs a real one (Debian: apt-get install redis-server)")

// Start starts a server. It ends with close, and with the context.
func Start(ctx context.Context) (*Server, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, errNoRedis
	}
	// Another program may take the port between its choice and its use.
	var errs []error
	for range 3 {
		s, err := tryRedis(ctx, path)
		if err == nil {
			return s, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func tryRedis(ctx context.Context, path string) (*Server, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "keyrate-benchmarks-")
	if err != nil {
		return nil, err
	}
	s := &Server{TCP: address, socket: filepath.Join(folder, "redis.sock"), folder: folder, ended: make(chan struct{})}
	ctx, s.stop = context.WithCancel(ctx)
	_, port, _ := net.SplitHostPort(address)
	command := exec.CommandContext(ctx, path,
		"--bind", "127.0.0.1", "--port", port, "--unixsocket", s.socket, "--unixsocketperm", "700",
		"--dir", folder, "--save", "", "--appendonly", "no", "--daemonize", "no")
	command.WaitDelay = time.Second
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	if err := command.Start(); err != nil {
		s.stop()
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	s.server = command.Process
	go func() {
		defer close(s.ended)
		_ = command.Wait() // it is killed
	}()
	s.Admin = redis.NewClient(&redis.Options{Network: "unix", Addr: s.socket, MaxRetries: -1})
	if err := s.ready(ctx); err != nil {
		err = errors.Join(err, s.Close())
		return nil, fmt.Errorf("%w; redis-server said:\n%s", err, output.String())
	}
	return s, nil
}

// ready waits until the server answers on its socket, which it opens last.
func (s *Server) ready(ctx context.Context) error {
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := s.Admin.Ping(ctx).Err()
		if err == nil {
			return nil
		}
		select {
		case <-s.ended:
			return errors.New("redis-server has ended")
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("redis-server does not answer: %w", err)
		}
	}
}

// Hang stops the process: its connections stay open, and no call gets an answer until
// Resume.
func (s *Server) Hang() error { return s.server.Signal(syscall.SIGSTOP) }

// Resume lets a process that hangs go on.
func (s *Server) Resume() error { return s.server.Signal(syscall.SIGCONT) }

// Close ends the server and removes its folder.
func (s *Server) Close() error {
	err := s.Admin.Close()
	s.stop()
	<-s.ended
	return errors.Join(err, os.RemoveAll(s.folder))
}

// freeAddress returns an address of loopback that is free.
func freeAddress(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// Version returns that of the server.
func (s *Server) Version(ctx context.Context) string {
	text, err := s.Admin.Info(ctx, "server").Result()
	if err != nil {
		return err.Error()
	}
	for line := range strings.Lines(text) {
		if version, ok := strings.CutPrefix(strings.TrimSpace(line), "redis_version:"); ok {
			return version
		}
	}
	return "of no version"
}
