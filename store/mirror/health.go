package mirror

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror/internal/breaker"
)

// The names of the parts in [Store.Check].
const (
	PartShared = "shared" // the shared store, if it does not name its parts itself
	PartLocal  = "local"  // this node's share, which decides while the shared store is down
)

// Check implements [store.Checker]. It makes real decisions through the shared store, by
// its own Check if it has one, and by this node's share. Decides is the part that decides
// the next request, of most keys if the shared store has several parts. Since is when that
// last changed; it is zero if the shared store fails in Check alone, and no request has
// failed yet.
//
// With [Config.NoShare] nothing decides while the shared store is down.
func (s *Store) Check(ctx context.Context) store.Health {
	h := s.checkShared(ctx)
	decides, someDown := h.Status != store.StatusFailed, false
	var since time.Time
	for _, p := range s.breaker.Parts() {
		down, at, class := p.State()
		if p.Name == "" {
			since, decides = at, decides && !down
		}
		for i := range h.Parts {
			part := &h.Parts[i]
			if (p.Name == "" || p.Name == part.Name) && part.Since.IsZero() && part.OK != down {
				part.Since = at
			}
		}
		called := cmp.Or(p.Name, "the shared store")
		if down {
			someDown = true
			h.Warnings = append(h.Warnings, fmt.Sprintf("%s is down since %s (%s)", called, at.UTC().Format(time.RFC3339), class))
		}
		if at, step := p.Clock.LastStep(); step != 0 && time.Since(at) <= warnFor {
			h.Warnings = append(h.Warnings, fmt.Sprintf("the clock of %s was set by %v at %s, or this node stood still", called, step.Round(time.Millisecond), at.UTC().Format(time.RFC3339)))
		}
	}
	if !decides {
		h.Decides = ""
	}
	local := probe(ctx, &h, PartLocal, s.memory.Local(), breaker.RandomKey(), store.DefaultTimeout)
	if !decides && local.OK && !s.noShare {
		h.Decides = PartLocal
		local.Since = since
	}
	if !local.OK {
		h.Warnings = append(h.Warnings, fmt.Sprintf("this node's share, which decides while the shared store is down, fails its check (%s)", local.Class))
	}
	switch {
	case h.Decides == "":
		h.Status = store.StatusFailed
	case !decides || someDown || !local.OK:
		h.Status = store.StatusDegraded
	}
	if n := s.kept.count.Load(); n > 0 {
		h.Warnings = append(h.Warnings, fmt.Sprintf("%d settlements wait until the shared store is back", n))
	}
	if n := s.kept.dropped.Load(); n > 0 {
		h.Warnings = append(h.Warnings, fmt.Sprintf("%d settlements were dropped: too many waited, or the shared store rejected them", n))
	}
	if n := s.breaker.Panics(); n > 0 {
		h.Warnings = append(h.Warnings, fmt.Sprintf("Config.OnChange or OnStep panicked %d times", n))
	}
	return h
}

// warnFor is how long Check warns of a clock that was set.
const warnFor = time.Hour

// checkShared asks the shared store for its health, or probes it.
func (s *Store) checkShared(ctx context.Context) (h store.Health) {
	if checker, ok := s.shared.(store.Checker); ok {
		if store.Try(func() { h = checker.Check(ctx) }) != nil {
			return store.Health{Status: store.StatusFailed, Parts: []store.PartHealth{{Name: PartShared, Class: store.ClassPanic}}}
		}
		h.Parts, h.Warnings = slices.Clone(h.Parts), slices.Clone(h.Warnings) // the store may keep its own
		return h
	}
	timeout := max(s.breaker.Timeout(), store.DefaultTimeout)
	for _, p := range s.breaker.Parts()[1:] {
		if key, ok := p.Key(); ok { // else it has no keys any more
			probe(ctx, &h, p.Name, s.asked, key, timeout)
		}
	}
	if len(h.Parts) == 0 {
		probe(ctx, &h, PartShared, s.asked, breaker.RandomKey(), timeout)
	}
	h.Status = store.StatusFailed
	if slices.ContainsFunc(h.Parts, func(p store.PartHealth) bool { return p.OK }) {
		h.Status, h.Decides = store.StatusOK, PartShared
	}
	return h
}

// probe adds a part to h, after real decisions through it, and returns it.
func probe(ctx context.Context, h *store.Health, name string, backend store.Store, key string, timeout time.Duration) *store.PartHealth {
	part := store.PartHealth{Name: name}
	full, err := breaker.Probe(ctx, backend, key, timeout)
	if err != nil {
		part.Class = store.NewError(err, key).Class
	} else {
		part.OK, part.Proved = true, time.Now()
	}
	if full && name != PartLocal { // the share is asked only while it is needed
		h.Warnings = append(h.Warnings, "the store is full: new keys share buckets")
	}
	h.Parts = append(h.Parts, part)
	return &h.Parts[len(h.Parts)-1]
}
