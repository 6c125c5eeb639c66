package transport_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware/transport"
)

// noon is the Date of responses in these tests, so that dates in them are compared with it.
const noon = "Mon, 05 Jan 2026 12:00:00 GMT"

// TestWaitsInUse: what a denied request waits, of what real APIs send.
func TestWaitsInUse(t *testing.T) {
	for name, c := range map[string]struct {
		lines []string
		wait  time.Duration
	}{
		"a Unix time":                {[]string{"Retry-After: 1767614460"}, time.Minute},
		"ISO 8601":                   {[]string{"Retry-After: 2026-01-05T14:00:00Z"}, 2 * time.Hour},
		"a unit":                     {[]string{"Retry-After: 30s"}, 30 * time.Second},
		"a Unix time for seconds":    {[]string{`RateLimit: "default";r=0;t=1767614430`}, 30 * time.Second},
		"years":                      {[]string{`RateLimit: "default";r=0;t=99999999`}, time.Second},
		"a wait that makes no sense": {[]string{"Retry-After: 99999999999", "X-RateLimit-Limit: 9", "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 30"}, 30 * time.Second},
		"two waits":                  {[]string{"Retry-After: 5, 120"}, 2 * time.Minute},
		"two counts":                 {[]string{"X-RateLimit-Limit: 10", "X-RateLimit-Remaining: 9, 0", "X-RateLimit-Reset: 20"}, 20 * time.Second},
		"Anthropic":                  {[]string{"anthropic-ratelimit-requests-limit: 5", "anthropic-ratelimit-requests-remaining: 0", "anthropic-ratelimit-requests-reset: 2026-01-05T12:00:01Z", "anthropic-ratelimit-tokens-limit: 25000", "anthropic-ratelimit-tokens-remaining: 16000", "anthropic-ratelimit-tokens-reset: 2026-01-05T12:00:01Z", "x-should-retry: true"}, time.Second},
		"Discord":                    {[]string{"x-ratelimit-bucket: 1d3c67957bcdccc6709861c232df8529", "x-ratelimit-limit: 5", "x-ratelimit-remaining: 0", "x-ratelimit-reset: 1767614405.755", "x-ratelimit-reset-after: 5.588", "Retry-After: 6", "x-ratelimit-scope: user"}, 6 * time.Second},
		"Akamai":                     {[]string{"X-RateLimit-Limit: 60", "X-RateLimit-Remaining: 0", "X-RateLimit-Next: 2026-01-05T12:00:01.5Z"}, 1500 * time.Millisecond},
		"BigCommerce":                {[]string{"X-Rate-Limit-Time-Reset-Ms: 15000", "X-Rate-Limit-Requests-Left: 0", "X-Rate-Limit-Requests-Quota: 150", "X-Rate-Limit-Time-Window-Ms: 30000"}, 15 * time.Second},
		"Basecamp":                   {[]string{`X-RateLimit: {"name":"API","period":10,"limit":50,"remaining":0,"until":"2026-01-05T12:00:20Z","until_seconds":3}`}, 3 * time.Second},
		"Confluence":                 {[]string{"X-RateLimit-Limit: 10", "X-RateLimit-Remaining: 0", "X-RateLimit-Interval-Seconds: 60", "X-RateLimit-FillRate: 2", "retry-after: 0"}, 30 * time.Second},
		"Linear":                     {[]string{"X-RateLimit-Requests-Limit: 1200", "X-RateLimit-Requests-Remaining: 0", "X-RateLimit-Requests-Reset: 1767614430000", "X-Complexity: 12", "X-RateLimit-Complexity-Limit: 250000", "X-RateLimit-Complexity-Remaining: 249988", "X-RateLimit-Complexity-Reset: 1767614430000"}, 30 * time.Second},
		"Path of Exile":              {[]string{"X-Rate-Limit-Policy: trade", "X-Rate-Limit-Rules: Ip,Account", "X-Rate-Limit-Ip: 5:10:60,15:60:300", "X-Rate-Limit-Ip-State: 1:10:0,16:60:299", "X-Rate-Limit-Account: 45:60:120", "X-Rate-Limit-Account-State: 2:60:0"}, 299 * time.Second},
		"only a reset":               {[]string{"X-RateLimit-Reset: 1767614412"}, 12 * time.Second},
		"an API behind a proxy":      {[]string{`RateLimit-Policy: "default";q=5;w=1`, `RateLimit-Policy: "default";q=2;w=1`, `RateLimit: "default";r=4;t=9`, `RateLimit: "default";r=0;t=2`}, 2 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &script{answers: []answer{refusal(append(c.lines, "Date: "+noon)...), ok}}
			if status, _ := do(t, mustNew(t, s, transport.Config{MaxWait: 3 * time.Hour}), request(t, "https://api.example.com/")); status != 200 {
				t.Errorf("%s: status %d", name, status)
			}
			if len(s.times) != 2 || !near(s.times[1], c.wait) {
				t.Errorf("%s: sent at %v, want a wait of %v", name, s.times, c.wait)
			}
		})
	}
}
