package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"time"

	"github.com/keyrate/keyrate/examples/internal/process"
	"github.com/keyrate/keyrate/examples/internal/serve"
)

// A plan is how long each part of the load lasts.
type plan struct {
	warm         time.Duration // before figures are taken
	below, above time.Duration // without faults, by how much is called
	dead         time.Duration // from the end of a process until that of Redis
	down, back   time.Duration // of Redis

	fewer float64 // how many times fewer trips a decision must take with leases
}

// standard is what -demo does.
var standard = plan{
	warm: 500 * time.Millisecond, below: 4 * time.Second, above: 4 * time.Second,
	dead: 3 * time.Second, down: time.Second, back: 2500 * time.Millisecond,
	fewer: 10,
}

const (
	demoTime = 100 * time.Second
	secret   = "the same in all processes of the demo"
)

// demo runs the load without and with leases, kills a process and Redis in the latter, and prints
// what it cost and what was admitted. The error says what did not hold.
func demo(ctx context.Context, p plan, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, demoTime)
	defer cancel()
	fmt.Fprintf(out, intro, limit.Rate, burst, nodeCount, below, above, visitorCount)
	without, err := try(ctx, p, false, out)
	if err != nil {
		return err
	}
	with, err := try(ctx, p, true, out)
	if err != nil {
		return err
	}
	return judge(p, without, with, out)
}

const intro = `One key has a limit of %d per second, and a burst of %d. %d processes on one Redis call their limiters
%d times per second together, then %d times, as a round-robin load balancer would make them;
%d clients call over HTTP through a real one.

`

// An attempt is what came of one load.
type attempt struct {
	below, above part
	faults       faults
	samples      []sample
	visitors     *visitors
}

// end returns the last sample.
func (a *attempt) end() *sample { return &a.samples[len(a.samples)-1] }

// try starts a Redis and a fleet and runs the load; with leases, faults follow.
func try(ctx context.Context, p plan, leases bool, out io.Writer) (a *attempt, err error) {
	r, err := process.StartRedis(ctx)
	if errors.Is(err, exec.ErrNotFound) {
		return nil, fmt.Errorf("%w: the demo measures a real Redis; install redis-server", err)
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	folder, err := os.MkdirTemp("", "keyrate-fleet-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	f, err := startFleet(ctx, r.URL(), folder, leases)
	if err != nil {
		return nil, err
	}
	defer f.end()
	fmt.Fprintf(out, "%s leases: %v and %v", map[bool]string{false: "Without", true: "With"}[leases], p.below, p.above)
	transport := &http.Transport{MaxIdleConnsPerHost: visitorCount}
	defer transport.CloseIdleConnections()
	a = new(attempt)
	err = serve.Demo(ctx, newProxy(transport, f.hosts()), func(ctx context.Context, url string, client *http.Client) error {
		return f.under(ctx, client, url, func(ctx context.Context) error { return a.run(ctx, p, leases, f, r, out) })
	})
	if err != nil {
		return nil, err
	}
	if _, err := f.look(); err != nil {
		return nil, err
	}
	a.samples, a.visitors = f.taken(), &f.visitors
	return a, nil
}

// run runs the parts of the load.
func (a *attempt) run(ctx context.Context, p plan, leases bool, f *fleet, r *process.Redis, out io.Writer) (err error) {
	if _, err := f.part(ctx, below, p.warm, r.Address); err != nil {
		return err
	}
	if a.below, err = f.part(ctx, below, p.below, r.Address); err != nil {
		return err
	}
	if a.above, err = f.part(ctx, above, p.above, r.Address); err != nil {
		return err
	}
	if leases {
		err = a.faults.happen(ctx, p, f, r, out)
	}
	fmt.Fprintln(out, ".")
	return errors.Join(err, f.spread(0))
}
