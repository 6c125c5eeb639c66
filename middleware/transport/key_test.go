package transport

import (
	"net/http"
	"testing"
)

// TestRouteOf checks which requests have one route.
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
