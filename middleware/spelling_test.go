package middleware_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

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
