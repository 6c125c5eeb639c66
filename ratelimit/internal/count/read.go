package count

import (
	"github.com/keyrate/keyrate/ratelimit/metrics"
	"github.com/keyrate/keyrate/store"
)

// classes are those of package store. Stores add their own: see [metrics.StoreErrors].
var classes = [...]string{
	store.ClassTimeout, store.ClassCanceled, store.ClassPanic, store.ClassWrong, store.ClassLimits, store.ClassOther,
}

// Measure implements [metrics.Source].
func (c *Counts) Measure(r *metrics.Reading) {
	var ended [metrics.Outcomes]int64
	for i := range c.outcomes {
		for o := range ended {
			ended[o] += c.outcomes[i].n[o].Load()
		}
	}
	for o, n := range ended {
		r.Add(metrics.Checks, float64(n), metrics.Outcome(o).String())
	}
	for o := range c.took {
		c.took[o].read(r, metrics.CheckDuration, metrics.Outcome(o).String())
	}
	if all := c.series.Load(); all != nil {
		for _, s := range *all {
			if s != nil {
				s.measure(r)
			}
		}
	}
	for _, class := range classes {
		r.Add(metrics.StoreErrors, 0, class)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for class, n := range c.errors {
		r.Add(metrics.StoreErrors, float64(n), class)
	}
}

// measure adds what the cells of a series mean.
func (s *Series) measure(r *metrics.Reading) {
	var tokens int64
	for source := range sources {
		for mode := range modes {
			for lacked := range 1 << len(s.names.limits) {
				var n int64
				for i := range s.stripes {
					n += s.stripes[i].cells[source][mode][lacked].Load()
				}
				if lacked == 0 {
					tokens += n // of one each
					for i := range s.stripes {
						n += s.stripes[i].priced[source][mode].Load()
					}
				}
				if n == 0 {
					continue
				}
				switch {
				case mode == Enforced && lacked != 0:
					r.Add(metrics.Checks, float64(n), metrics.Denied.String())
				case mode != Beside:
					r.Add(metrics.Checks, float64(n), metrics.Allowed.String())
				}
				s.evaluations(r, n, store.Source(source+1), mode, uint8(lacked))
			}
		}
	}
	for i := range s.stripes {
		tokens += s.stripes[i].tokens.Load()
	}
	for i, l := range s.names.limits {
		if !l.loan && tokens > 0 {
			r.Add(metrics.Cost, float64(tokens), s.labels[i])
		}
		s.used[i].read(r, metrics.Utilization, s.labels[i])
	}
}

// evaluations adds n decisions of one kind.
func (s *Series) evaluations(r *metrics.Reading, n int64, source store.Source, mode Mode, lacked uint8) {
	for i := range s.names.limits {
		result := "admitted"
		switch {
		case lacked>>i&1 == 0:
		case mode != Enforced:
			result = "would_deny"
		default:
			result = "denied"
		}
		r.Add(metrics.Evaluations, float64(n), s.labels[i], result, source.String())
	}
}

// Denied returns how many calls were denied.
func (c *Counts) Denied() (n int64) {
	all := c.series.Load()
	if all == nil {
		return 0
	}
	for _, s := range *all {
		if s == nil {
			continue
		}
		for i := range s.stripes {
			for source := range sources {
				for lacked := 1; lacked < 1<<store.MaxLimits; lacked++ {
					n += s.stripes[i].cells[source][Enforced][lacked].Load()
				}
			}
		}
	}
	return n
}
