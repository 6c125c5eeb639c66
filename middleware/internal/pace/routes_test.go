package pace_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/transport"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// newGitHub returns an API with a limit for searches, one for code searches and one for
// everything else.
func newGitHub() http.Handler {
	limit := func(resource string, quota int, window time.Duration) http.Handler {
		return &windowServer{quota: quota, window: window, status: http.StatusForbidden, report: func(h http.Header, quota, remaining int, ends time.Time, denied bool) {
			reportGitHub(h, quota, remaining, ends, denied)
			h.Set("X-RateLimit-Resource", resource)
		}}
	}
	search, code, core := limit("search", 3, time.Minute), limit("code_search", 1, time.Minute), limit("core", 5000, time.Hour)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/search/code"):
			code.ServeHTTP(w, r)
		case strings.HasPrefix(r.URL.Path, "/search"):
			search.ServeHTTP(w, r)
		default:
			core.ServeHTTP(w, r)
		}
	})
}

// newRoutes returns an API behind keyrate with a limit for one of its routes.
func newRoutes(t *testing.T) http.Handler {
	t.Helper()
	mux := http.NewServeMux()
	hello := func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello\n")) }
	for _, pattern := range []string{"GET /export/{id}", "GET /items", "GET /users/{id}", "POST /items"} {
		mux.HandleFunc(pattern, hello)
	}
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerSecond(5), ratelimit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	h, err := middleware.Routes(limiter, mux, middleware.Config{Key: middleware.Header("X-API-Key")}, middleware.Route{Pattern: "GET /export/{id}", Limits: []ratelimit.Limit{ratelimit.PerMinute(2)}})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestRoutes checks that a limit that is used up delays only requests that count
// against it.
func TestRoutes(t *testing.T) {
	for _, c := range []struct {
		name   string
		server func(t *testing.T) http.Handler
		calls  []string // a path, or "!" and the path of a call that must wait
	}{
		{"GitHub", func(*testing.T) http.Handler { return newGitHub() }, []string{
			"/repos/a/b", "/search/issues", "/search/issues", "/search/issues", "/repos/a/b", "/repos/a/b", "!/search/issues", "/repos/a/b",
		}},
		{"GitHub, routes that are not known", func(*testing.T) http.Handler { return newGitHub() }, []string{
			"/repos/a/b", "/user", "/search/issues", "/search/issues", "/search/issues", "/orgs/a", "/gists", "!/search/issues",
		}},
		{"GitHub, two limits used up", func(*testing.T) http.Handler { return newGitHub() }, []string{
			"/repos/a/b", "/user", "/search/code", "/search/issues", "/search/issues", "/search/issues", "/orgs/a", "!/search/code", "/user",
		}},
		{"GitHub, nothing else is known", func(*testing.T) http.Handler { return newGitHub() }, []string{
			"/search/issues", "/search/issues", "/search/issues", "!/user", "/user",
		}},
		{"keyrate", newRoutes, []string{
			"/items", "/export/1", "/export/2", "/items", "/users/1", "/items", "!/export/3", "/items",
		}},
		{"keyrate, the route with the limit comes first", newRoutes, []string{
			"/export/1", "/items", "/export/2", "/users/1", "/items", "!/export/1", "/users/2",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := mustNew(t, network{c.server(t), time.Millisecond, time.Millisecond}, transport.Config{MaxWait: 2 * time.Minute})
				for i, path := range c.calls {
					path, held := strings.CutPrefix(path, "!")
					began := time.Now()
					if status, _ := do(t, tr, request(t, "https://api.example.com"+path)); status != http.StatusOK {
						t.Errorf("call %d, %s: status %d", i, path, status)
					}
					if waited := time.Since(began); (waited > 5*time.Second) != held {
						t.Errorf("call %d, %s: waited %v", i, path, waited)
					}
				}
			})
		})
	}
}

// TestRoutesSideBySide checks that requests that wait for one limit do not delay
// others, and are served in turn.
func TestRoutesSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := mustNew(t, network{newGitHub(), time.Millisecond, 3 * time.Millisecond}, transport.Config{MaxWait: 5 * time.Minute})
		do(t, tr, request(t, "https://api.example.com/repos/a/b"))
		do(t, tr, request(t, "https://api.example.com/user"))
		var mu sync.Mutex
		var order []int
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				if status, _ := do(t, tr, request(t, "https://api.example.com/search/issues")); status != http.StatusOK {
					t.Errorf("status %d", status)
				}
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
			})
			time.Sleep(10 * time.Millisecond)
		}
		began := time.Now()
		for range 50 {
			do(t, tr, request(t, "https://api.example.com/repos/a/b"))
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("50 requests that count against another limit took %v", took)
		}
		wg.Wait()
		if !slices.IsSorted(order) {
			t.Errorf("served in the order %v", order)
		}
	})
}

// TestRoutesAreUsed checks that workers on routes with different limits use all of
// each.
func TestRoutesAreUsed(t *testing.T) {
	for _, c := range []struct {
		name        string
		server      func(t *testing.T) http.Handler
		wide, tight string // paths
		least       [2]int // served in ten minutes
	}{
		{"GitHub", func(*testing.T) http.Handler { return newGitHub() }, "/repos/a/b", "/search/issues", [2]int{1000, 28}},
		{"keyrate", newRoutes, "/items", "/export/1", [2]int{2700, 19}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var served [2]int
				denied, sent := 0, 0
				tr := mustNew(t, network{c.server(t), 5 * time.Millisecond, 15 * time.Millisecond}, transport.Config{MaxWait: 10 * time.Minute, Observe: observer(func(e transport.Event) {
					mu.Lock()
					defer mu.Unlock()
					switch e.Action {
					case transport.Sent:
						sent++
					case transport.Denied, transport.Returned:
						denied++
					}
				})})
				// An unknown route waits in turn for the known limits: each /export before
				// the first /items would cost it half a minute.
				for _, path := range []string{c.wide, c.tight} {
					do(t, tr, request(t, "https://api.example.com"+path))
				}
				var wg sync.WaitGroup
				end := time.Now().Add(10 * time.Minute)
				for i := range 20 {
					wg.Go(func() {
						path := []string{c.wide, c.tight}[i%2]
						for time.Now().Before(end) {
							status, _ := do(t, tr, request(t, "https://api.example.com"+path))
							if time.Now().Before(end) && status == http.StatusOK {
								mu.Lock()
								served[i%2]++
								mu.Unlock()
							}
						}
					})
				}
				wg.Wait()
				t.Logf("served %v, %d sent, %d denied", served, sent, denied)
				if served[0] < c.least[0] || served[1] < c.least[1] || denied > sent/100 {
					t.Errorf("want %v served at least, and a hundredth denied at most", c.least)
				}
			})
		})
	}
}

// TestManyPaths checks that an API whose paths all differ is held to its limit.
func TestManyPaths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		denied, served := 0, 0
		tr := mustNew(t, network{keyrateServer(t, ratelimit.PerSecond(5), middleware.Config{}), time.Millisecond, 3 * time.Millisecond}, transport.Config{Observe: observer(func(e transport.Event) {
			mu.Lock()
			defer mu.Unlock()
			switch e.Action {
			case transport.Denied, transport.Returned:
				denied++
			case transport.Answered:
				served++
			}
		})})
		var wg sync.WaitGroup
		end := time.Now().Add(time.Minute)
		for i := range 20 {
			wg.Go(func() {
				for n := 0; time.Now().Before(end); n++ {
					path := strings.Repeat("a", i+1) + "/" + strings.Repeat("b", n+1)
					do(t, tr, request(t, fmt.Sprintf("https://api.example.com/%s", path)))
				}
			})
		}
		wg.Wait()
		if denied > 3 || served < 285 {
			t.Errorf("%d denied, %d served", denied, served)
		}
	})
}
