package ratelimit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// A Status sums up a [Health].
type Status string

// What a Health can be.
const (
	StatusOK       Status = "ok"       // every part decides as it should
	StatusDegraded Status = "degraded" // decisions are made, but not by every part
	StatusFailed   Status = "failed"   // nothing that was tried decides
)

// Health is what [Limiter.Check] found.
type Health struct {
	Status   Status
	Decides  string       // the part that decides now; "" if none does
	Parts    []PartHealth // each part of the store, tried on its own
	Warnings []string     // what an operator should look at, though decisions are made
}

// PartHealth is what one part of a store answered when it was tried.
type PartHealth struct {
	Name   string
	OK     bool
	Class  string    // the class of its failure, "" if OK
	Since  time.Time // since when it is as it is; zero if not known
	Proved time.Time // when it last decided as it should; zero if never
}

// A Checker is a [Store] that consists of parts, or that knows more of its health
// than a decision shows. [Limiter.Check] asks it instead of calling [Prove].
type Checker interface {
	Check(ctx context.Context) Health
}

// Check makes real decisions through the store and looks whether they are right:
// a store that admits everything, refuses everything, or merely answers a ping,
// fails. It takes at most Config.Timeout for each decision. The handler for it is
// in package middleware.
func (l *Limiter) Check(ctx context.Context) Health {
	var h Health
	if l.record == nil {
		return Health{Status: StatusFailed, Warnings: []string{errZeroLimiter.Error()}}
	}
	if checker, ok := l.store.(Checker); ok {
		h = checker.Check(ctx)
	} else {
		h = checkStore(ctx, l.store, l.timeout)
	}
	h.Parts = l.proofs.fill(h.Parts)
	h.Warnings = append(slices.Clip(h.Warnings), l.clashes()...) // the store may keep its own
	if n := l.panics.Load(); n > 0 {
		h.Warnings = append(h.Warnings, fmt.Sprintf("Config.Observe panicked %d times", n))
	}
	if n := l.lookups.Load(); n > 0 {
		h.Warnings = append(h.Warnings, fmt.Sprintf("the look-up of limits failed %d times in a row", n))
		if h.Status == StatusOK {
			h.Status = StatusDegraded
		}
	}
	return h
}

// proofs remember when each part last decided as it should. The zero value is ready for
// use.
type proofs struct {
	mu   sync.Mutex
	last map[string]time.Time // by name
}

// mostProofs bounds how many parts are remembered.
const mostProofs = 1024

// fill returns the parts with the last proof of those that have none of their own.
func (p *proofs) fill(parts []PartHealth) []PartHealth {
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

// checkStore is Check for a store that is one part.
func checkStore(ctx context.Context, s Store, timeout time.Duration) Health {
	part := PartHealth{Name: "store"}
	var warnings []string
	err := Prove(ctx, s, timeout)
	if errors.Is(err, ErrOverflow) {
		warnings, err = []string{"the store is full: new keys share buckets"}, nil
	}
	if err != nil {
		part.Class = storeError(err, "").Class
		return Health{Status: StatusFailed, Parts: []PartHealth{part}}
	}
	part.OK, part.Proved = true, time.Now()
	return Health{Status: StatusOK, Decides: part.Name, Parts: []PartHealth{part}, Warnings: warnings}
}

// ClassWrong is the class of a store that answers, but not what is right.
const ClassWrong = "wrong"

// ErrOverflow is what [Prove] returns for a store that has no room for a bucket
// of the probe's own: it decides, but nothing can be proved.
var ErrOverflow = errors.New("ratelimit: the store is full and decided by a bucket shared with other keys")

// probe is a policy of one token: slow enough that the way to an honest store
// cannot blur the answer, and quick enough that what a probe leaves behind in a
// full store, in a bucket that others share, is soon gone.
var probe = mustPolicy(Limit{Name: "keyrate probe", Rate: 1, Period: probePeriod})

const probePeriod = 10 * time.Second

// Prove makes real decisions with a random key and asserts their outcome: the
// first call is admitted, the second refused with the right wait, and after a
// reset the bucket is full. Each step takes at most timeout. It is for [Checker]s
// that prove their parts one by one.
func Prove(ctx context.Context, s Store, timeout time.Duration) error {
	return ProveKey(ctx, s, "probe "+rand.Text(), timeout)
}

// ProveKey is [Prove] with a key of the caller's, who knows which part of the store has
// its buckets. It must be nobody else's: it should be random.
func ProveKey(ctx context.Context, s Store, key string, timeout time.Duration) error {
	step := func(cost int) (Decision, error) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		return s.Take(ctx, Request{Key: key, Policy: probe, Cost: cost, Timeout: timeout})
	}
	wrong := func(what string) error {
		return &StoreError{Class: ClassWrong, Err: errors.New(what)}
	}

	start := time.Now()
	first, err := step(1)
	if err != nil {
		return err
	}
	if first.Overflow {
		return ErrOverflow
	}
	bucket := probe.Bucket(0)
	if !first.Allowed || first.Debts[0] != bucket.Capacity() {
		return wrong("a full bucket did not admit a call, or did not charge it")
	}
	second, err := step(1)
	if err != nil {
		return err
	}
	if second.Overflow {
		return ErrOverflow
	}
	wait := bucket.RetryAfter(second.Debts[0], 1)
	elapsed := time.Since(start)
	if elapsed > probePeriod/2 {
		return &StoreError{Class: ClassTimeout, Err: errors.New("it is too slow to be tried")}
	}
	// A second of grace: the store's clock need not run exactly as ours does.
	if second.Allowed || wait > probePeriod || wait < probePeriod-elapsed-time.Second {
		return wrong("an empty bucket admitted a call, or told the wrong wait")
	}
	resetCtx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := s.Reset(resetCtx, key, probe); err != nil {
		return err
	}
	third, err := step(0)
	if err != nil {
		return err
	}
	if third.Overflow {
		return ErrOverflow
	}
	if third.Debts[0] != (Debt{}) {
		return wrong("a reset did not fill the bucket")
	}
	return nil
}

func mustPolicy(l Limit) *Policy {
	p, err := NewPolicy(l)
	if err != nil {
		panic(err) // a constant of this package is wrong
	}
	return p
}
