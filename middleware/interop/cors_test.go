package interop_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/rs/cors"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/interop/internal/tab"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// corsAround is the recipe of docs/responses.md: all of CORS outside the limit.
func corsAround(limit func(http.Handler) http.Handler, mux http.Handler) http.Handler {
	handler := cors.New(cors.Options{AllowedHeaders: []string{"X-API-Key"}, ExposedHeaders: middleware.Headers()}).Handler(limit(mux))
	return handler
}

// TestPageHasTheRecipe: the page has the line above.
func TestPageHasTheRecipe(t *testing.T) {
	source, err := os.ReadFile("cors_test.go")
	if err != nil {
		t.Fatal(err)
	}
	const line = "cors.New(cors.Options{"
	for _, block := range page(t, "docs/responses.md", "text") {
		if strings.Contains(block, line) {
			if !strings.Contains(string(source), "\t"+block) {
				t.Errorf("the recipe of the page is not what is tested here:\n%s", block)
			}
			return
		}
	}
	t.Errorf("no block of the page has %q", line)
}

// TestCORS: a script of another origin, in a browser, reads the body and all headers of a
// 429 with the recipe; a preflight does not count. Where the limit is outside, it sees no
// answer at all to a call that is denied.
func TestCORS(t *testing.T) {
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerHour(2), ratelimit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	limit := middleware.Must(middleware.RateLimit(limiter, middleware.Config{Key: middleware.Header("X-API-Key"), ResetHeader: middleware.ResetAsDelta}))
	mux := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") })
	right := httptest.NewServer(corsAround(limit, mux))
	defer right.Close()
	wrong := httptest.NewServer(limit(corsAround(func(h http.Handler) http.Handler { return h }, mux)))
	defer wrong.Close()
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<!doctype html><title>a site</title>")
	}))
	defer site.Close()
	browser := browser{tab.Open(t, site.URL)}

	for i, want := range []string{"200", "200", "429", "429"} {
		got := browser.fetch(t, right.URL, "a")
		if got.Status != want {
			t.Fatalf("call %d: %+v, want status %s", i+1, got, want)
		}
		for _, name := range middleware.Headers() {
			name = strings.ToLower(name)
			if want == "200" && strings.HasPrefix(name, "retry-after") {
				continue
			}
			if !slices.ContainsFunc(got.Headers, func(h []string) bool { return h[0] == name && h[1] != "" }) {
				t.Errorf("call %d: the script does not see %s: %v", i+1, name, got.Headers)
			}
		}
		if want == "429" && !strings.Contains(got.Body, `"retry_after_ms":`) {
			t.Errorf("call %d: the script reads the body %q", i+1, got.Body)
		}
	}
	for i, want := range []string{"200", "200", "TypeError: Failed to fetch"} {
		if got := browser.fetch(t, wrong.URL, "b"); got.Status != want {
			t.Errorf("limit outside, call %d: %+v, want %s", i+1, got, want)
		}
	}
}

// A browser has a page of a site open.
type browser struct{ tab context.Context }

// A fetched answer is what a script reads.
type fetched struct {
	Status  string // or the error
	Body    string
	Headers [][]string // name, value
}

// fetch calls url from the page with a key.
func (b browser) fetch(t *testing.T, url, key string) fetched {
	t.Helper()
	script := fmt.Sprintf(`fetch(%q, {headers: {"X-API-Key": %q}}).then(
		async r => ({Status: String(r.status), Body: await r.text(), Headers: [...r.headers]}),
		e => ({Status: String(e)}))`, url, key)
	f, err := chromedp.Run(b.tab, chromedp.Evaluate[fetched](script, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	return f
}
