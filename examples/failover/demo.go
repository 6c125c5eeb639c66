package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/keyrate/keyrate/examples/internal/serve"
)

// A phase is a time in which Redis is in one state, into which a fault brings it.
type phase struct {
	redis string // its state
	fault fault
	lasts time.Duration
}

// A plan is what happens to Redis, and in what steps the callers' view is shown. Each
// phase lasts some whole steps.
type plan struct {
	phases []phase
	step   time.Duration
	embed  bool // even if there is a redis-server
}

// standard is what -demo does.
var standard = planOf(4*time.Second, 6*time.Second, 5*time.Second, 5*time.Second, 7*time.Second)

// planOf makes a plan of the lengths of its phases.
func planOf(well, hung, resumed, dead, back time.Duration) plan {
	return plan{step: time.Second, phases: []phase{
		{"well", none, well},
		{"hung", hang, hung},
		{"well again", resume, resumed},
		{"dead", kill, dead},
		{"back, empty", restart, back},
	}}
}

func (p plan) lasts() time.Duration {
	var sum time.Duration
	for _, phase := range p.phases {
		sum += phase.lasts
	}
	return sum
}

// at returns the phase of an instant.
func (p plan) at(instant time.Duration) phase {
	for _, phase := range p.phases {
		if instant < phase.lasts {
			return phase
		}
		instant -= phase.lasts
	}
	return p.phases[len(p.phases)-1]
}

// demo serves the API, calls it over HTTP, does to Redis what is planned, and prints
// what the callers see. The error says what did not hold.
func demo(ctx context.Context, p plan, file string, out io.Writer, logger *slog.Logger) (err error) {
	fmt.Fprintf(out, "%d calls a second by %d keys with a limit of %s each; open loop, over HTTP, for %v.\n", callRate, keyCount, limit, p.lasts())
	v, err := newVictim(ctx, p.embed, out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.close()) }()
	l, seen := newLoad(p.lasts(), p.step), &history{}
	a, err := newAPI(setup{redis: v.url(), nodes: 1, logger: logger, onChange: seen.changed, observe: l.observe})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	var rows []row
	err = serve.Demo(ctx, numbered(a), func(ctx context.Context, url string, _ *http.Client) error {
		l.url = url
		rows, err = watch(ctx, p, v, l, seen, out)
		return err
	})
	if err != nil {
		return err
	}
	if file != "" {
		if err := writeFile(file, rows); err != nil {
			return err
		}
	}
	return judge(l.answered(p.lasts()), rows, seen, out)
}

// watch runs the load and the faults, and prints a row for each step when the last
// call that was due in it is answered.
func watch(ctx context.Context, p plan, v victim, l *load, seen *history, out io.Writer) ([]row, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l.start = time.Now()
	seen.start = l.start
	var working sync.WaitGroup
	defer working.Wait()
	defer cancel()
	working.Go(func() { l.run(ctx) })
	failed := make(chan error, 1)
	working.Go(func() {
		err := seen.happen(ctx, p, v)
		if err != nil {
			cancel()
		}
		failed <- err
	})
	fmt.Fprint(out, heading)
	var rows []row
	for from := time.Duration(0); from < p.lasts(); from += p.step {
		calls := l.answered(from + p.step)
		if ctx.Err() != nil {
			return nil, <-failed
		}
		r := rowOf(calls, from, from+p.step, p.at(from).redis, seen.lost(calls))
		r.print(out)
		rows = append(rows, r)
	}
	return rows, <-failed
}

func writeFile(name string, rows []row) (err error) {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return writeCSV(file, rows)
}
