package plans

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

// mostWarnings is how many warnings there are at most.
const mostWarnings = 20

// Warnings returns what is allowed in c and probably not meant, in lines for operators, 20 at
// most, which show no key: limits of a day or longer whose burst is their rate, since such a
// bucket admits nearly twice its rate in its first period.
func (c TableConfig) Warnings() (lines []string) {
	warn := func(place string, p *ratelimit.Policy) {
		if p == nil {
			return
		}
		for _, l := range p.Limits() {
			if !l.Concurrent && l.Period >= 24*time.Hour && l.Burst == l.Rate && l.Rate > 1 {
				tenth := l
				tenth.Burst = max(l.Rate/10, 1)
				tenth.Rate -= tenth.Burst
				lines = append(lines, fmt.Sprintf("%s: %v admits up to %d in its first period, since the bucket begins full and tokens come back meanwhile; for at most %d, rate and burst must add up to that, as in %v",
					place, l, 2*int64(l.Rate)-1, l.Rate, tenth))
			}
		}
	}
	warn("default", c.Default)
	for _, name := range slices.Sorted(maps.Keys(c.Plans)) {
		warn("plan "+cut(name), c.Plans[name])
	}
	own := make(map[*ratelimit.Policy]bool)
	for _, p := range c.Keys {
		own[p] = true
	}
	for _, name := range slices.Sorted(maps.Keys(c.Organisations)) {
		warn("organisation "+cut(name), c.Organisations[name].Limits)
		for _, p := range c.Organisations[name].Keys {
			own[p] = true
		}
	}
	before := len(lines)
	for p := range own {
		warn("a key", p)
	}
	slices.Sort(lines[before:])
	lines = slices.Compact(lines)
	if len(lines) > mostWarnings {
		lines = append(lines[:mostWarnings-1], fmt.Sprintf("and %d more", len(lines)-mostWarnings+1))
	}
	return lines
}
