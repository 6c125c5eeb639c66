package serve

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Run runs a program until it returns, and cancels its context on Ctrl-C; a second Ctrl-C
// ends the process at once. It returns the exit status: 0, 1 after an error, which it
// prints, or 2 if the flags are wrong. flags is the error of [Flags.Parse].
func Run(ctx context.Context, name string, stderr io.Writer, flags error, program func(context.Context) error) int {
	switch {
	case errors.Is(flags, flag.ErrHelp):
		return 0
	case flags != nil:
		return 2 // Parse has printed why
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	if err := program(ctx); err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", name, err)
		return 1
	}
	return 0
}

// Flags are the flags of a program.
type Flags struct {
	*flag.FlagSet
	example string
}

// NewFlags returns a set without flags. example is one of them with a value, for the error
// that reports an argument without a flag.
func NewFlags(name, example string, stderr io.Writer) *Flags {
	f := &Flags{flag.NewFlagSet(name, flag.ContinueOnError), example}
	f.SetOutput(stderr)
	return f
}

// Parse reads args and then calls check, which reports flags that do not go together; nil
// checks nothing. It prints what is wrong.
func (f *Flags) Parse(args []string, check func() error) error {
	if err := f.FlagSet.Parse(args); err != nil {
		return err
	}
	var err error
	switch {
	case f.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q: use flags, such as %s", f.Arg(0), f.example)
	case check != nil:
		err = check()
	}
	if err != nil {
		fmt.Fprintln(f.Output(), err)
		f.Usage()
	}
	return err
}

// Given reports whether one of the flags was given.
func (f *Flags) Given(names ...string) bool {
	given := false
	f.Visit(func(one *flag.Flag) {
		for _, name := range names {
			given = given || one.Name == name
		}
	})
	return given
}
