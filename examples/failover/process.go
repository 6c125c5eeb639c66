package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"time"
)

// A process is a redis-server on a free port of loopback. It keeps nothing on disk.
type process struct {
	path    string
	folder  string
	address string
	command *exec.Cmd
	ended   chan struct{}
	output  output
}

// startTime is how long a server may take to answer.
const startTime = 10 * time.Second

func startProcess(ctx context.Context, path string) (*process, error) {
	folder, err := os.MkdirTemp("", "keyrate-failover-")
	if err != nil {
		return nil, err
	}
	p := &process{path: path, folder: folder}
	// Another program may take the port between its choice and its use.
	for range 3 {
		if p.address, err = freeAddress(ctx); err != nil {
			break
		}
		if err = p.start(ctx); err == nil {
			return p, nil
		}
	}
	return nil, errors.Join(err, p.close())
}

func (p *process) start(ctx context.Context) error {
	_, port, err := net.SplitHostPort(p.address)
	if err != nil {
		return err
	}
	// close ends it, which comes after the end of the context.
	p.command = exec.CommandContext(context.WithoutCancel(ctx), p.path,
		"--bind", "127.0.0.1", "--port", port, "--dir", p.folder, "--save", "", "--appendonly", "no", "--daemonize", "no")
	p.command.Stdout, p.command.Stderr = &p.output, &p.output
	p.command.SysProcAttr = noOrphan()
	if err := p.command.Start(); err != nil {
		return err
	}
	command, ended := p.command, make(chan struct{})
	p.ended = ended
	go func() {
		_ = command.Wait() // it is killed
		close(ended)
	}()
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		err := ping(ctx, p.address)
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("redis-server has ended; it said:\n%s", &p.output)
		case <-ctx.Done():
			p.end()
			return fmt.Errorf("redis-server does not answer: %w; it said:\n%s", err, &p.output)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// ping asks a Redis whether it is there.
func ping(ctx context.Context, address string) error {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	var answer [5]byte
	if _, err := conn.Read(answer[:]); err != nil {
		return err
	}
	if string(answer[:]) != "+PONG" {
		return fmt.Errorf("it says %q", answer)
	}
	return nil
}

func (p *process) pid() int    { return p.command.Process.Pid }
func (p *process) url() string { return "redis://" + p.address }

func (p *process) suffer(ctx context.Context, f fault) error {
	switch f {
	case hang:
		return p.command.Process.Signal(stopSignal)
	case resume:
		return p.command.Process.Signal(continueSignal)
	case kill:
		p.end()
		return nil
	case restart:
		return again(func() error { return p.start(ctx) })
	default:
		return nil
	}
}

// end kills the process, by its handle and no other, and waits for its end.
func (p *process) end() {
	if p.ended == nil {
		return
	}
	_ = p.command.Process.Kill() // it may have ended
	<-p.ended
}

func (p *process) close() error {
	p.end()
	return os.RemoveAll(p.folder)
}

// freeAddress returns a loopback address without a listener.
func freeAddress(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// output is what a process prints.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
