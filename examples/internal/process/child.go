package process

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"time"
)

// ServeTime is how long a process may take until it serves.
const ServeTime = 20 * time.Second

// Serve starts a process that ends with its standard input, and waits until it says where it
// serves: address is the first group of serving in its output. Where it does not, Serve ends it.
func Serve(ctx context.Context, command *exec.Cmd, serving *regexp.Regexp) (p *Process, stdin io.WriteCloser, address string, err error) {
	if stdin, err = command.StdinPipe(); err != nil {
		return nil, nil, "", err
	}
	if p, err = Start(command); err != nil {
		return nil, nil, "", err
	}
	late := time.After(ServeTime)
	for {
		if m := serving.FindStringSubmatch(p.Output()); m != nil {
			return p, stdin, m[1], nil
		}
		select {
		case <-p.Ended():
			return nil, nil, "", fmt.Errorf("a process has ended; it said:\n%s", p.Output())
		case <-ctx.Done():
			p.End()
			return nil, nil, "", ctx.Err()
		case <-late:
			p.End()
			return nil, nil, "", fmt.Errorf("a process does not serve; it said:\n%s", p.Output())
		case <-time.After(5 * time.Millisecond):
		}
	}
}
