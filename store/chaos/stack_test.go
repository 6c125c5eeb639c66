package chaos_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/mirror"
	"github.com/keyrate/keyrate/store/redisstore"
)

// TestSeveralLimitsThroughTheStack: limits of 10 and 1000 per day for each key, and 3 per day
// on one route, from the request to a real Redis and back: one command for each decision,
// all or nothing, and headers and body that list all limits, the deciding one first. With a
// mirror in between, a denial by knowledge takes no command.
func TestSeveralLimitsThroughTheStack(t *testing.T) {
	for _, mirrored := range []bool{false, true} {
		name, denials := "redisstore", 1
		if mirrored {
			name, denials = "mirror", 0
		}
		t.Run(name, func(t *testing.T) {
			server := chaos.StartServer(t)
			var backend store.Store = newStore(t, patientClient(t, server), redisstore.Config{})
			if mirrored {
				m, err := mirror.New(backend, mirror.Config{})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = m.Close() })
				backend = m
			}
			// A token takes hours, so none comes back during the test.
			own := testkit.Policy(t, ratelimit.PerDay(10), ratelimit.PerDay(1000).WithBurst(12).Named("many"))
			limiter, err := ratelimit.New(backend, own, ratelimit.Config{Timeout: patience})
			if err != nil {
				t.Fatal(err)
			}
			mux := http.NewServeMux()
			served := 0
			serve := func(http.ResponseWriter, *http.Request) { served++ }
			mux.HandleFunc("GET /export", serve)
			mux.HandleFunc("GET /item", serve)
			h, err := middleware.Routes(limiter, mux, middleware.Config{Key: middleware.Header("X-API-Key"), FailClosed: true},
				middleware.Route{Pattern: "GET /export", Limits: []ratelimit.Limit{ratelimit.PerDay(3)}})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := limiter.Peek(t.Context(), "another key"); err != nil { // loads the script
				t.Fatal(err)
			}
			start := time.Now()
			call := func(path string, status, commands int, remaining ...string) {
				t.Helper()
				before := server.Calls("evalsha") + server.Calls("eval")
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
				r.Header.Set("X-API-Key", "alice")
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				took := server.Calls("evalsha") + server.Calls("eval") - before
				if took == 1 && time.Since(start) > time.Second/2 {
					commands = 1 // a mirror asks once a second all the same
				}
				if w.Code != status || took != commands {
					t.Errorf("%s: status %d with %d commands, want %d with %d", path, w.Code, took, status, commands)
				}
				listed := regexp.MustCompile(`"[^"]*";r=\d+`).FindAllString(w.Header().Get(middleware.HeaderRateLimit), -1)
				if !slices.Equal(listed, remaining) {
					t.Errorf("%s: the limits are %q, want %q", path, listed, remaining)
				}
				if status != http.StatusTooManyRequests {
					return
				}
				var body struct {
					Limits []struct{ Policy string }
				}
				if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || len(body.Limits) != len(remaining) {
					t.Fatalf("%s: %v in the body %s", path, err, w.Body)
				}
				for i, l := range body.Limits {
					if want := regexp.MustCompile(`"(.*)"`).FindStringSubmatch(remaining[i])[1]; l.Policy != want {
						t.Errorf("%s: limit %d in the body is %q, want %q", path, i, l.Policy, want)
					}
				}
			}
			call("/item", 200, 1, `"default";r=9`, `"many";r=11`)
			call("/export", 200, 1, `"GET /export";r=2`, `"default";r=8`, `"many";r=10`)
			call("/export", 200, 1, `"GET /export";r=1`, `"default";r=7`, `"many";r=9`)
			call("/export", 200, 1, `"GET /export";r=0`, `"default";r=6`, `"many";r=8`)
			for range 5 {
				call("/export", 429, denials, `"GET /export";r=0`, `"default";r=6`, `"many";r=8`)
			}
			for left := 5; left >= 0; left-- {
				call("/item", 200, 1, `"default";r=`+string(rune('0'+left)), `"many";r=`+string(rune('2'+left)))
			}
			call("/item", 429, denials, `"default";r=0`, `"many";r=2`)
			call("/export", 429, denials, `"GET /export";r=0`, `"default";r=0`, `"many";r=2`)
			if served != 10 {
				t.Errorf("the handlers were called %d times, want 10", served)
			}
		})
	}
}
