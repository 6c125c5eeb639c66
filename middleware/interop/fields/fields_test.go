// Package fields_test checks the RateLimit fields against a parser of structured fields
// that others wrote, github.com/dunglas/httpsfv.
package fields_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dunglas/httpsfv"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

// TestFields: both fields are lists of strings with integers, and as the parser
// would write them itself.
func TestFields(t *testing.T) {
	for _, limits := range [][]ratelimit.Limit{
		{ratelimit.PerSecond(5)},
		{ratelimit.PerSecond(5), ratelimit.PerHour(1000).Named("hourly"), ratelimit.PerDay(10_000).Named("a day's"), ratelimit.PerMinute(100).WithBurst(3).Named("burst")},
		{{Name: strings.Repeat("~", store.MaxName), Rate: gcra.MaxRate, Period: time.Microsecond, Burst: gcra.MaxBurst}},
		{{Name: "!#$%&'()*+-./:<=>?@[]^_`{|}~ x", Rate: 1, Period: gcra.MaxRefill}},
		{{Rate: 7, Period: 1900 * time.Millisecond, Burst: 2}},
		{ratelimit.PerSecond(5), ratelimit.AtOnce(10), ratelimit.AtOnce(gcra.MaxRate).Named("at once")},
	} {
		policy, err := ratelimit.NewPolicy(limits...)
		if err != nil {
			t.Fatal(err)
		}
		limiter, err := ratelimit.New(memstore.New(memstore.Config{}), policy, ratelimit.Config{})
		if err != nil {
			t.Fatal(err)
		}
		h := middleware.Must(middleware.RateLimit(limiter, middleware.Config{}))(http.NotFoundHandler())
		for range 10 { // some of them denied
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
			check(t, w.Header()[middleware.HeaderPolicy], policy, "q", "w")
			check(t, w.Header()[middleware.HeaderRateLimit], policy, "r", "t")
		}
	}
}

func check(t *testing.T, field []string, policy *ratelimit.Policy, keys ...string) {
	t.Helper()
	list, err := httpsfv.UnmarshalList(field)
	if err != nil {
		t.Fatalf("%q: %v", field, err)
	}
	if len(list) != len(policy.Limits()) {
		t.Fatalf("%q: %d items, want %d", field, len(list), len(policy.Limits()))
	}
	names := map[string]bool{}
	for _, l := range policy.Limits() {
		names[l.Name] = true
	}
	for _, member := range list {
		item, ok := member.(httpsfv.Item)
		if !ok {
			t.Fatalf("%q: %T is not an item", field, member)
		}
		name, ok := item.Value.(string)
		if !ok || !names[name] {
			t.Errorf("%q: %v is not the name of a limit, or there twice", field, item.Value)
		}
		delete(names, name)
		keys := keys
		i := slices.IndexFunc(policy.Limits(), func(l ratelimit.Limit) bool { return l.Name == name })
		if i >= 0 && policy.Limits()[i].Concurrent {
			if keys = []string{keys[0]}; keys[0] == "q" {
				keys = append(keys, "qu")
			}
		}
		if _, fine := item.Params.Get("keyrate-window-us"); fine && keys[0] == "q" {
			keys = append(slices.Clone(keys), "keyrate-window-us") // which the draft allows
		}
		if got := item.Params.Names(); strings.Join(got, " ") != strings.Join(keys, " ") {
			t.Errorf("%q: parameters %q, want %q", field, got, keys)
		}
		for _, key := range keys {
			value, _ := item.Params.Get(key)
			if key == "qu" && value == "concurrent-requests" {
				continue
			}
			if n, ok := value.(int64); !ok || n < 0 {
				t.Errorf("%q: %s is %v, want an integer", field, key, value)
			}
		}
	}
	if again, err := httpsfv.Marshal(list); err != nil || again != field[0] {
		t.Errorf("%q is %q in canonical form (error %v)", field[0], again, err)
	}
}

// TestControl: the parser rejects what is not a list.
func TestControl(t *testing.T) {
	for _, field := range []string{`"default";r=4;t=`, `"default";r=4 ;t=1,`, `"dé";r=4`, `default"`, `"a";r=1000000000000000`} {
		if _, err := httpsfv.UnmarshalList([]string{field}); err == nil {
			t.Errorf("%q was accepted", field)
		}
	}
}
