package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
)

func TestPeriodHeader(t *testing.T) {
	for period, want := range map[time.Duration]string{
		time.Microsecond:          "1us",
		time.Millisecond:          "1ms",
		1900 * time.Millisecond:   "1900ms",
		time.Second:               "1s",
		5 * time.Second:           "5s",
		90 * time.Second:          "90s",
		15 * time.Minute:          "15m",
		12 * time.Hour:            "12h",
		24 * time.Hour:            "1d",
		36 * time.Hour:            "36h",
		7 * 24 * time.Hour:        "7d",
		time.Hour + 1*time.Second: "3601s",
	} {
		h := middleware.Must(middleware.RateLimit(newLimiter(t, ratelimit.Limit{Rate: 5, Period: period}, ratelimit.Config{}), middleware.Config{LimitHeader: middleware.LimitAsPeriod}))(hello)
		if got := (call{}).to(h).Header().Get(middleware.HeaderLimit); got != want {
			t.Errorf("%v: %q, want %q", period, got, want)
		}
	}
}

// TestExtremeResets: the instant of the reset does not overflow, whatever the limit
// and its form.
func TestExtremeResets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parse := map[middleware.ResetForm]func(string) (time.Time, error){
			middleware.ResetAsDelta: func(s string) (time.Time, error) {
				n, err := strconv.ParseInt(s, 10, 64)
				return time.Now().Add(time.Duration(n) * time.Second), err
			},
			middleware.ResetAsEpoch: func(s string) (time.Time, error) {
				n, err := strconv.ParseInt(s, 10, 64)
				return time.Unix(n, 0), err
			},
			middleware.ResetAsTime: func(s string) (time.Time, error) { return time.Parse(time.RFC3339, s) },
		}
		for _, l := range extremes {
			for form, at := range parse {
				limiter := newLimiter(t, l, ratelimit.Config{})
				h := middleware.Must(middleware.RateLimit(limiter, middleware.Config{ResetHeader: form}))(hello)
				if _, err := limiter.AllowN(t.Context(), middleware.AddressKey(call{}.addr()), policy(t, l).Limits()[0].Burst); err != nil {
					t.Fatal(err)
				}
				value := call{}.to(h).Header().Get(middleware.HeaderReset)
				reset, err := at(value)
				if in := time.Until(reset); err != nil || in <= 0 || in > gcra.MaxRefill+time.Second {
					t.Errorf("%v, form %v: %s is %q, in %v (error %v)", l, form, middleware.HeaderReset, value, in, err)
				}
			}
		}
	})
}

// TestHeadersAreSeparate: adding to one header does not change another one, though
// their values share an array.
func TestHeadersAreSeparate(t *testing.T) {
	h := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), middleware.Config{}))(
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for _, name := range middleware.Headers() {
				w.Header().Add(name, "more")
			}
		}))
	header := call{}.to(h).Header()
	for name, want := range map[string]string{
		middleware.HeaderPolicy:    `"default";q=5;w=1`,
		middleware.HeaderRateLimit: `"default";r=4;t=1`,
		middleware.HeaderLimit:     "5",
		middleware.HeaderRemaining: "4",
	} {
		if got := header[name]; !slices.Equal(got, []string{want, "more"}) {
			t.Errorf("%s: %q, want %q and what was added", name, got, want)
		}
	}
}

// TestOuterHeaders: what an outer middleware has said of another body, or of its
// own limit, does not stay on a 429.
func TestOuterHeaders(t *testing.T) {
	limiter := newLimiter(t, ratelimit.PerHour(1), ratelimit.Config{})
	h := middleware.Must(middleware.RateLimit(limiter, middleware.Config{}))(hello)
	call{}.to(h)
	w := httptest.NewRecorder()
	for _, name := range []string{"Content-Length", "Content-Type", "Cache-Control", middleware.HeaderReset, middleware.HeaderRetryAfter} {
		w.Header().Set(name, "12345")
	}
	h.ServeHTTP(w, call{}.request())
	for name, values := range w.Header() {
		if len(values) != 1 || values[0] == "12345" {
			t.Errorf("%s: %q", name, values)
		}
	}
}

func TestHeaders(t *testing.T) {
	want := []string{
		middleware.HeaderPolicy, middleware.HeaderRateLimit, middleware.HeaderLimit, middleware.HeaderRemaining,
		middleware.HeaderReset, middleware.HeaderRetryAfter, middleware.HeaderRetryAfterMs,
	}
	if got := middleware.Headers(); !slices.Equal(got, want) {
		t.Errorf("Headers: %q, want %q", got, want)
	}
	for _, name := range want {
		if http.CanonicalHeaderKey(name) != name {
			t.Errorf("%q is not in canonical form", name)
		}
	}
	middleware.Headers()[0] = "changed"
	if middleware.Headers()[0] != want[0] {
		t.Error("the list can be changed by its users")
	}
}

// TestWindowBelowASecond: where whole seconds say much less than what the limit allows,
// a parameter has the window; elsewhere the field is as it always was.
func TestWindowBelowASecond(t *testing.T) {
	for _, c := range []struct {
		limit ratelimit.Limit
		want  string
	}{
		{ratelimit.PerSecond(5), `"default";q=5;w=1`},
		{ratelimit.PerSecond(5).WithBurst(1), `"default";q=1;w=1;keyrate-window-us=200000`},
		{ratelimit.PerSecond(5).WithBurst(2), `"default";q=2;w=1;keyrate-window-us=400000`},
		{ratelimit.PerSecond(5).WithBurst(10), `"default";q=10;w=2`},
		{ratelimit.PerSecond(5).WithBurst(11), `"default";q=11;w=3;keyrate-window-us=2200000`},
		{ratelimit.PerSecond(3).WithBurst(1), `"default";q=1;w=1;keyrate-window-us=333334`}, // rounded up
		{ratelimit.PerMinute(40).WithBurst(1), `"default";q=1;w=2;keyrate-window-us=1500000`},
		{ratelimit.Limit{Rate: 1, Period: time.Microsecond, Burst: 1}, `"default";q=1;w=1;keyrate-window-us=1`},
		{ratelimit.PerDay(1000).WithBurst(4), `"default";q=4;w=346`}, // by a thousandth
		{ratelimit.PerMinute(100).WithBurst(35), `"default";q=35;w=21`},
	} {
		h := middleware.Must(middleware.RateLimit(newLimiter(t, policy(t, c.limit), ratelimit.Config{}), middleware.Config{}))(hello)
		if got := (call{}).to(h).Header().Get(middleware.HeaderPolicy); got != c.want {
			t.Errorf("%v: %s, want %s", c.limit, got, c.want)
		}
	}
}
