package pace

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware/internal/signals"
)

// TestRoutesAreBounded checks that the last routes and limits are remembered, and that
// unknown routes have the limits of most.
func TestRoutesAreBounded(t *testing.T) {
	p := &Pace{maxWait: time.Minute}
	now := time.Now()
	for i := range 10_000 {
		w := &waiter{Ticket: Ticket{route: Route(i)}}
		w.set = p.routes.of(w.route)
		reported := signals.Limits{All: []signals.Limit{
			{Name: "core", Quota: 100, Window: time.Second, Remaining: 99, Reset: time.Second},
			{Name: fmt.Sprint(i), Quota: 10, Window: time.Second, Remaining: 9, Reset: time.Second},
		}}
		p.Learn(p.grant(w, now), reported, signals.Denial{}, 1, now)
		if n := len(p.routes.byKey); n > maxRoutes || len(p.routes.sets) > maxRoutes+1 || len(p.limiters) > maxLimiters {
			t.Fatalf("%d routes, %d sets, %d limits", n, len(p.routes.sets), len(p.limiters))
		}
		rest := p.routes.rest
		if i > 0 && (rest == nil || len(rest.limiters) != 1 || rest.limiters[0].name != "core") {
			t.Fatalf("after %d routes the others are held by %+v", i+1, rest)
		}
		if own := p.routes.of(w.route); len(own.limiters) != 2 {
			t.Fatalf("the last route is held by %d limits", len(own.limiters))
		}
	}
	for _, l := range p.limiters {
		n := 0
		for _, r := range p.routes.byKey {
			if r.set.has(l) {
				n++
			}
		}
		if n != l.routes {
			t.Errorf("%s counts %d routes and has %d", l.name, l.routes, n)
		}
	}
	// Without reports, none is left.
	later := now.Add(time.Hour)
	for _, key := range slices.Collect(maps.Keys(p.routes.byKey)) {
		w := &waiter{Ticket: Ticket{route: key}, set: p.routes.of(key)}
		p.Learn(p.grant(w, later), signals.Limits{}, signals.Denial{}, 1, later)
	}
	if len(p.routes.byKey) > 0 || p.routes.rest != nil || len(p.routes.sets) > 0 {
		t.Errorf("%d routes, %d sets and %+v remain", len(p.routes.byKey), len(p.routes.sets), p.routes.rest)
	}
}
