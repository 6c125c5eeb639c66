package mirror

import (
	"cmp"

	"github.com/keyrate/keyrate/ratelimit/metrics"
)

// Measure implements [metrics.Source]: it adds which parts of the shared store are asked, by
// the names that Check uses, and what the shared store shows itself.
func (s *Store) Measure(r *metrics.Reading) {
	if !r.First(s) {
		return
	}
	for _, p := range s.breaker.Parts() {
		available := 1.0
		if down, _, _ := p.State(); down {
			available = 0
		}
		r.Set(metrics.StoreAvailable, available, cmp.Or(p.Name, PartShared))
	}
	r.Add(metrics.StoreErrors, 0, ClassDown)
	if source, ok := s.shared.(metrics.Source); ok {
		source.Measure(r)
	}
}
