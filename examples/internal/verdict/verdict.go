// Package verdict prints what held of what a demo promises, and what did not.
package verdict

import (
	"errors"
	"fmt"
	"io"
)

// A Verdict prints a line for each promise. It is for one goroutine.
type Verdict struct {
	Out    io.Writer
	broken []error
}

// Say prints a promise, after "held" or "BROKEN".
func (v *Verdict) Say(held bool, format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if held {
		fmt.Fprintf(v.Out, "held    %s\n", line)
		return
	}
	fmt.Fprintf(v.Out, "BROKEN  %s\n", line)
	v.broken = append(v.broken, errors.New(line))
}

// Err returns the broken promises, joined; nil if all held.
func (v *Verdict) Err() error { return errors.Join(v.broken...) }
