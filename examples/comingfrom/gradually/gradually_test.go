package gradually

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ulule/limiter/v3"
	"github.com/ulule/limiter/v3/drivers/middleware/stdlib"
	"github.com/ulule/limiter/v3/drivers/store/memory"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

var api = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello\n") })

// old is the API behind ulule/limiter.
func old() http.Handler {
	backend := memory.NewStoreWithOptions(limiter.StoreOptions{}) // without the goroutine that sweeps
	limit := stdlib.NewMiddleware(limiter.New(backend, limiter.Rate{Period: time.Second, Limit: 5}),
		stdlib.WithKeyGetter(func(r *http.Request) string { return r.Header.Get("X-API-Key") }))
	return limit.Handler(api)
}

type answer struct {
	status int
	header http.Header
	body   string
}

func call(t *testing.T, h http.Handler) answer {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Header.Set("X-Api-Key", "alice")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return answer{w.Code, w.Header(), w.Body.String()}
}

// TestWatch compares each response with that of the old limiter alone. At the edge of
// its window the two do not agree, and keyrate says so.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		decided, wouldDeny := 0, 0
		watched, err := Watch(old(), func(_ context.Context, e ratelimit.Event) {
			decided++
			if e.Result.WouldDeny() {
				wouldDeny++
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		alone := old()
		denied := 0
		for i := range 12 {
			if i == 6 {
				time.Sleep(1001 * time.Millisecond) // another window, and a full bucket
			}
			got, want := call(t, watched), call(t, alone)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("call %d: watched %v, alone %v", i, got, want)
			}
			if got.status == http.StatusTooManyRequests {
				denied++
			}
		}
		if decided != 12 || wouldDeny != 2 || denied != 2 {
			t.Errorf("of 12 calls %d were decided, keyrate would have denied %d, the other denied %d; want 12, 2 and 2", decided, wouldDeny, denied)
		}
		time.Sleep(2 * time.Second)
		wouldDeny = 0
		call(t, watched)
		time.Sleep(990 * time.Millisecond)
		for range 4 {
			call(t, watched)
		}
		time.Sleep(20 * time.Millisecond)
		for range 5 {
			if got := call(t, watched); got.status != http.StatusOK {
				t.Errorf("the window has passed, and the status is %d", got.status)
			}
		}
		if wouldDeny != 4 {
			t.Errorf("at the edge of the window keyrate would have denied %d, want 4", wouldDeny)
		}
	})
}

// TestLimit compares what the clients of the old limiter know with what they get.
func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now, err := Limit(api)
		if err != nil {
			t.Fatal(err)
		}
		before := old()
		for i := range 6 {
			got, want := call(t, now), call(t, before)
			if got.status != want.status || got.body != want.body {
				t.Errorf("call %d: status %d, before %d, or another body", i, got.status, want.status)
			}
			for _, name := range []string{"Content-Type", "X-Ratelimit-Limit", "X-Ratelimit-Remaining"} {
				if got.header.Get(name) != want.header.Get(name) {
					t.Errorf("call %d: %s is %q, and was %q", i, name, got.header.Get(name), want.header.Get(name))
				}
			}
			if got.header.Get("X-Ratelimit-Reset") == "" || got.header.Get(middleware.HeaderPolicy) == "" {
				t.Errorf("call %d: headers are missing: %v", i, got.header)
			}
			if i == 5 && (got.header.Get("X-Ratelimit-Reset") != want.header.Get("X-Ratelimit-Reset") || got.header.Get("Retry-After") != "1") {
				t.Errorf("the denial has the headers %v", got.header)
			}
		}
	})
}
