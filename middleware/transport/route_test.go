package transport

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware/transport/internal/signals"
)

// TestRouteOf: which requests have one route.
func TestRouteOf(t *testing.T) {
	tr, err := New(nil, Config{})
	if err != nil {
		t.Fatal(err)
	}
	const api = "https://api.example.com"
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"/search/issues?q=a", "/search/issues?q=b", true},
		{"/search/issues", "/search/code", false},
		{"/search", "/repos", false},
		{"/", "", true},
		{"/repos/octocat/hello", "/repos/octocat/hello/issues/1", true},
		{"/users/123/export", "/users/456/export", true},
		{"/users/123/export", "/users/123/profile", false},
		{"/users/6f1ed002ab5595859014ebf0951522d9", "/users/00000000000000000000000000000000", true},
		{"/api/v1/search", "/api/v1/items", false},
		{"/api/v1/search", "/api/v2/search", false},
		{"/v2.1/orders", "/v2.2/orders", false},
		{"/ab12/orders", "/ab13/orders", true},
		{"/a//b", "/a/b/", true},
	} {
		a, b := get(t, api+c.a), get(t, api+c.b)
		if same := tr.routeOf(a) == tr.routeOf(b); same != c.same {
			t.Errorf("%s and %s: the same %t, want %t", c.a, c.b, same, c.same)
		}
		b.Method = http.MethodPost
		if tr.routeOf(a) == tr.routeOf(b) {
			t.Errorf("GET %s and POST %s are one route", c.a, c.b)
		}
	}
}

// TestRoutesAreBounded: however many routes and limits an API has, the last ones are
// remembered, and what most routes have holds the others.
func TestRoutesAreBounded(t *testing.T) {
	c, err := Config{}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	p := newPace(paceKey{}, true, c)
	now := time.Now()
	for i := range 10_000 {
		w := &waiter{route: routeKey(i)}
		w.set = p.routes.of(w.route)
		told := signals.Limits{All: []signals.Limit{
			{Name: "core", Quota: 100, Window: time.Second, Remaining: 99, Reset: time.Second},
			{Name: fmt.Sprint(i), Quota: 10, Window: time.Second, Remaining: 9, Reset: time.Second},
		}}
		p.read(p.grant(w, now), told, signals.Denial{}, 1, now)
		if n := len(p.routes.byKey); n > maxRoutes || n != p.routes.order.Len() || len(p.routes.sets) > maxRoutes+1 || len(p.lanes) > maxLanes {
			t.Fatalf("%d routes, %d in order, %d sets, %d limits", n, p.routes.order.Len(), len(p.routes.sets), len(p.lanes))
		}
		rest := p.routes.rest
		if i > 0 && (rest == nil || len(rest.lanes) != 1 || rest.lanes[0].name != "core") {
			t.Fatalf("after %d routes the others are held by %+v", i+1, rest)
		}
		if own := p.routes.of(w.route); len(own.lanes) != 2 {
			t.Fatalf("the last route is held by %d limits", len(own.lanes))
		}
	}
	for _, l := range p.lanes {
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
	// Told nothing any more, none holds.
	later := now.Add(time.Hour)
	for _, key := range slices.Collect(maps.Keys(p.routes.byKey)) {
		w := &waiter{route: key, set: p.routes.of(key)}
		p.read(p.grant(w, later), signals.Limits{}, signals.Denial{}, 1, later)
	}
	if len(p.routes.byKey) > 0 || p.routes.rest != nil || len(p.routes.sets) > 0 {
		t.Errorf("%d routes, %d sets and %+v remain", len(p.routes.byKey), len(p.routes.sets), p.routes.rest)
	}
}
