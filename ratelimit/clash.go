package ratelimit

import (
	"fmt"
	"reflect"
	"slices"
	"sync"
	"weak"

	"github.com/keyrate/keyrate/store"
)

// limiters are all that this process has made and still uses, so that Check can find two
// that would have different limits in one bucket. They are remembered weakly: what a
// program drops, it need not close.
var limiters registry

type registry struct {
	mu   sync.Mutex
	made []weak.Pointer[Limiter]
	most int // when those that are gone are dropped
}

// add remembers a limiter whose limits are known, at least those of most keys.
func (g *registry) add(l *Limiter) {
	if l.usual() == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.made) >= g.most {
		g.made = slices.DeleteFunc(g.made, func(p weak.Pointer[Limiter]) bool { return p.Value() == nil })
		g.most = max(2*len(g.made), 64)
	}
	g.made = append(g.made, weak.Make(l))
}

// all returns those that are still in use.
func (g *registry) all() (all []*Limiter) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.made {
		if l := p.Value(); l != nil {
			all = append(all, l)
		}
	}
	return all
}

// usual returns the policy of all keys, or of those that a table does not list; nil if it
// is not known.
func (l *Limiter) usual() *Policy {
	if l.policy != nil {
		return l.policy
	}
	r := replaceable(l.limits)
	if r == nil {
		return nil
	}
	p := r.Default()
	if d, ok := l.limits.(*derived); ok {
		p, _ = d.fromOrigin(p)
	}
	return p
}

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
	for _, other := range limiters.all() {
		if other == l || !sameStore(l.origin, other.origin) {
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

// numbers returns the text of l without its name and shadow.
func (l Limit) numbers() string {
	l.Name, l.Shadow, l.EnforceFrom = DefaultName, false, 0
	return l.String()
}

func sameStore(a, b store.Store) bool {
	return reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b
}
