package main

import (
	"bytes"
	"os/exec"
	"sync"
)

// A process is a program that the demo has started. It is ended by its handle, and no other is.
type process struct {
	command *exec.Cmd
	ended   chan struct{}
	output  output
}

// startProcess starts command, which ends with end and not with a context.
func startProcess(command *exec.Cmd) (*process, error) {
	p := &process{command: command, ended: make(chan struct{})}
	command.Stdout, command.Stderr = &p.output, &p.output
	if err := command.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = command.Wait() // it is killed
		close(p.ended)
	}()
	return p, nil
}

func (p *process) pid() int { return p.command.Process.Pid }

// end kills the process, as kill -9 does, and waits for its end.
func (p *process) end() {
	_ = p.command.Process.Kill() // it may have ended
	<-p.ended
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
