package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store/memstore"
	"github.com/keyrate/keyrate/store/mirror"
)

// TestLongHeadersArePinnedByNothing: requests with long headers and a key of their own
// each, through every key function, in front of every map that remembers a key.
func TestLongHeadersArePinnedByNothing(t *testing.T) {
	t.Run("20 KB", func(t *testing.T) { sendLongHeaders(t, 20_000, 3<<20) })
	t.Run("900 KB", func(t *testing.T) {
		testkit.Long(t, "takes seconds of CPU")
		sendLongHeaders(t, 900_000, 10<<20)
	})
}

// sendLongHeaders sends 300 of them, which may leave most bytes on the heap.
func sendLongHeaders(t *testing.T, long int, most int64) {
	const calls, shadow = 300, "the report of shadow"
	spaces, zeros := strings.Repeat(" ", long), strings.Repeat("0", long)
	keys := []struct {
		name  string
		key   middleware.Key
		field string
		value func(i int) string
	}{
		{"Header, spaces before", middleware.Header("X-API-Key"), "X-Api-Key", func(i int) string { return fmt.Sprint(spaces, "k", i) }},
		{"Header, spaces behind", middleware.Header("X-API-Key"), "X-Api-Key", func(i int) string { return fmt.Sprint("k", i, spaces) }},
		{"Header, a long key", middleware.Header("X-API-Key"), "X-Api-Key", func(i int) string { return fmt.Sprint("k", i, zeros) }},
		{"Bearer, spaces", middleware.Bearer(), "Authorization", func(i int) string { return fmt.Sprint("Bearer", spaces, "t", i) }},
		{"Bearer, a long token", middleware.Bearer(), "Authorization", func(i int) string { return fmt.Sprint("Bearer t", i, zeros) }},
		{"First", middleware.First(middleware.Header("X-None"), middleware.Bearer()), "Authorization", func(i int) string { return fmt.Sprint("Bearer", spaces, "t", i) }},
		{"ClientIP", middleware.ClientIP(prefixes("192.0.2.0/24")...), "X-Forwarded-For", func(i int) string { return fmt.Sprintf("%s, 10.0.%d.%d", spaces, i/256, i%256) }},
		{"a function", keyFunc(func(r *http.Request) string { return strings.TrimSpace(r.Header.Get("X-Mine")) }), "X-Mine", func(i int) string { return fmt.Sprint(spaces, "m", i) }},
	}
	limit := ratelimit.PerHour(1)
	policy, err := ratelimit.NewPolicy(limit)
	if err != nil {
		t.Fatal(err)
	}
	one, err := plans.NewCache(ratelimit.LimitsFunc(func(context.Context, string) (*ratelimit.Policy, error) { return policy, nil }), plans.CacheConfig{})
	if err != nil {
		t.Fatal(err)
	}
	failing, err := plans.NewCache(ratelimit.LimitsFunc(func(_ context.Context, key string) (*ratelimit.Policy, error) {
		return nil, &keyError{key}
	}), plans.CacheConfig{})
	if err != nil {
		t.Fatal(err)
	}
	reflecting, err := mirror.New(memstore.New(memstore.Config{}), mirror.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reflecting.Close() }()
	table, err := plans.NewTable(plans.TableConfig{Default: policy, Keys: map[string]*ratelimit.Policy{ratelimit.HashKey("k1"): policy}})
	if err != nil {
		t.Fatal(err)
	}
	behind := map[string]*ratelimit.Limiter{ // what may remember a key
		"memory":              newLimiter(t, limit, ratelimit.Config{}),
		"a table":             newLimiter(t, table, ratelimit.Config{}),
		"a cache":             newLimiter(t, one, ratelimit.Config{}),
		"a cache of failures": newLimiter(t, failing, ratelimit.Config{}),
		shadow:                newLimiter(t, limit, ratelimit.Config{Shadow: true, ShadowKeys: 1000}),
		"a mirror":            limiterOn(t, reflecting, limit, ratelimit.Config{}),
	}
	for _, k := range keys {
		t.Run(k.name, func(t *testing.T) {
			handlers := map[string]http.Handler{}
			for name, limiter := range behind {
				handlers[name] = middleware.Must(middleware.RateLimit(limiter, quiet(middleware.Config{Key: k.key})))(hello)
			}
			before := heapInUse()
			for i := range calls {
				value := k.value(i)
				for name, h := range handlers {
					for n := 0; n < 1 || n < 2 && name == shadow; n++ { // the second is reported
						r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
						r.Header[k.field] = []string{value}
						h.ServeHTTP(httptest.NewRecorder(), r)
					}
				}
			}
			if grown := heapInUse() - before; grown > most {
				t.Errorf("%d MB more on the heap after %d requests", grown>>20, calls)
			}
			runtime.KeepAlive(handlers)
		})
	}
}

// keyError is an error that keeps the key.
type keyError struct{ key string }

func (e *keyError) Error() string { return "no limits for " + e.key }

func heapInUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
