// Package process starts the processes of the demos of the examples, and ends them.
package process

import (
	"bytes"
	"os"
	"os/exec"
	"sync"
)

// A Process is a program that a demo has started. It is ended by its handle, and no other is.
type Process struct {
	command *exec.Cmd
	ended   chan struct{}
	output  Output
}

// Start starts command, which ends with [Process.End] or with this program, and not with a
// context.
func Start(command *exec.Cmd) (*Process, error) {
	p := &Process{command: command, ended: make(chan struct{})}
	command.Stdout, command.Stderr = &p.output, &p.output
	command.SysProcAttr = noOrphan()
	if err := command.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = command.Wait() // it is killed
		close(p.ended)
	}()
	return p, nil
}

// PID returns its number.
func (p *Process) PID() int { return p.command.Process.Pid }

// Signal sends it a signal.
func (p *Process) Signal(s os.Signal) error { return p.command.Process.Signal(s) }

// Ended returns a channel that is closed when it has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Output returns what it has printed.
func (p *Process) Output() string { return p.output.String() }

// End kills the process, as kill -9 does, and waits for its end.
func (p *Process) End() {
	_ = p.command.Process.Kill() // it may have ended
	<-p.ended
}

// An Output keeps what is written to it, concurrently.
type Output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements [io.Writer].
func (o *Output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

// String returns all of it.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
