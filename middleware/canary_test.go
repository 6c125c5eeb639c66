package middleware_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

// What must show up nowhere: a key, the address of a caller, and the text of an
// error.
const (
	canary     = "sk-canary-7d41c0ffee"
	canaryAddr = "198.51.100.77"
	canaryText = "canary-refused"
)

// shown returns what a fault shows to the world: the responses, the log as text and
// as JSON, and the classes. And it returns the events as an observer would print
// them; the text of a store's error is in these by right.
func shown(t *testing.T, c faultCase, next http.Handler) (ours, events string) {
	var r recorder
	var observed, jsonLog bytes.Buffer
	if c.limits == nil {
		c.limits = five
	}
	observe := ratelimit.Config{Observe: func(_ context.Context, e ratelimit.Event) {
		slog.New(slog.NewTextHandler(&observed, nil)).Info("decided", "event", e, "error", e.Err)
	}}
	limiter := newLimiter(t, c.limits, observe)
	if c.store != nil {
		limiter = limiterOn(t, c.store, c.limits, observe)
	}
	config := r.watch(c.config)
	text := config.Logger.Handler()
	config.Logger = slog.New(slog.NewMultiHandler(text, slog.NewJSONHandler(&jsonLog, nil)))
	h := middleware.Must(middleware.RateLimit(limiter, config))(next)
	var all strings.Builder
	for range c.before + 1 {
		all.WriteString(dump(c.call.to(h)))
	}
	all.WriteString(dump(call{}.to(middleware.Health(limiter))))
	all.WriteString(r.log() + jsonLog.String() + strings.Join(r.faults(), " "))
	return all.String(), observed.String()
}

// TestCanary searches for the canaries after every fault and every kind of answer.
func TestCanary(t *testing.T) {
	key := middleware.Header("X-API-Key")
	trusted := prefixes("10.0.0.0/8")
	cases := append(faultCases(),
		faultCase{name: "allowed", config: middleware.Config{Key: key}, call: call{key: canary, peer: canaryAddr + ":1"}},
		faultCase{name: "denied", before: 5, config: middleware.Config{Key: key}, call: call{key: canary}},
		faultCase{name: "denied by address", before: 5, call: call{peer: canaryAddr + ":1"}},
		faultCase{name: "denied by forwarded address", before: 5, config: middleware.Config{TrustedProxies: trusted},
			call: call{peer: "10.0.0.1:1", header: http.Header{"X-Forwarded-For": {canaryAddr}}}},
		faultCase{name: "path", before: 5, call: call{target: "/" + canary + "?key=" + canary}},
		faultCase{name: "two keys", config: middleware.Config{Key: key}, call: call{header: http.Header{"X-API-Key": {canary, canary + "2"}}}},
		faultCase{name: "no key", config: middleware.Config{Key: middleware.Bearer(), RequireKey: true}, call: call{header: http.Header{"Authorization": {"Basic " + canary}}}},
		faultCase{name: "overlong", before: 5, config: middleware.Config{Key: key}, call: call{key: strings.Repeat(canary, 100)}},
	)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			ours, events := shown(t, c, hello)
			wantAbsent(t, ours, canary, canaryAddr, canaryText)
			wantAbsent(t, events, canary)
		})
	}

	// The control: a handler that leaks is found out.
	leak := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Leak", r.Header.Get("X-API-Key")) })
	ours, events := shown(t, faultCase{store: brokenStore{err: errors.New(canaryText)}, config: middleware.Config{Key: key}, call: call{key: canary}}, leak)
	if !strings.Contains(ours, canary) || !strings.Contains(events, canaryText) {
		t.Error("the search does not find a canary that is there")
	}
}

func wantAbsent(t *testing.T, text string, secrets ...string) {
	t.Helper()
	for _, secret := range secrets {
		if i := strings.Index(text, secret); i >= 0 {
			t.Errorf("%s is shown: ...%s", secret, text[max(0, i-100):i+len(secret)])
		}
	}
}

// TestNothingIsReflected: of two requests that differ in all that a caller can write,
// the responses do not differ.
func TestNothingIsReflected(t *testing.T) {
	script := "<script>alert(1)</script>\"'\\"
	for _, c := range append(faultCases(),
		faultCase{name: "denied", before: 5},
		faultCase{name: "no key", config: middleware.Config{Key: middleware.Header("X-API-Key"), RequireKey: true}},
	) {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				respond := func(q call) string {
					h := c.handler(t, new(recorder))
					for range c.before {
						q.to(h)
					}
					return dump(q.to(h))
				}
				key := ""
				if c.call.key != "" {
					key = script
				}
				plain := respond(c.call)
				if got := respond(call{key: key, target: "/%3Cscript%3E?q=%22", peer: "203.0.113.9:1", header: http.Header{
					"User-Agent": {script}, "Referer": {script}, "Accept": {"text/html"}, "X-Forwarded-For": {script},
				}}); got != plain {
					t.Errorf("the responses differ:\n%s\n%s", got, plain)
				}
				if w := plain; strings.HasPrefix(w, "HTTP/1.1 4") && !strings.HasPrefix(w, "HTTP/1.1 420") && !strings.Contains(w, "X-Content-Type-Options: nosniff\n") {
					t.Errorf("not nosniff:\n%s", w)
				}
			})
		})
	}
}

// TestCanaryInEverySpelling searches what a fault shows for a key that a store or a
// look-up of limits has put into its error, or has panicked with, as other programs write
// it: the responses, the health, the logs and the events.
func TestCanaryInEverySpelling(t *testing.T) {
	for name, spelling := range testkit.Spellings(testkit.Canary) {
		cause := fmt.Errorf("GET https://db.example/limits?key=%s: %w", spelling, errors.New("refused"))
		var events strings.Builder
		observe := ratelimit.Config{Observe: func(_ context.Context, e ratelimit.Event) {
			text, err := json.Marshal(e)
			fmt.Fprintf(&events, "%s %v %v %+v %#v\n", text, err, e, e, e)
		}}
		fails := ratelimit.LimitsFunc(func(context.Context, string) (*ratelimit.Policy, error) { return nil, cause })
		panics := ratelimit.LimitsFunc(func(context.Context, string) (*ratelimit.Policy, error) { panic(cause) })
		for how, c := range map[string]faultCase{
			"a store":            {store: brokenStore{err: cause}},
			"a store, closed":    {store: brokenStore{err: cause}, config: middleware.Config{FailClosed: true}},
			"a look-up":          {limits: fails},
			"a look-up, closed":  {limits: fails, config: middleware.Config{FailClosed: true}},
			"a look-up's panic":  {limits: panics},
			"what Cost says":     {config: middleware.Config{Cost: func(*http.Request) int { panic(cause) }}},
			"what Denied writes": {before: 5, config: middleware.Config{Denied: func(http.ResponseWriter, *http.Request, ratelimit.Result) { panic(cause) }}},
		} {
			c.config.Key = middleware.Header("X-API-Key")
			c.call = call{key: testkit.Canary}
			ours, observed := shown(t, c, hello)
			if c.limits != nil {
				handler := middleware.Must(middleware.RateLimit(newLimiter(t, c.limits, observe), quiet(c.config)))(hello)
				observed += dump(c.call.to(handler))
			}
			for _, text := range []string{ours, observed, events.String()} {
				if found := testkit.Spelled(text, testkit.Canary); found != nil || strings.Contains(text, spelling) {
					t.Errorf("%s, %s: %v is shown in\n%s", name, how, found, text)
				}
			}
		}
		if testkit.Spelled(cause.Error(), testkit.Canary) == nil || events.Len() == 0 {
			t.Errorf("%s: the search finds nothing where there is something, or there are no events", name)
		}
	}
}
