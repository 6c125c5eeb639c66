package http

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/keyrate/keyrate/benchmarks/internal/child"
	"github.com/keyrate/keyrate/benchmarks/internal/report"
)

// A Target is a server and the connections to it, which stay open.
type Target struct {
	server  *child.Child
	callers []*Caller
	next    int // of the keys
}

// NewTarget connects to the server of a child, and makes one call over each connection.
func NewTarget(ctx context.Context, server *child.Child) (*Target, error) {
	var u usage
	if err := server.Do("usage", &u); err != nil {
		return nil, err
	}
	t := &Target{server: server}
	for n := range closedCallers {
		c, err := Dial(ctx, u.Address)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", server.Name, err)
		}
		t.callers = append(t.callers, c)
		if err := c.call(n); err != nil {
			return nil, fmt.Errorf("%s: %w", server.Name, err)
		}
	}
	return t, nil
}

// Close closes the connections.
func (t *Target) Close() {
	for _, c := range t.callers {
		c.Close()
	}
}

// Closed measures a server that is busy all the time. It has one core, and its
// callers together have the other.
func (t *Target) Closed(ctx context.Context, span time.Duration) (report.Figures, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if _, err := t.hurry(ctx, span/10); err != nil {
		return nil, err
	}
	var calls int
	cpu, took, err := t.measure(func() (err error) {
		calls, err = t.hurry(ctx, span)
		return err
	})
	if err != nil {
		return nil, err
	}
	return report.Figures{
		"cpu_us":     cpu.Seconds() * 1e6 / float64(calls),
		"per_second": float64(calls) / took.Seconds(),
		"cpu_share":  cpu.Seconds() / took.Seconds(),
	}, nil
}

// hurry lets every caller call again as soon as it has its answer. It ends in time, whatever the server does.
func (t *Target) hurry(ctx context.Context, span time.Duration) (calls int, err error) {
	deadline := time.Now().Add(span)
	var sent atomic.Int64
	err = t.each(deadline, func(c *Caller, number int) error {
		for key := t.next + number*7; ctx.Err() == nil && time.Now().Before(deadline); key++ {
			if err := c.call(key % httpKeys); err != nil {
				return err
			}
			sent.Add(1)
		}
		return ctx.Err()
	})
	t.next += int(sent.Load()) % httpKeys
	return int(sent.Load()), err
}

// open sends requests at a fixed rate, whether the server keeps up or not. The
// latency of each counts from when it was due, not from when it could be sent: a
// server that stops for a while is charged for all that were due meanwhile.
func (t *Target) open(ctx context.Context, span time.Duration) (report.Figures, error) {
	const most = 10 * time.Second
	histogram := hdrhistogram.New(1, most.Microseconds(), 3)
	var mu sync.Mutex
	requests := int(span.Seconds() * openRate)
	cpu, _, err := t.measure(func() error {
		due := pace(ctx, requests)
		return t.each(time.Now().Add(span+most), func(c *Caller, _ int) error {
			for r := range due {
				if err := c.call(r.key(t.next)); err != nil {
					return err
				}
				latency := time.Since(r.due)
				mu.Lock()
				err := histogram.RecordValue(max(latency.Microseconds(), 1))
				mu.Unlock()
				if err != nil {
					return err
				}
			}
			return ctx.Err()
		})
	})
	if err != nil {
		return nil, err
	}
	t.next += requests
	return report.Figures{
		"cpu_us": cpu.Seconds() * 1e6 / float64(requests),
		"p50_us": float64(histogram.ValueAtQuantile(50)),
		"p99_us": float64(histogram.ValueAtQuantile(99)),
		"max_us": float64(histogram.Max()),
	}, nil
}

// A request is one that is due at an instant.
type request struct {
	number int
	due    time.Time
}

func (r request) key(first int) int { return (first + r.number) % httpKeys }

// pace hands out requests when they are due. It never waits for the callers. It
// sleeps in the system: the runtime's timers are late by up to a millisecond when
// there is nothing else to do.
func pace(ctx context.Context, requests int) <-chan request {
	due := make(chan request, requests)
	go func() {
		defer close(due)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		start := time.Now()
		for n := range requests {
			r := request{n, start.Add(time.Duration(n) * time.Second / openRate)}
			for wait := time.Until(r.due); wait > 0; wait = time.Until(r.due) {
				pause := syscall.NsecToTimespec(int64(wait))
				_ = syscall.Nanosleep(&pause, nil) // interrupted: once more
			}
			if ctx.Err() != nil {
				return
			}
			due <- r
		}
	}()
	return due
}

// each lets all callers work, and gives none longer than until the deadline and a
// second.
func (t *Target) each(deadline time.Time, work func(c *Caller, number int) error) error {
	errs := make([]error, len(t.callers))
	var wg sync.WaitGroup
	for i, c := range t.callers {
		wg.Go(func() {
			errs[i] = errors.Join(c.Connection.SetDeadline(deadline.Add(time.Second)), work(c, i))
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%s: %w", t.server.Name, err)
	}
	return nil
}

// measure returns the processor time that the server takes for some work, and how
// long that lasts.
func (t *Target) measure(work func() error) (cpu, took time.Duration, err error) {
	var before, after usage
	if err := t.server.Do("usage", &before); err != nil {
		return 0, 0, err
	}
	start := time.Now()
	if err := work(); err != nil {
		return 0, 0, err
	}
	took = time.Since(start)
	if err := t.server.Do("usage", &after); err != nil {
		return 0, 0, err
	}
	return after.CPU - before.CPU, took, nil
}
