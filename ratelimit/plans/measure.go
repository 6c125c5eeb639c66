package plans

import (
	"maps"
	"slices"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/metrics"
)

// Measure implements [metrics.Source]: it adds how often the table was replaced, and the limits
// of the default, under no plan, and of each plan.
func (t *Table) Measure(r *metrics.Reading) {
	c := t.current.Load()
	if c == nil || !r.First(t) {
		return
	}
	r.Add(metrics.TableVersion, float64(t.version.Load()))
	ratelimit.MeasureLimits(r, c.fallback, "")
	for _, name := range slices.Sorted(maps.Keys(c.plans)) {
		ratelimit.MeasureLimits(r, c.plans[name], name)
	}
}

// Measure implements [metrics.Source]: it adds what the limits behind the cache show.
func (c *Cache) Measure(r *metrics.Reading) {
	if s, ok := c.limits.(metrics.Source); ok {
		s.Measure(r)
	}
}
