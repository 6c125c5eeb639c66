package mirror

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

// The names of the parts in [Store.Check].
const (
	PartShared = "shared" // the shared store, if it does not name its parts itself
	PartLocal  = "local"  // what decides while it is away
)

// Check implements [ratelimit.Checker]: it makes real decisions through the shared store,
// by its own Check if it has one, and through what decides while that is away. Decides
// is the part that answers the next call, of most keys if the shared store consists of
// parts; and Since tells when that last changed. A shared store that fails in Check alone,
// which nobody has missed, has no Since.
//
// With [Config.NoShare] nothing decides while the shared store is away.
func (s *Store) Check(ctx context.Context) ratelimit.Health {
	h := s.checkShared(ctx)
	decides, someAway := h.Status != ratelimit.StatusFailed, false
	var since time.Time
	for _, p := range s.parts.all() {
		away, at, class := p.state()
		if p.name == "" {
			since, decides = at, decides && !away
		}
		for i := range h.Parts {
			part := &h.Parts[i]
			if (p.name == "" || p.name == part.Name) && part.Since.IsZero() && part.OK != away {
				part.Since = at
			}
		}
		if away {
			someAway = true
			h.Warnings = append(h.Warnings, fmt.Sprintf("%s counts as away since %s (%s)", p.called(), at.UTC().Format(time.RFC3339), class))
		}
		if warning := p.clock.warning(p.called()); warning != "" {
			h.Warnings = append(h.Warnings, warning)
		}
	}
	if !decides {
		h.Decides = ""
	}
	local := s.checkLocal(ctx)
	if !decides && local.OK && !s.noShare {
		h.Decides = PartLocal
		local.Since = since
	}
	if !local.OK {
		h.Warnings = append(h.Warnings, fmt.Sprintf("the standby, which decides while the shared store is away, fails its check (%s)", local.Class))
	}
	h.Parts = append(h.Parts, local)
	switch {
	case h.Decides == "":
		h.Status = ratelimit.StatusFailed
	case !decides || someAway || !local.OK:
		h.Status = ratelimit.StatusDegraded
	}
	if n := s.panics.Load(); n > 0 {
		h.Warnings = append(h.Warnings, fmt.Sprintf("Config.OnChange or OnStep panicked %d times", n))
	}
	return h
}

// called is what an operator knows the part by.
func (p *part) called() string {
	if p.name == "" {
		return "the shared store"
	}
	return p.name
}

// checkShared asks the shared store itself, or proves it.
func (s *Store) checkShared(ctx context.Context) (h ratelimit.Health) {
	if checker, ok := s.shared.(ratelimit.Checker); ok {
		defer func() {
			if recover() != nil {
				h = ratelimit.Health{Status: ratelimit.StatusFailed, Parts: []ratelimit.PartHealth{{Name: PartShared, Class: ratelimit.ClassPanic}}}
			}
		}()
		h = checker.Check(ctx)
		// It may keep them.
		h.Parts, h.Warnings = slices.Clone(h.Parts), slices.Clone(h.Warnings)
		return h
	}
	timeout := max(time.Duration(s.patience.Load()), ratelimit.DefaultTimeout)
	for _, p := range s.parts.all()[1:] {
		if key, ok := s.parts.keyOf(p); ok { // else it has no keys any more
			part, warnings := s.check(ctx, p.name, s.asked, key, timeout)
			h.Parts, h.Warnings = append(h.Parts, part), append(h.Warnings, warnings...)
		}
	}
	if len(h.Parts) == 0 {
		part, warnings := s.check(ctx, PartShared, s.asked, probeKey(), timeout)
		h.Parts, h.Warnings = append(h.Parts, part), warnings
	}
	h.Status = ratelimit.StatusFailed
	for _, part := range h.Parts {
		if part.OK {
			h.Status, h.Decides = ratelimit.StatusOK, PartShared
		}
	}
	return h
}

// checkLocal proves what decides while the shared store is away. A memory that is full
// of debts is no reason for a warning: it is asked when it is needed.
func (s *Store) checkLocal(ctx context.Context) ratelimit.PartHealth {
	part, _ := s.check(ctx, PartLocal, s.local, probeKey(), ratelimit.DefaultTimeout)
	return part
}

// check makes real decisions through one part.
func (s *Store) check(ctx context.Context, name string, store ratelimit.Store, key string, timeout time.Duration) (part ratelimit.PartHealth, warnings []string) {
	part.Name = name
	full, err := proves(ctx, store, key, timeout)
	if err != nil {
		part.Class = classOf(err)
		return part, nil
	}
	if full {
		warnings = []string{"the store is full: new keys share buckets"}
	}
	part.OK, part.Proved = true, time.Now()
	return part, warnings
}
