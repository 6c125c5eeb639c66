package signals_test

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware/internal/signals"
)

const (
	unknown = signals.Unknown
	day     = 24 * time.Hour
)

// A dialect is what a vendor sends at noon, and what Parse reads.
type dialect struct {
	lines []string
	want  signals.Limits
}

func all(limits ...signals.Limit) signals.Limits { return signals.Limits{All: limits} }

func wait(d time.Duration, limits ...signals.Limit) signals.Limits {
	return signals.Limits{RetryAfter: d, All: limits}
}

// spoken has what each vendor of the table sends.
var spoken = map[string][]dialect{
	"OpenAI, to wait": {{[]string{"retry-after-ms: 1250", "retry-after: 2"}, wait(1250 * time.Millisecond)}},
	"Azure, to wait":  {{[]string{"x-ms-retry-after-ms: 61"}, wait(61 * time.Millisecond)}},
	"Traefik":         {{[]string{"Retry-After: 1", "X-Retry-In: 333.5ms"}, wait(333500 * time.Microsecond)}},
	"RFC 9110":        {{[]string{"Retry-After: 120"}, wait(2 * time.Minute)}, {[]string{"Retry-After: Mon, 05 Jan 2026 12:02:00 GMT"}, wait(2 * time.Minute)}},
	"Akamai": {{[]string{"X-RateLimit-Limit: 60", "X-RateLimit-Remaining: 0", "X-RateLimit-Next: 2026-01-05T12:00:01.5Z"},
		all(signals.Limit{Quota: 60, Reset: 1500 * time.Millisecond})}},
	"Symfony, Smoobu":     {{[]string{"X-RateLimit-Limit: 1000", "X-RateLimit-Remaining: 0", "X-RateLimit-Retry-After: 1767614460"}, wait(time.Minute, signals.Limit{Quota: 1000})}},
	"Wildberries":         {{[]string{"X-Ratelimit-Limit: 10", "X-Ratelimit-Retry: 2", "X-Ratelimit-Reset: 20"}, wait(2*time.Second, signals.Limit{Quota: 10, Remaining: unknown, Reset: 20 * time.Second})}},
	"OpenSky, Bucket4j":   {{[]string{"X-Rate-Limit-Remaining: 0", "X-Rate-Limit-Retry-After-Seconds: 600"}, wait(10*time.Minute, signals.Limit{})}},
	"Contentful, to wait": {{[]string{"X-Contentful-RateLimit-Reset: 1"}, wait(time.Second)}},

	"IETF": {{[]string{`RateLimit-Policy: "burst";q=100;w=60`, `RateLimit: "burst";r=50;t=30`}, all(signals.Limit{Name: "burst", Quota: 100, Window: time.Minute, Remaining: 50, Reset: 30 * time.Second})}},
	"GitLab": {{[]string{"RateLimit-Limit: 60", "RateLimit-Name: throttle_authenticated_web", "RateLimit-Observed: 67", "RateLimit-Remaining: 0", "RateLimit-Reset: 1767614460", "RateLimit-ResetTime: Mon, 05 Jan 2026 12:01:00 GMT", "Retry-After: 60"},
		wait(time.Minute, signals.Limit{Name: "throttle_authenticated_web", Quota: 60, Reset: time.Minute})},
		{[]string{"RateLimit-Limit: 60", "RateLimit-Observed: 21", "RateLimit-ResetTime: Mon, 05 Jan 2026 12:01:00 GMT"}, all(signals.Limit{Quota: 60, Remaining: 39, Reset: time.Minute})}},
	"Yelp": {{[]string{"RateLimit-DailyLimit: 5000", "RateLimit-Remaining: 4998", "RateLimit-ResetTime: 2026-01-06T00:00:00+00:00"}, all(signals.Limit{Quota: 5000, Remaining: 4998, Reset: 12 * time.Hour})}},
	"GitHub": {{[]string{"X-RateLimit-Limit: 5000", "X-RateLimit-Remaining: 4956", "X-RateLimit-Reset: 1767617681", "X-RateLimit-Used: 44", "X-RateLimit-Resource: core"},
		all(signals.Limit{Name: "core", Quota: 5000, Remaining: 4956, Reset: 3281 * time.Second})}},
	"Discord": {{[]string{"x-ratelimit-bucket: 1d3c67957bcdccc6709861c232df8529", "x-ratelimit-limit: 5", "x-ratelimit-remaining: 0", "x-ratelimit-reset: 1767614405.755", "x-ratelimit-reset-after: 5.588", "Retry-After: 6", "x-ratelimit-scope: user"},
		wait(6*time.Second, signals.Limit{Name: "1d3c67957bcdccc6709861c232df8529", Quota: 5, Reset: 5588 * time.Millisecond})}},
	"Datadog": {{[]string{"X-RateLimit-Limit: 300", "X-RateLimit-Period: 3600", "X-RateLimit-Remaining: 299", "X-RateLimit-Reset: 1800", "X-RateLimit-Name: query_timeseries"},
		all(signals.Limit{Name: "query_timeseries", Quota: 300, Window: time.Hour, Remaining: 299, Reset: 30 * time.Minute})}},
	"Elastic Cloud": {
		{[]string{"x-ratelimit-interval: 60", "x-ratelimit-limit: 1000", "x-ratelimit-remaining: 998"}, all(signals.Limit{Quota: 1000, Window: time.Minute, Remaining: 998})},
		{[]string{"x-ratelimit-interval: 1 minute", "x-ratelimit-limit: 1000", "x-ratelimit-remaining: 998"}, all(signals.Limit{Quota: 1000, Window: time.Minute, Remaining: 998})},
		{[]string{"x-ratelimit-interval: minute", "x-ratelimit-limit: 1000", "x-ratelimit-remaining: 998"}, all(signals.Limit{Quota: 1000, Window: time.Minute, Remaining: 998})},
	},
	"Confluence, Jira Data Center": {{[]string{"X-RateLimit-Limit: 10", "X-RateLimit-Remaining: 8", "X-RateLimit-Interval-Seconds: 60", "X-RateLimit-FillRate: 2", "retry-after: 0"},
		all(signals.Limit{Quota: 10, Window: time.Minute, Remaining: 8, Refills: true, Refill: 2})}},
	"Spring Cloud Gateway": {{[]string{"X-RateLimit-Remaining: 4", "X-RateLimit-Requested-Tokens: 1", "X-RateLimit-Burst-Capacity: 20", "X-RateLimit-Replenish-Rate: 10"},
		all(signals.Limit{Quota: 20, Window: time.Second, Remaining: 4, Refills: true, Refill: 10})}},
	"ListenBrainz": {{[]string{"X-RateLimit-Limit: 30", "X-RateLimit-Remaining: 29", "X-RateLimit-Reset-In: 10", "X-RateLimit-Reset: 1767614410"}, all(signals.Limit{Quota: 30, Remaining: 29, Reset: 10 * time.Second})}},
	"Freshdesk":    {{[]string{"x-ratelimit-total: 40.0", "x-ratelimit-remaining: 39", "x-ratelimit-used-currentrequest: 1"}, all(signals.Limit{Quota: 40, Remaining: 39})}},
	"Zoom": {{[]string{"X-RateLimit-Category: Heavy", "X-RateLimit-Type: Daily-limit", "X-RateLimit-Limit: 30000", "X-RateLimit-Remaining: 0", "Retry-After: 2026-01-06T00:00:00Z"},
		wait(12*time.Hour, signals.Limit{Name: "Heavy", Quota: 30000})}},
	"Brave Search": {
		{[]string{"X-RateLimit-Limit: 1, 15000", "X-RateLimit-Policy: 1;w=1, 15000;w=2592000", "X-RateLimit-Remaining: 0, 14523", "X-RateLimit-Reset: 1, 1419704"}, all(signals.Limit{Quota: 1, Window: time.Second, Reset: time.Second})},
		{[]string{"X-RateLimit-Limit: 50, 15000", "X-RateLimit-Policy: 50;w=1, 15000;w=2592000", "X-RateLimit-Remaining: 49, 0", "X-RateLimit-Reset: 1, 3600"}, all(signals.Limit{Quota: 15000, Window: 30 * day, Reset: time.Hour})},
		{[]string{"X-RateLimit-Limit: 50, 0", "X-RateLimit-Policy: 50;w=1, 0;w=2592000", "X-RateLimit-Remaining: 49, 0", "X-RateLimit-Reset: 1, 1419704"}, all(signals.Limit{Quota: 50, Window: time.Second, Remaining: 49, Reset: time.Second})},
	},
	"Strava": {{[]string{"X-RateLimit-Limit: 200,2000", "X-RateLimit-Usage: 45,1990", "X-ReadRateLimit-Limit: 100,1000", "X-ReadRateLimit-Usage: 100,151"},
		all(signals.Limit{Quota: 2000, Remaining: 10}, signals.Limit{Name: "read", Quota: 100})}},
	"EVE Online": {{[]string{"X-Ratelimit-Group: char-location", "X-Ratelimit-Limit: 150/15m", "X-Ratelimit-Remaining: 148", "X-Ratelimit-Used: 2"}, all(signals.Limit{Name: "char-location", Quota: 150, Window: 15 * time.Minute, Remaining: 148})}},
	"Metron": {{[]string{"X-RateLimit-Burst-Limit: 20", "X-RateLimit-Burst-Remaining: 19", "X-RateLimit-Burst-Reset: 1767614460", "X-RateLimit-Sustained-Limit: 5000", "X-RateLimit-Sustained-Remaining: 4999"},
		all(signals.Limit{Name: "burst", Quota: 20, Remaining: 19, Reset: time.Minute}, signals.Limit{Name: "sustained", Quota: 5000, Remaining: 4999})}},
	"Basecamp, Trakt": {
		{[]string{`X-RateLimit: {"name":"API","period":10,"limit":50,"remaining":0,"until":"2026-01-05T12:00:20Z","until_seconds":3}`}, all(signals.Limit{Name: "API", Quota: 50, Window: 10 * time.Second, Reset: 3 * time.Second})},
		{[]string{`X-Ratelimit: {"name":"AUTHED_API_POST_LIMIT","period":1,"limit":1,"remaining":0,"until":"2026-01-05T12:00:01Z"}`, "Retry-After: 1"}, wait(time.Second, signals.Limit{Name: "AUTHED_API_POST_LIMIT", Quota: 1, Window: time.Second, Reset: time.Second})},
		{[]string{`X-RateLimit: {"name":`}, all()},
		{[]string{`X-RateLimit: {"period":10,"limit":-1,"remaining":null,"until":[]}`}, all()},
	},
	"other windows": {{[]string{"X-RateLimit-Limit: 50", "X-RateLimit-Remaining: 49", "X-RateLimit-Window: 300"}, all(signals.Limit{Quota: 50, Window: 5 * time.Minute, Remaining: 49})},
		{[]string{"X-RateLimit-Limit: 50000", "X-RateLimit-Remaining: 49627", "X-RateLimit-Window: 24 hours"}, all(signals.Limit{Quota: 50000, Window: day, Remaining: 49627})},
		{[]string{"X-RateLimit-Limit: 50", "X-RateLimit-Remaining: 49", "X-RateLimit-Reset-Ms: 1767614401250", "X-RateLimit-Reset: 2"}, all(signals.Limit{Quota: 50, Remaining: 49, Reset: 1250 * time.Millisecond})}},
	"X": {{[]string{"x-rate-limit-limit: 75", "x-rate-limit-remaining: 74", "x-rate-limit-reset: 1767615300", "x-app-limit-24hour-limit: 50", "x-app-limit-24hour-remaining: 0", "x-app-limit-24hour-reset: 1767618000", "x-user-limit-24hour-limit: 25", "x-user-limit-24hour-remaining: 24", "x-user-limit-24hour-reset: 1767618000"},
		all(signals.Limit{Quota: 75, Remaining: 74, Reset: 15 * time.Minute}, signals.Limit{Name: "app", Quota: 50, Window: day, Reset: time.Hour}, signals.Limit{Name: "user", Quota: 25, Window: day, Remaining: 24, Reset: time.Hour})}},
	"Zendesk": {
		{[]string{"X-Rate-Limit: 700", "X-Rate-Limit-Remaining: 699"}, all(signals.Limit{Quota: 700, Remaining: 699})},
		{[]string{"x-rate-limit: 700", "ratelimit-limit: 700", "x-rate-limit-remaining: 699", "ratelimit-remaining: 699", "ratelimit-reset: 41", "zendesk-ratelimit-tickets-index: total=100; remaining=99; resets=41"},
			all(signals.Limit{Quota: 700, Remaining: 699, Reset: 41 * time.Second}, signals.Limit{Name: "tickets-index", Quota: 100, Remaining: 99, Reset: 41 * time.Second})},
	},
	"BigCommerce": {{[]string{"X-Rate-Limit-Time-Reset-Ms: 15000", "X-Rate-Limit-Requests-Left: 35", "X-Rate-Limit-Requests-Quota: 150", "X-Rate-Limit-Time-Window-Ms: 30000"},
		all(signals.Limit{Quota: 150, Window: 30 * time.Second, Remaining: 35, Reset: 15 * time.Second})}},
	"Crossref, Mapbox": {{[]string{"X-Rate-Limit-Limit: 50", "X-Rate-Limit-Interval: 1s"}, all(signals.Limit{Quota: 50, Window: time.Second, Remaining: unknown})},
		{[]string{"X-Rate-Limit-Interval: 60", "X-Rate-Limit-Limit: 600", "X-Rate-Limit-Reset: 1767614430"}, all(signals.Limit{Quota: 600, Window: time.Minute, Remaining: unknown, Reset: 30 * time.Second})}},
	"tollbooth": {{[]string{"X-Rate-Limit-Limit: 10.00", "X-Rate-Limit-Duration: 1", "X-Rate-Limit-Request-Forwarded-For: 192.0.2.1"}, all(signals.Limit{Quota: 10, Window: time.Second, Remaining: unknown})}},
	"Kong": {
		{[]string{"RateLimit-Limit: 6", "RateLimit-Remaining: 4", "RateLimit-Reset: 47", "X-RateLimit-Limit-Second: 5", "X-RateLimit-Remaining-Second: 4", "X-RateLimit-Limit-Minute: 10", "X-RateLimit-Remaining-Minute: 9"},
			all(signals.Limit{Quota: 6, Remaining: 4, Reset: 47 * time.Second}, signals.Limit{Name: "second", Quota: 5, Window: time.Second, Remaining: 4}, signals.Limit{Name: "minute", Quota: 10, Window: time.Minute, Remaining: 9})},
		{[]string{"RateLimit-Limit: 10", "RateLimit-Remaining: 9", "RateLimit-Reset: 47", "X-RateLimit-Limit-Minute: 10", "X-RateLimit-Remaining-Minute: 9"},
			all(signals.Limit{Name: "minute", Quota: 10, Window: time.Minute, Remaining: 9, Reset: 47 * time.Second})},
	},
	"Uzum, others": {{[]string{"X-RateLimit-Limit-Per-Second: 20", "X-RateLimit-Remaining-Per-Second: 19", "X-RateLimit-Limit-Per-Day: 1000000", "X-RateLimit-Remaining-Per-Day: 999999"},
		all(signals.Limit{Name: "second", Quota: 20, Window: time.Second, Remaining: 19}, signals.Limit{Name: "day", Quota: 1000000, Window: day, Remaining: 999999})}},
	"Riot Games": {{[]string{"X-App-Rate-Limit: 20:1,100:120", "X-App-Rate-Limit-Count: 1:1,1:120", "X-Method-Rate-Limit: 2000:10", "X-Rate-Limit-Type: service", "Retry-After: 5"},
		wait(5*time.Second, signals.Limit{Name: "app 1s", Quota: 20, Window: time.Second, Remaining: 19}, signals.Limit{Name: "app 2m0s", Quota: 100, Window: 2 * time.Minute, Remaining: 99}, signals.Limit{Name: "method 10s", Quota: 2000, Window: 10 * time.Second, Remaining: unknown})}},
	"Path of Exile": {{[]string{"X-Rate-Limit-Policy: trade", "X-Rate-Limit-Rules: Ip,Account", "X-Rate-Limit-Ip: 5:10:60,15:60:300", "X-Rate-Limit-Ip-State: 1:10:0,16:60:299", "X-Rate-Limit-Account: 45:60:120", "X-Rate-Limit-Account-State: 2:60:0"},
		all(signals.Limit{Name: "account 1m0s", Quota: 45, Window: time.Minute, Remaining: 43}, signals.Limit{Name: "ip 10s", Quota: 5, Window: 10 * time.Second, Remaining: 4}, signals.Limit{Name: "ip 1m0s", Quota: 15, Window: time.Minute, Reset: 299 * time.Second})}},

	"OpenAI, Azure OpenAI, Groq": {
		{[]string{"x-ratelimit-limit-requests: 14400", "x-ratelimit-remaining-requests: 14370", "x-ratelimit-reset-requests: 2m59.56s", "x-ratelimit-limit-tokens: 18000", "x-ratelimit-remaining-tokens: 17997", "x-ratelimit-reset-tokens: 7.66s"},
			all(signals.Limit{Name: "requests", Quota: 14400, Remaining: 14370, Reset: 179560 * time.Millisecond, Refills: true}, signals.Limit{Name: "tokens", Unit: "tokens", Quota: 18000, Remaining: 17997, Reset: 7660 * time.Millisecond, Refills: true})},
		{[]string{"x-ratelimit-remaining-requests: 1", "x-ratelimit-remaining-tokens: 1000"}, all(signals.Limit{Name: "requests", Remaining: 1, Refills: true}, signals.Limit{Name: "tokens", Unit: "tokens", Remaining: 1000, Refills: true})},
	},
	"GitHub Models": {{[]string{"x-ratelimit-limit-requests: 20000", "x-ratelimit-remaining-requests: 19999", "x-ratelimit-renewalperiod-requests: 60", "x-ratelimit-reset-requests: 3", "x-ratelimit-limit-tokens: 2000000", "x-ratelimit-remaining-tokens: 1999962", "x-ratelimit-renewalperiod-tokens: 60", "x-ratelimit-reset-tokens: 1"},
		all(signals.Limit{Name: "requests", Quota: 20000, Window: time.Minute, Remaining: 19999, Reset: 3 * time.Second, Refills: true}, signals.Limit{Name: "tokens", Unit: "tokens", Quota: 2000000, Window: time.Minute, Remaining: 1999962, Reset: time.Second, Refills: true})}},
	"Anthropic": {{[]string{"anthropic-ratelimit-requests-limit: 5", "anthropic-ratelimit-requests-remaining: 0", "anthropic-ratelimit-requests-reset: 2026-01-05T12:00:01Z", "anthropic-ratelimit-tokens-limit: 25000", "anthropic-ratelimit-tokens-remaining: 16000", "anthropic-ratelimit-tokens-reset: 2026-01-05T12:00:01Z", "x-should-retry: true"},
		all(signals.Limit{Name: "requests", Quota: 5, Reset: time.Second, Refills: true}, signals.Limit{Name: "tokens", Unit: "tokens", Quota: 25000, Remaining: 16000, Reset: time.Second, Refills: true})}},
	"Cerebras": {{[]string{"x-ratelimit-limit-requests-day: 14400", "x-ratelimit-remaining-requests-day: 14378", "x-ratelimit-reset-requests-day: 33011.4", "x-ratelimit-limit-tokens-minute: 60000", "x-ratelimit-remaining-tokens-minute: 59000", "x-ratelimit-reset-tokens-minute: 11.38"},
		all(signals.Limit{Name: "requests-day", Quota: 14400, Window: day, Remaining: 14378, Reset: 33011400 * time.Millisecond}, signals.Limit{Name: "tokens-minute", Unit: "tokens", Quota: 60000, Window: time.Minute, Remaining: 59000, Reset: 11380 * time.Millisecond})}},
	"Mistral": {{[]string{"ratelimitbysize-limit: 500000", "ratelimitbysize-remaining: 499900", "ratelimitbysize-reset: 12", "x-ratelimitbysize-limit-month: 1000000000", "x-ratelimitbysize-remaining-month: 999999900"},
		all(signals.Limit{Name: "tokens", Unit: "tokens", Quota: 500000, Remaining: 499900, Reset: 12 * time.Second}, signals.Limit{Name: "tokens-month", Unit: "tokens", Quota: 1000000000, Window: 30 * day, Remaining: 999999900})},
		{[]string{"x-ratelimit-limit-req-minute: 60", "x-ratelimit-remaining-req-minute: 0", "x-ratelimit-limit-tokens-5-minute: 250000", "x-ratelimit-remaining-tokens-5-minute: 249000", "x-ratelimit-limit-tokens-month: 4000000", "x-ratelimit-remaining-tokens-month: 3950246", "x-ratelimit-tokens-query-cost: 2804"},
			all(signals.Limit{Name: "requests-minute", Quota: 60, Window: time.Minute}, signals.Limit{Name: "tokens-5-minute", Unit: "tokens", Quota: 250000, Window: 5 * time.Minute, Remaining: 249000}, signals.Limit{Name: "tokens-month", Unit: "tokens", Quota: 4000000, Window: 30 * day, Remaining: 3950246})},
		{[]string{"x-ratelimit-limit-req-minute: 0", "x-ratelimit-remaining-req-minute: 0"}, all()}},
	"Fireworks":   {{[]string{"x-ratelimit-limit-tokens-prompt: 60000", "x-ratelimit-remaining-tokens-prompt: 59000"}, all(signals.Limit{Name: "tokens-prompt", Unit: "tokens", Quota: 60000, Remaining: 59000})}},
	"Together AI": {{[]string{"x-ratelimit-limit: 10", "x-ratelimit-remaining: 9", "x-ratelimit-reset: 1", "x-tokenlimit-limit: 3000", "x-tokenlimit-remaining: 2900"}, all(signals.Limit{Quota: 10, Remaining: 9, Reset: time.Second}, signals.Limit{Name: "tokens", Unit: "tokens", Quota: 3000, Remaining: 2900})}},
	"Cohere":      {{[]string{"x-endpoint-monthly-call-limit: 1000", "x-trial-endpoint-call-limit: 20", "x-trial-endpoint-call-remaining: 19"}, all(signals.Limit{Name: "trial", Quota: 20, Window: time.Minute, Remaining: 19})}},

	"Shopify":           {{[]string{"X-Shopify-Shop-Api-Call-Limit: 32/40"}, all(signals.Limit{Quota: 40, Window: 20 * time.Second, Remaining: 8})}},
	"Recharge":          {{[]string{"X-Recharge-Limit: 40/40", "Retry-After: 2"}, wait(2*time.Second, signals.Limit{Name: "recharge", Quota: 40, Window: 20 * time.Second})}},
	"Gorgias":           {{[]string{"X-Gorgias-Account-Api-Call-Limit: 10/80"}, all(signals.Limit{Quota: 80, Window: 20 * time.Second, Remaining: 70})}},
	"Lightspeed Retail": {{[]string{"X-LS-API-Bucket-Level: 60.5/90", "X-LS-API-Drip-Rate: 1.5"}, all(signals.Limit{Quota: 90, Window: time.Second, Remaining: 30, Refills: true, Refill: 1})}},
	"Etsy": {{[]string{"x-limit-per-second: 10", "x-remaining-this-second: 9", "x-limit-per-day: 10000", "x-remaining-today: 9998"},
		all(signals.Limit{Name: "second", Quota: 10, Window: time.Second, Remaining: 9}, signals.Limit{Name: "day", Quota: 10000, Window: day, Remaining: 9998})}},
	"Amazon Selling Partner": {{[]string{"x-amzn-RateLimit-Limit: 0.5"}, all(signals.Limit{Quota: 1, Window: 2 * time.Second, Remaining: unknown})},
		{[]string{"x-amzn-RateLimit-Limit: 10.0"}, all(signals.Limit{Quota: 1, Window: 100 * time.Millisecond, Remaining: unknown})},
		{[]string{"x-amzn-RateLimit-Limit: 0"}, all()}},
	"Walmart": {{[]string{"x-current-token-count: 0", "x-next-replenishment-time: 1767614407500"}, all(signals.Limit{Reset: 7500 * time.Millisecond})}},

	"HubSpot": {{[]string{"X-HubSpot-RateLimit-Daily: 250000", "X-HubSpot-RateLimit-Daily-Remaining: 249991", "X-HubSpot-RateLimit-Interval-Milliseconds: 10000", "X-HubSpot-RateLimit-Max: 100", "X-HubSpot-RateLimit-Remaining: 99", "X-HubSpot-RateLimit-Secondly: 10", "X-HubSpot-RateLimit-Secondly-Remaining: 0"},
		all(signals.Limit{Quota: 100, Window: 10 * time.Second, Remaining: 99}, signals.Limit{Name: "daily", Quota: 250000, Window: day, Remaining: 249991})}},
	"Jira, Confluence Cloud": {
		{[]string{"X-RateLimit-Limit: 100", "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 2026-01-05T13:00Z", "X-RateLimit-NearLimit: true", "RateLimit-Reason: jira-burst-based", "Retry-After: 5"}, wait(5*time.Second, signals.Limit{Quota: 100, Reset: time.Hour})},
		{[]string{`Beta-RateLimit-Policy: "global-app-quota";q=65000;w=3600`, `Beta-RateLimit: "global-app-quota";r=11000;t=600`}, all(signals.Limit{Name: "global-app-quota", Unit: "points", Quota: 65000, Window: time.Hour, Remaining: 11000, Reset: 10 * time.Minute})},
	},
	"Trello": {{[]string{"x-rate-limit-api-token-interval-ms: 10000", "x-rate-limit-api-token-max: 100", "x-rate-limit-api-token-remaining: 80", "x-rate-limit-api-key-interval-ms: 10000", "x-rate-limit-api-key-max: 300", "x-rate-limit-api-key-remaining: 100"},
		all(signals.Limit{Name: "api-token", Quota: 100, Window: 10 * time.Second, Remaining: 80}, signals.Limit{Name: "api-key", Quota: 300, Window: 10 * time.Second, Remaining: 100})}},
	"Linear, RapidAPI, API-Sports": {
		{[]string{"X-RateLimit-Requests-Limit: 1200", "X-RateLimit-Requests-Remaining: 0", "X-RateLimit-Requests-Reset: 1767614430000", "X-Complexity: 12", "X-RateLimit-Complexity-Limit: 250000", "X-RateLimit-Complexity-Remaining: 249988", "X-RateLimit-Complexity-Reset: 1767614430000"},
			all(signals.Limit{Name: "requests", Quota: 1200, Reset: 30 * time.Second}, signals.Limit{Name: "complexity", Unit: "complexity", Quota: 250000, Remaining: 249988, Reset: 30 * time.Second})},
		{[]string{"x-ratelimit-requests-limit: 100", "x-ratelimit-requests-remaining: 87", "X-RateLimit-Limit: 10", "X-RateLimit-Remaining: 9"}, all(signals.Limit{Quota: 10, Remaining: 9}, signals.Limit{Name: "requests", Quota: 100, Remaining: 87})},
	},
	"Pipedrive": {{[]string{"x-ratelimit-limit: 80", "x-ratelimit-remaining: 79", "x-ratelimit-reset: 2", "x-daily-requests-left: 9990"}, all(signals.Limit{Quota: 80, Remaining: 79, Reset: 2 * time.Second}, signals.Limit{Name: "daily", Window: day, Remaining: 9990})}},
	"DocuSign, DigiKey": {{[]string{"X-RateLimit-Limit: 1000", "X-RateLimit-Remaining: 984", "X-RateLimit-Reset: 1767618000", "X-BurstLimit-Limit: 500", "X-BurstLimit-Remaining: 0"},
		all(signals.Limit{Quota: 1000, Remaining: 984, Reset: time.Hour}, signals.Limit{Name: "burst", Quota: 500})}},
	"Apollo": {{[]string{"x-rate-limit-24-hour: 600", "x-24-hour-usage: 5", "x-24-hour-requests-left: 595", "x-rate-limit-minute: 50", "x-minute-requests-left: 40"},
		all(signals.Limit{Name: "minute", Quota: 50, Window: time.Minute, Remaining: 40}, signals.Limit{Name: "day", Quota: 600, Window: day, Remaining: 595})}},
	"Exact Online, CycleSoftware": {
		{[]string{"X-RateLimit-Limit: 5000", "X-RateLimit-Remaining: 4999", "X-RateLimit-Reset: 1767657600000", "X-RateLimit-Minutely-Limit: 60", "X-RateLimit-Minutely-Remaining: 0", "X-RateLimit-Minutely-Reset: 1767614430000"},
			all(signals.Limit{Quota: 5000, Remaining: 4999, Reset: 12 * time.Hour}, signals.Limit{Name: "minute", Quota: 60, Window: time.Minute, Reset: 30 * time.Second})},
		{[]string{"X-RateLimit-Daily-Limit: 15000", "X-RateLimit-Daily-Remaining: 14999", "X-RateLimit-Daily-Reset: 1767657600"}, all(signals.Limit{Name: "daily", Quota: 15000, Window: day, Remaining: 14999, Reset: 12 * time.Hour})},
	},
	"SurveyMonkey": {{[]string{"X-Ratelimit-App-Global-Minute-Limit: 120", "X-Ratelimit-App-Global-Minute-Remaining: 105", "X-Ratelimit-App-Global-Minute-Reset: 10", "X-Ratelimit-App-Global-Day-Limit: 500", "X-Ratelimit-App-Global-Day-Remaining: 0", "X-Ratelimit-App-Global-Day-Reset: 36000"},
		all(signals.Limit{Name: "minute", Quota: 120, Window: time.Minute, Remaining: 105, Reset: 10 * time.Second}, signals.Limit{Name: "day", Quota: 500, Window: day, Reset: 10 * time.Hour})}},
	"Lusha": {{[]string{"x-rate-limit-daily: 500", "x-daily-requests-left: 498", "x-rate-limit-hourly: 100", "x-hourly-requests-left: 98", "x-rate-limit-minute: 25", "x-minute-requests-left: 23"},
		all(signals.Limit{Name: "daily", Quota: 500, Window: day, Remaining: 498}, signals.Limit{Name: "hourly", Quota: 100, Window: time.Hour, Remaining: 98}, signals.Limit{Name: "minute", Quota: 25, Window: time.Minute, Remaining: 23})}},
	"Xero": {{[]string{"x-minlimit-remaining: 0", "x-daylimit-remaining: 4539", "x-appminlimit-remaining: 9938", "x-rate-limit-problem: minute", "retry-after: 22"},
		wait(22*time.Second, signals.Limit{Name: "minute", Window: time.Minute}, signals.Limit{Name: "day", Window: day, Remaining: 4539}, signals.Limit{Name: "app-minute", Window: time.Minute, Remaining: 9938})}},
	"Salesforce": {{[]string{"Sforce-Limit-Info: api-usage=25/15000"}, all(signals.Limit{Name: "api-usage", Quota: 15000, Window: day, Remaining: 14975})},
		{[]string{"Sforce-Limit-Info: api-usage=25/15000; per-app-api-usage=17/250(appName=sample)"}, all(signals.Limit{Name: "api-usage", Quota: 15000, Window: day, Remaining: 14975})}},
	"Brevo": {{[]string{"x-sib-ratelimit-limit: 1000", "x-sib-ratelimit-remaining: 999", "x-sib-ratelimit-reset: 12"}, all(signals.Limit{Quota: 1000, Remaining: 999, Reset: 12 * time.Second})}},
	"Toggl": {{[]string{"x-toggl-quota-remaining: 27", "x-toggl-quota-resets-in: 1800"}, all(signals.Limit{Name: "quota", Window: time.Hour, Remaining: 27, Reset: 30 * time.Minute})}},
	"Lark":  {{[]string{"x-ogw-ratelimit-limit: 50", "x-ogw-ratelimit-reset: 2.5"}, all(signals.Limit{Quota: 50, Remaining: unknown, Reset: 2500 * time.Millisecond})}},
	"Axiom": {{[]string{"X-QueryLimit-Limit: 1000", "X-QueryLimit-Remaining: 0", "X-QueryLimit-Reset: 1767614430"}, all(signals.Limit{Name: "query", Unit: "GB*ms", Quota: 1000, Reset: 30 * time.Second})}},

	"Contentful": {{[]string{"X-Contentful-RateLimit-Hour-Limit: 36000", "X-Contentful-RateLimit-Hour-Remaining: 35883", "X-Contentful-RateLimit-Reset: 1", "X-Contentful-RateLimit-Second-Limit: 10", "X-Contentful-RateLimit-Second-Remaining: 0"},
		wait(time.Second, signals.Limit{Name: "second", Quota: 10, Window: time.Second}, signals.Limit{Name: "hour", Quota: 36000, Window: time.Hour, Remaining: 35883})}},
	"Imgur": {{[]string{"X-RateLimit-UserLimit: 500", "X-RateLimit-UserRemaining: 499", "X-RateLimit-UserReset: 1767618000", "X-RateLimit-ClientLimit: 12500", "X-RateLimit-ClientRemaining: 12499", "X-Post-Rate-Limit-Limit: 1250", "X-Post-Rate-Limit-Remaining: 1249", "X-Post-Rate-Limit-Reset: 3600"},
		all(signals.Limit{Name: "user", Quota: 500, Remaining: 499, Reset: time.Hour}, signals.Limit{Name: "client", Quota: 12500, Remaining: 12499}, signals.Limit{Name: "post", Unit: "posts", Quota: 1250, Remaining: 1249, Reset: time.Hour})}},
	"Ticketmaster": {{[]string{"Rate-Limit: 5000", "Rate-Limit-Available: 1654", "Rate-Limit-Over: 0", "Rate-Limit-Reset: 1767618000000"}, all(signals.Limit{Quota: 5000, Window: day, Remaining: 1654, Reset: time.Hour})}},
	"Tumblr": {{[]string{"x-ratelimit-perhour-limit: 1000", "x-ratelimit-perhour-remaining: 0", "x-ratelimit-perhour-reset: 1800", "x-ratelimit-perday-limit: 5000", "x-ratelimit-perday-remaining: 4000", "x-ratelimit-perday-reset: 80000"},
		all(signals.Limit{Name: "hour", Quota: 1000, Window: time.Hour, Reset: 30 * time.Minute}, signals.Limit{Name: "day", Quota: 5000, Window: day, Remaining: 4000, Reset: 80000 * time.Second})}},
	"Fitbit":  {{[]string{"fitbit-rate-limit-limit: 150", "fitbit-rate-limit-remaining: 148", "fitbit-rate-limit-reset: 2216"}, all(signals.Limit{Quota: 150, Window: time.Hour, Remaining: 148, Reset: 2216 * time.Second})}},
	"Discogs": {{[]string{"X-Discogs-Ratelimit: 60", "X-Discogs-Ratelimit-Used: 2", "X-Discogs-Ratelimit-Remaining: 58"}, all(signals.Limit{Quota: 60, Window: time.Minute, Remaining: 58})}},
	"Blizzard, Mashery": {{[]string{"x-plan-qps-allotted: 100", "x-plan-qps-current: 1", "x-plan-quota-allotted: 36000", "x-plan-quota-current: 7", "x-plan-quota-reset: 2026-01-05 13:00:00 UTC"},
		all(signals.Limit{Name: "second", Quota: 100, Window: time.Second, Remaining: 99}, signals.Limit{Name: "quota", Quota: 36000, Remaining: 35993, Reset: time.Hour})}},

	"Sentry": {{[]string{"X-Sentry-Rate-Limit-Limit: 40", "X-Sentry-Rate-Limit-Remaining: 39", "X-Sentry-Rate-Limit-Reset: 1767614401", "X-Sentry-Rate-Limit-ConcurrentLimit: 25", "X-Sentry-Rate-Limit-ConcurrentRemaining: 24"}, all(signals.Limit{Quota: 40, Remaining: 39, Reset: time.Second})},
		{[]string{"X-Sentry-Rate-Limits: 60:transaction:key, 2700:default;error;security:organization", "Retry-After: 60"}, wait(time.Minute)}},
	"Azure Resource Manager": {{[]string{"x-ms-ratelimit-remaining-subscription-reads: 11999", "x-ms-ratelimit-remaining-subscription-global-writes: 2999"},
		all(signals.Limit{Name: "subscription-reads", Remaining: 11999}, signals.Limit{Name: "subscription-global-writes", Remaining: 2999})}},
	"Azure Resource Graph": {{[]string{"x-ms-user-quota-remaining: 10", "x-ms-user-quota-resets-after: 00:00:03"}, all(signals.Limit{Name: "user-quota", Remaining: 10, Reset: 3 * time.Second})}},
	"Dataverse":            {{[]string{"x-ms-ratelimit-time-remaining-xrm-requests: 1,200.00", "x-ms-ratelimit-burst-remaining-xrm-requests: 5999"}, all(signals.Limit{Name: "xrm-requests", Window: 5 * time.Minute, Remaining: 5999})}},
	"Fastly":               {{[]string{"Fastly-RateLimit-Remaining: 999", "Fastly-RateLimit-Reset: 1767618000"}, all(signals.Limit{Window: time.Hour, Remaining: 999, Reset: time.Hour})}},

	"Bybit":  {{[]string{"X-Bapi-Limit: 100", "X-Bapi-Limit-Status: 99", "X-Bapi-Limit-Reset-Timestamp: 1767614400500"}, all(signals.Limit{Quota: 100, Remaining: 99, Reset: 500 * time.Millisecond})}},
	"KuCoin": {{[]string{"gw-ratelimit-limit: 500", "gw-ratelimit-remaining: 300", "gw-ratelimit-reset: 1489"}, all(signals.Limit{Unit: "weight", Quota: 500, Remaining: 300, Reset: 1489 * time.Millisecond})}},
	"Gate":   {{[]string{"X-Gate-RateLimit-Limit: 200", "X-Gate-RateLimit-Requests-Remain: 198", "X-Gate-RateLimit-Reset-Timestamp: 1767614410"}, all(signals.Limit{Quota: 200, Remaining: 198, Reset: 10 * time.Second})}},
}

// TestDialects checks each row of the table by what the vendor sends.
func TestDialects(t *testing.T) {
	for _, who := range signals.Vendors() {
		cases := spoken[who]
		if len(cases) == 0 {
			t.Errorf("nothing is known of what %s sends: add it to the test", who)
		}
		for _, c := range cases {
			if got := parseAt(c.lines...); !reflect.DeepEqual(got, c.want) {
				t.Errorf("%s: %q:\n got %+v\nwant %+v", who, c.lines, got, c.want)
			}
		}
	}
	if extra := len(spoken) - len(signals.Vendors()); extra != 0 {
		t.Errorf("%d vendors of the test have no row, or a row has the name of another", extra)
	}
}

// TestTableIsSound checks that a header has the same role in all rows, and that each
// row has a source.
func TestTableIsSound(t *testing.T) {
	if names := signals.Twice(); len(names) > 0 {
		t.Errorf("of %q rows say different things", names)
	}
	for i, source := range signals.Sources() {
		if !strings.HasPrefix(source, "https://") {
			t.Errorf("%s has no source", signals.Vendors()[i])
		}
	}
	if n, most := signals.Families(); n > most {
		t.Errorf("%d families, and room for %d", n, most)
	}
}

// TestOthersInUse checks what APIs send that need no row of their own.
func TestOthersInUse(t *testing.T) {
	for who, c := range map[string]dialect{
		"Docker Hub":            {[]string{"ratelimit-limit: 100;w=21600", "ratelimit-remaining: 76;w=21600", "docker-ratelimit-source: 192.0.2.1"}, all(signals.Limit{Quota: 100, Window: 6 * time.Hour, Remaining: 76})},
		"Okta":                  {[]string{"X-Rate-Limit-Limit: 1200", "X-Rate-Limit-Remaining: 1199", "X-Rate-Limit-Reset: 1767614459"}, all(signals.Limit{Quota: 1200, Remaining: 1199, Reset: 59 * time.Second})},
		"Cloudflare":            {[]string{`Ratelimit: "default";r=50;t=30`, `Ratelimit-Policy: "burst";q=100;w=60`}, all(signals.Limit{Name: "default", Quota: 100, Window: time.Minute, Remaining: 50, Reset: 30 * time.Second})},
		"Reddit":                {[]string{"x-ratelimit-remaining: 599.0", "x-ratelimit-used: 1", "x-ratelimit-reset: 480"}, all(signals.Limit{Remaining: 599, Reset: 8 * time.Minute})},
		"throttled":             {[]string{"Retry-After: 1", "X-RateLimit-Limit: 6", "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 6"}, wait(time.Second, signals.Limit{Quota: 6, Reset: 6 * time.Second})},
		"Pebble":                {[]string{"x-ratelimit-percent: 100", "retry-after: 60"}, wait(time.Minute)},
		"Auth0":                 {[]string{"Auth0-Client-Quota-Limit: b=per_hour;q=100;r=99;t=1,b=per_day;q=300;r=299;t=1", "x-ratelimit-limit: 10", "x-ratelimit-remaining: 9", "x-ratelimit-reset: 1767614401"}, all(signals.Limit{Quota: 10, Remaining: 9, Reset: time.Second})},
		"Twitch":                {[]string{"Ratelimit-Limit: 800", "Ratelimit-Remaining: 799", "Ratelimit-Reset: 1767614460"}, all(signals.Limit{Quota: 800, Remaining: 799, Reset: time.Minute})},
		"Slack, Notion, Box":    {[]string{"Retry-After: 30"}, wait(30 * time.Second)},
		"Stripe":                {[]string{"Stripe-Rate-Limited-Reason: global-rate", "Stripe-Should-Retry: true"}, all()},
		"Figma":                 {[]string{"Retry-After: 15", "X-Figma-Plan-Tier: pro", "X-Figma-Rate-Limit-Type: low"}, wait(15 * time.Second)},
		"Envoy, Istio":          {[]string{`x-ratelimit-limit: 10, 10;w=60;name="per-ip", 1000;w=3600`, "x-ratelimit-remaining: 9", "x-ratelimit-reset: 42"}, all(signals.Limit{Quota: 10, Window: time.Minute, Remaining: 9, Reset: 42 * time.Second})},
		"Pinterest":             {[]string{`x-ratelimit-limit: 100, 100;w=1;name="safety_net_app_id_user_id_ep_limit", 1000;w=60;name="org_read"`, "x-ratelimit-remaining: 99", "x-ratelimit-reset: 1"}, all(signals.Limit{Quota: 100, Window: time.Second, Remaining: 99, Reset: time.Second})},
		"express-rate-limit 6":  {[]string{"RateLimit-Policy: 100;w=900", "RateLimit-Limit: 100", "RateLimit-Remaining: 99", "RateLimit-Reset: 900"}, all(signals.Limit{Quota: 100, Window: 15 * time.Minute, Remaining: 99, Reset: 15 * time.Minute})},
		"express-rate-limit 7":  {[]string{"RateLimit-Policy: 100;w=900", "RateLimit: limit=100, remaining=99, reset=900"}, all(signals.Limit{Quota: 100, Window: 15 * time.Minute, Remaining: 99, Reset: 15 * time.Minute})},
		"express-rate-limit 8":  {[]string{`RateLimit-Policy: "100-in-15min"; q=100; w=900; pk=:MTI4NmI0ZWFkYjI5:`, `RateLimit: "100-in-15min"; r=99; t=900`}, all(signals.Limit{Name: "100-in-15min", Quota: 100, Window: 15 * time.Minute, Remaining: 99, Reset: 15 * time.Minute})},
		"rate-limiter-flexible": {[]string{"Retry-After: 1.5", "X-RateLimit-Limit: 10", "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: Mon Jan 05 2026 12:00:01 GMT+0000 (Coordinated Universal Time)"}, wait(1500*time.Millisecond, signals.Limit{Quota: 10, Reset: time.Second})},
		"AspNetCoreRateLimit":   {[]string{"X-Rate-Limit-Limit: 15m", "X-Rate-Limit-Remaining: 99", "X-Rate-Limit-Reset: 2026-01-05T12:15:00.0000000Z"}, all(signals.Limit{Window: 15 * time.Minute, Remaining: 99, Reset: 15 * time.Minute})},
		"Laravel":               {[]string{"X-RateLimit-Limit: 60", "X-RateLimit-Remaining: 0", "Retry-After: 43", "X-RateLimit-Reset: 1767614443"}, wait(43*time.Second, signals.Limit{Quota: 60, Reset: 43 * time.Second})},
		"slowapi":               {[]string{"X-RateLimit-Limit: 5", "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 1767614460.5", "Retry-After: 60"}, wait(time.Minute, signals.Limit{Quota: 5, Reset: 60500 * time.Millisecond})},
		"Dynatrace":             {[]string{"X-RateLimit-Limit: 50", "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 1767614443000000"}, all(signals.Limit{Quota: 50, Reset: 43 * time.Second})},
		"Vimeo":                 {[]string{"X-RateLimit-Limit: 100", "X-RateLimit-Remaining: 96", "X-RateLimit-Reset: 2026-01-05T12:01:00+00:00"}, all(signals.Limit{Quota: 100, Remaining: 96, Reset: time.Minute})},
		"Hugging Face":          {[]string{`ratelimit: "api";r=489;t=189`, `ratelimit-policy: "fixed window";"api";q=500;w=300`}, all(signals.Limit{Name: "api", Quota: 500, Window: 5 * time.Minute, Remaining: 489, Reset: 189 * time.Second})},
		"Azure DevOps":          {[]string{"Retry-After: 7", "X-RateLimit-Resource: core", "X-RateLimit-Delay: 0.5", "X-RateLimit-Limit: 200", "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 1767614700"}, wait(7*time.Second, signals.Limit{Name: "core", Quota: 200, Reset: 5 * time.Minute})},
		"Lightspeed eCom":       {[]string{"X-RateLimit-Limit: 300/3000/12000", "X-RateLimit-Remaining: 299/9/11999", "X-RateLimit-Reset: 36/1536/42336"}, all(signals.Limit{Quota: 3000, Remaining: 9, Reset: 1536 * time.Second})},
		"Close":                 {[]string{"ratelimit: limit=100, remaining=50, reset=5"}, all(signals.Limit{Quota: 100, Remaining: 50, Reset: 5 * time.Second})},
		"Roblox":                {[]string{"x-ratelimit-limit: 60, 60;w=60", "x-ratelimit-remaining: 59", "x-ratelimit-reset: 35"}, all(signals.Limit{Quota: 60, Window: time.Minute, Remaining: 59, Reset: 35 * time.Second})},
		"a plain response":      {[]string{"Content-Type: text/plain", "X-Limit: 5", "X-Percent: 3", "Server: nginx"}, all()},
	} {
		if got := parseAt(c.lines...); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %q:\n got %+v\nwant %+v", who, c.lines, got, c.want)
		}
	}
}

// TestEachHeaderIsRead checks that each header alone, with any value, yields numbers in
// their range.
func TestEachHeaderIsRead(t *testing.T) {
	texts := slices.Concat(nonsense, slices.Collect(maps.Keys(times)), []string{"5", "0", "5/9", "5:9", "5:9:3", `"a";q=5;w=1`, `{"limit":5}`})
	for _, name := range signals.Names() {
		for _, text := range texts {
			l := parseAt(name + ": " + text)
			if l.RetryAfter < 0 || l.RetryAfter > year {
				t.Errorf("%s: %s is %+v", name, text, l)
			}
			for _, limit := range l.All {
				if limit.Window < 0 || limit.Window > year || limit.Reset < 0 || limit.Reset > year || limit.Quota < 0 || limit.Remaining < unknown || limit.Refill < 0 {
					t.Errorf("%s: %s is %+v", name, text, l)
				}
			}
		}
	}
}
