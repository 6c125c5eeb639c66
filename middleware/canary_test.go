package middleware_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"

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
