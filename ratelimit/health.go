package ratelimit

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/keyrate/keyrate/store"
)

// Check makes real decisions through the store and checks their outcome: a store that
// admits everything, denies everything, or merely answers a ping, fails. Each decision
// takes at most Config.Timeout. It also warns of limits that clash, look-ups that fail or find
// a policy that cannot be used, and observers that panic, and shows what a method
// Warnings() []string of the Limits returns. The handler for it is in package middleware.
func (l *Limiter) Check(ctx context.Context) store.Health {
	if l.record == nil {
		return store.Health{Status: store.StatusFailed, Warnings: []string{errZeroLimiter.Error()}}
	}
	h := store.Check(ctx, l.origin, l.timeout)
	h.Parts = l.proofs.fill(h.Parts)
	h.Warnings = append(slices.Clip(h.Warnings), l.clashes()...) // the store may keep its own
	if n := l.panics.Load(); n > 0 {
		h.Warnings = append(h.Warnings, fmt.Sprintf("Config.Observe panicked %d times", n))
	}
	if n := l.renewals.failures.Load(); n > 0 {
		h.Warnings = append(h.Warnings, fmt.Sprintf("the renewal of holds failed %d times in a row", n))
	}
	if n := l.lookups.Load(); n > 0 {
		h.Warnings = append(h.Warnings, fmt.Sprintf("the look-up of limits failed %d times in a row", n))
		if h.Status == store.StatusOK {
			h.Status = store.StatusDegraded
		}
	}
	if of, ok := l.limits.(interface{ Warnings() []string }); ok {
		if store.Try(func() { h.Warnings = append(h.Warnings, of.Warnings()...) }) != nil {
			h.Warnings = append(h.Warnings, "Warnings of the limits panicked")
		}
	}
	return h
}

// proofs remember when each part last decided correctly. The zero value is ready to use.
type proofs struct {
	mu   sync.Mutex
	last map[string]time.Time // by name
}

// mostProofs bounds how many parts are remembered.
const mostProofs = 1024

// fill returns the parts with the last proof of those that have none of their own.
func (p *proofs) fill(parts []store.PartHealth) []store.PartHealth {
	p.mu.Lock()
	defer p.mu.Unlock()
	parts = slices.Clone(parts) // the store may keep them
	for i := range parts {
		part := &parts[i]
		if part.Proved.IsZero() {
			part.Proved = p.last[part.Name]
			continue
		}
		if p.last == nil || len(p.last) >= mostProofs {
			p.last = make(map[string]time.Time)
		}
		p.last[part.Name] = part.Proved
	}
	return parts
}
