package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/keyrate/keyrate/store/mirror"
)

// A history is what happened to Redis, and what the mirror reported of it.
type history struct {
	start time.Time

	mu      sync.Mutex
	faults  []event
	changes []mirror.Change
	losses  []loss
}

// An event is the beginning of a phase: its fault takes a moment.
type event struct {
	phase     phase
	begin, at time.Duration
}

// happen does the faults when they are due.
func (h *history) happen(ctx context.Context, p plan, v victim) error {
	var due time.Duration
	for _, phase := range p.phases {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Until(h.start.Add(due))):
		}
		begin := time.Since(h.start)
		if err := v.suffer(ctx, phase.fault); err != nil {
			return fmt.Errorf("redis cannot be made %s: %w", phase.redis, err)
		}
		end := time.Since(h.start)
		h.mu.Lock()
		if phase.fault == kill {
			h.losses = append(h.losses, loss{begin: begin, end: end})
		}
		h.faults = append(h.faults, event{phase, begin, end})
		h.mu.Unlock()
		due += phase.lasts
	}
	return nil
}

func (h *history) changed(c mirror.Change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.changes = append(h.changes, c)
}

// lost returns the losses so far, of these calls.
func (h *history) lost(calls []call) []loss {
	h.mu.Lock()
	losses := append([]loss(nil), h.losses...)
	h.mu.Unlock()
	for i := range losses {
		losses[i].weigh(calls)
	}
	return losses
}

// reported returns how long after a fault the mirror reported that Redis was down, or back.
// If it did not before the next fault, ok is false.
func (h *history) reported(i int, down bool) (after time.Duration, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.changes {
		at := c.At.Sub(h.start)
		if i+1 < len(h.faults) && at > h.faults[i+1].at {
			break
		}
		if c.Down == down && at >= h.faults[i].begin {
			return max(at-h.faults[i].at, 0), true
		}
	}
	return 0, false
}
