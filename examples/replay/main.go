// Command replay shows what limits would have done to the requests in access logs, and suggests
// limits. In this folder:
//
//	go run . -demo                                                # on a log with known answers
//	go run . /var/log/nginx/access.log*                           # what rate clients need, by address
//	go run . -key user -limit 5/s -limit '10/s, 500/h;name=hourly' -svg replay.svg access.log
//	zcat api.jsonl.gz | go run . -key request.headers.X-Api-Key -time ts -suggest limits.json -
//
// It reads the Common and the Combined log format, JSON lines and CSV, packed by gzip or not. It
// prints no key: a hash stands for it.
//
// The exit status is 0 if all files were read to their ends, also if lines were broken; 1 for an error,
// and for a damaged archive although the results of what could be read were printed and written; 2
// for wrong flags.
//
// options.go has the flags, sources.go opens the files, outputs.go checks where results go, session.go
// computes, report.go prints, the files that begin with chart draw. synthetic.go makes the log of the demo.
package main

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/keyrate/keyrate/examples/internal/serve"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	return serve.Run(ctx, "replay", stderr, err, func(ctx context.Context) error {
		if o.demo {
			return demo(ctx, o, stdout)
		}
		s, err := newSession(ctx, o, stdin, stderr)
		if err != nil {
			return inFlags(err)
		}
		s.print(stdout)
		return inFlags(errors.Join(s.write(stdout), s.incomplete()))
	})
}
