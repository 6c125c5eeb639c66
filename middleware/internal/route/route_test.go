package route_test

import (
	"strings"
	"testing"

	"github.com/keyrate/keyrate/middleware/internal/route"
)

func TestOf(t *testing.T) {
	known := route.New(false, "GET /a/:id", "/b", "HEAD /c", "GET /c", "POST /b")
	for _, test := range []struct {
		of                 route.Patterns
		method, path, want string
	}{
		{known, "GET", "/a/:id", "GET /a/:id"},
		{known, "HEAD", "/a/:id", "GET /a/:id"},
		{known, "POST", "/a/:id", ""},
		{known, "GET", "/b", "/b"},
		{known, "HEAD", "/b", "/b"},
		{known, "POST", "/b", "POST /b"},
		{known, "HEAD", "/c", "HEAD /c"},
		{known, "GET", "", ""},
		{route.New(true, "/b"), "GET", "/a", "GET /a"},
		{route.New(true, "/b"), "GET", "/b", "/b"},
		{route.New(true), "GET", "/a", "GET /a"},
		{route.New(true), "GET", "", ""},
		{route.New(false), "GET", "/a", ""},
	} {
		if got := test.of.Of(test.method, test.path); got != test.want {
			t.Errorf("%s %s: %q, want %q", test.method, test.path, got, test.want)
		}
	}
}

// TestOfAllocates: finding a known pattern allocates nothing.
func TestOfAllocates(t *testing.T) {
	known := route.New(false, "GET /export/:id")
	for _, path := range []string{"/export/:id", "/"} {
		if n := testing.AllocsPerRun(100, func() { known.Of("HEAD", path) }); n > 0 {
			t.Errorf("%s: %v allocations", path, n)
		}
	}
}

func TestCheck(t *testing.T) {
	has := func(method, path string) bool { return (method == "" || method == "GET") && path == "/a" }
	if err := route.Check([]string{"GET /a", "/a"}, has); err != nil {
		t.Error(err)
	}
	err := route.Check([]string{"GET /a", "POST /a", "/b"}, has)
	for _, want := range []string{`routes[1] "POST /a"`, `routes[2] "/b"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "routes[0]") {
		t.Error(err)
	}
}
