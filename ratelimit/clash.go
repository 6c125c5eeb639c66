package ratelimit

import (
	"fmt"
	"slices"

	"github.com/keyrate/keyrate/store"
)

// mostClashes bounds the warnings.
const mostClashes = 4

// clashes returns a warning for each limit of l that another limiter on the same store
// has under the same name with other numbers: keys that both decide have one bucket for
// the two, and each decision cuts the debt to its own capacity.
func (l *Limiter) clashes() (warnings []string) {
	own := l.usual()
	if own == nil {
		return nil
	}
	for _, other := range limiters.inUse() {
		if other == l || !store.Same(l.origin, other.origin) {
			continue
		}
		theirs := other.usual()
		if theirs == nil {
			continue
		}
		for i := range own.limits {
			for j := range theirs.limits {
				if a, b := &own.limits[i], &theirs.limits[j]; clash(a, b) {
					warnings = append(warnings, fmt.Sprintf("the limit %q is %s here and %s in another limiter on this store: "+
						`a key that both decide has one bucket for the two; name one of them, as in ratelimit.PerDay(100).Named("daily")`,
						a.Name, own.written[i].numbers(), theirs.written[j].numbers()))
				}
			}
		}
	}
	slices.Sort(warnings)
	warnings = slices.Compact(warnings)
	return warnings[:min(len(warnings), mostClashes)]
}

// clash reports whether a and b would share a bucket that means something else to each.
func clash(a, b *store.Limit) bool { return a.Name == b.Name && a.Rate != b.Rate }

// numbers returns the text of l without its name, shadow and lock-out.
func (l Limit) numbers() string {
	l.Name, l.Shadow, l.EnforceFrom, l.EnforceFor, l.Lockout = "", false, 0, 0, Lockout{}
	return l.String()
}
