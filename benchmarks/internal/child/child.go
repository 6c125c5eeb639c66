package child

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// childVariable, in the environment, makes the program a child. Its value is the kind. A
// child answers each line of its standard input, which ends when the parent does.
const childVariable = "KEYRATE_BENCHMARKS_CHILD"

// A Worker does the work of a child: SetUp gets the first line, Do each line after that and
// returns the answer.
type Worker interface {
	SetUp(args json.RawMessage) error
	Do(args json.RawMessage) (any, error)
}

// Kinds maps the names of kinds of child to functions that make their workers.
type Kinds map[string]func() Worker

// A reply is a line that a child writes.
type reply struct {
	Error string          `json:"error,omitempty"`
	Value json.RawMessage `json:"value,omitempty"`
}

// Main is the TestMain of a package whose tests start children: the test's binary can be a
// child, as the program can be. It returns the exit code of the child, or that of run.
func Main(workers Kinds, run func() int) int {
	if code, ok := Serve(workers); ok {
		return code
	}
	return run()
}

// Serve does the work of a child if this process is one, on its standard input and output,
// and returns its exit code. Otherwise it reports that the process is no child.
func Serve(workers Kinds) (code int, isChild bool) {
	kind, isChild := os.LookupEnv(childVariable)
	if !isChild {
		return 0, false
	}
	hire, ok := workers[kind]
	if !ok {
		fmt.Fprintln(os.Stderr, "benchmarks: no such child:", kind)
		return 2, true
	}
	return work(hire, os.Stdin, os.Stdout), true
}

// work answers each line of in until it ends, and returns the exit code.
func work(hire func() Worker, in io.Reader, out io.Writer) int {
	w := hire()
	decoder, encoder := json.NewDecoder(bufio.NewReader(in)), json.NewEncoder(out)
	for first := true; ; first = false {
		var args json.RawMessage
		if err := decoder.Decode(&args); err != nil {
			return 0 // the parent is done, or has ended
		}
		var value any
		var err error
		if first {
			err = w.SetUp(args)
		} else {
			value, err = w.Do(args)
		}
		var r reply
		if err == nil {
			r.Value, err = json.Marshal(value)
		}
		if err != nil {
			r = reply{Error: err.Error()}
		}
		if err := encoder.Encode(r); err != nil {
			return 1
		}
	}
}

// A Child is a child process, as its parent sees it.
type Child struct {
	Name    string
	command *exec.Cmd
	in      io.WriteCloser
	encoder *json.Encoder
	decoder *json.Decoder
}

// Start starts this program as a child and sets it up. The child ends with Stop, and with
// the context.
func Start(ctx context.Context, kind, name string, args any) (*Child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return StartProgram(ctx, self, kind, name, args)
}

// StartProgram is Start with another program, which must call Serve.
func StartProgram(ctx context.Context, path, kind, name string, args any) (*Child, error) {
	if _, isChild := os.LookupEnv(childVariable); isChild {
		return nil, errors.New("a child process must not start another; does its main or TestMain call Serve?")
	}
	command := exec.CommandContext(ctx, path)
	command.Env = append(os.Environ(), childVariable+"="+kind)
	command.Stderr = os.Stderr
	command.WaitDelay = time.Second
	in, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	c := &Child{Name: name, command: command, in: in, encoder: json.NewEncoder(in), decoder: json.NewDecoder(out)}
	if err := c.Do(args, nil); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

// Do sends a line, waits for the answer and puts it into value.
func (c *Child) Do(args, value any) error {
	if err := c.encoder.Encode(args); err != nil {
		return fmt.Errorf("%s: %w", c.Name, err)
	}
	var r reply
	if err := c.decoder.Decode(&r); err != nil {
		return fmt.Errorf("%s: the child process ended: %w", c.Name, err)
	}
	if r.Error != "" {
		return fmt.Errorf("%s: %s", c.Name, r.Error)
	}
	if value == nil {
		return nil
	}
	return json.Unmarshal(r.Value, value)
}

// Stop ends the child and waits for it.
func (c *Child) Stop() error {
	err := c.in.Close()
	killer := time.AfterFunc(10*time.Second, func() { _ = c.command.Process.Kill() })
	defer killer.Stop()
	if waited := c.command.Wait(); waited != nil {
		return fmt.Errorf("%s: %w", c.Name, waited)
	}
	return err
}
