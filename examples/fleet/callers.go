package main

import (
	"bufio"
	"context"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

const (
	hotKey      = "hot"
	callerCount = 64 // of each process, at a time
	// callersStep is the time after which a caller looks which of its calls are due. Those that
	// are later than callersPatience are not made.
	callersStep     = 10 * time.Millisecond
	callersPatience = 100 * time.Millisecond
)

// The callers of one process call its limiter.
type callers struct {
	limiter *ratelimit.Limiter
	ledger  *ledger
	pace    atomic.Int64 // calls per second of all of them
}

// startCallers starts the callers, which call as often as the last line of stdin says. The context
// ends with stdin; stop ends the callers.
func startCallers(ctx context.Context, limiter *ratelimit.Limiter, file string, stdin io.Reader) (_ context.Context, stop func() error, err error) {
	ctx, cancel := context.WithCancel(ctx)
	c := &callers{limiter: limiter}
	if c.ledger, err = openLedger(file); err != nil {
		cancel()
		return ctx, nil, err
	}
	go func() {
		defer cancel()
		for lines := bufio.NewScanner(stdin); lines.Scan(); {
			if pace, err := strconv.ParseInt(lines.Text(), 10, 64); err == nil {
				c.pace.Store(pace)
			}
		}
	}()
	var calling sync.WaitGroup
	for i := range callerCount {
		calling.Go(func() { c.call(ctx, i) })
	}
	return ctx, func() error {
		cancel()
		calling.Wait()
		return c.ledger.Close()
	}, nil
}

// call makes the calls of one caller until ctx ends. A caller that falls behind makes its calls
// one after the other.
func (c *callers) call(ctx context.Context, i int) {
	slot := c.ledger.slot(i)
	time.Sleep(callersStep * time.Duration(i) / callerCount) // so that they do not call at once
	steps := time.NewTicker(callersStep)
	defer steps.Stop()
	decision := context.WithoutCancel(ctx)
	due, last := 0.0, time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-steps.C:
		}
		now := time.Now()
		pace := float64(c.pace.Load()) / callerCount // calls per second
		due = min(due+pace*now.Sub(last).Seconds(), max(pace*callersPatience.Seconds(), 1))
		for last = now; due >= 1 && c.pace.Load() > 0 && ctx.Err() == nil; due-- {
			begin := time.Now()
			r, err := c.limiter.Allow(decision, hotKey)
			slot.enter(&r, err, time.Since(begin))
		}
		if c.pace.Load() == 0 {
			due = 0
		}
	}
}
