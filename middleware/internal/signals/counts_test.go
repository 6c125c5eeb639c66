package signals_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware/internal/signals"
)

// TestTighterOfSeveral checks that the tighter of several values of one field counts,
// in one line or several.
func TestTighterOfSeveral(t *testing.T) {
	none := one(signals.Limit{Quota: 10, Remaining: 0, Reset: 30 * time.Second})
	checkSent(t, []sent{
		{[]string{"X-RateLimit-Limit: 10", "X-RateLimit-Remaining: 9, 0", "X-RateLimit-Reset: 30"}, none},
		{[]string{"X-RateLimit-Limit: 10", "X-RateLimit-Remaining: 0", "X-RateLimit-Remaining: 9", "X-RateLimit-Reset: 1, 30"}, none},
		{[]string{"X-RateLimit-Limit: 20, 10", "X-RateLimit-Remaining: 9, 0", "X-RateLimit-Reset: 600, 30"}, none},
		{[]string{"RateLimit-Limit: 10", "RateLimit-Limit: 20", "RateLimit-Remaining: 0", "RateLimit-Remaining: 20", "RateLimit-Reset: 30", "RateLimit-Reset: 1"}, none},
		{[]string{"X-Rate-Limit-Limit: 30, 10, 20", "X-Rate-Limit-Remaining: 5, 0", "X-Rate-Limit-Reset: 30"}, none},
		{[]string{"X-RateLimit-Limit: 10, 5;w=1, 100;w=60", "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 30"}, none},
		{[]string{"X-Rate-Limit-Limit: 10, 20, 30", "X-Rate-Limit-Remaining: 5, 0", "X-Rate-Limit-Reset: 30"}, none},
		{[]string{"X-RateLimit-Limit: 10", "X-RateLimit-Remaining: many, 0", "X-RateLimit-Reset: 30, soon"}, none},
		{[]string{"RateLimit: limit=20, remaining=9, reset=1", "RateLimit: limit=10, remaining=0, reset=30"}, none},
		{[]string{"RateLimit: limit=10, remaining=0, reset=30, limit=20, remaining=9, reset=1"}, none},
		// Both sets are used up: the one that lasts longer.
		{[]string{"X-RateLimit-Limit: 1, 10", "X-RateLimit-Remaining: 0, 0", "X-RateLimit-Reset: 1, 30"}, none},
		{[]string{"X-RateLimit-Limit: 10, 1", "X-RateLimit-Remaining: 0, 0", "X-RateLimit-Reset: 30, 1"}, none},
		{[]string{"X-RateLimit-Limit: 5, 10, 1", "X-RateLimit-Remaining: 3, 0, 0", "X-RateLimit-Reset: 600, 30, 1"}, none},
		{[]string{"X-RateLimit-Limit: 1, 10", "X-RateLimit-Used: 1, 11", "X-RateLimit-Reset: 1, 30"}, none},
		// A limit of 0 says nothing, and the others count.
		{[]string{"X-RateLimit-Limit: 10, 0", "X-RateLimit-Remaining: 0, 0", "X-RateLimit-Reset: 30, 600"}, none},
		{[]string{"X-RateLimit-Limit: 0, 10", "X-RateLimit-Remaining: 0, 0", "X-RateLimit-Reset: 600, 30"}, none},
		{[]string{"X-RateLimit-Limit: 0, 10, 20", "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 30"}, none},
		{[]string{"X-RateLimit-Limit: 0, 0", "X-RateLimit-Remaining: 0, 0", "X-RateLimit-Reset: 30, 600"}, nil},
		{[]string{"x-ratelimit-remaining: 991, 98"}, one(signals.Limit{Remaining: 98})},
		{[]string{"x-ratelimit-remaining: 599.0", "x-ratelimit-used: 1", "x-ratelimit-reset: 480"}, one(signals.Limit{Remaining: 599, Reset: 8 * time.Minute})},
	})
}

// TestCountsWithPeriods checks counts that are followed by the time for which they
// hold.
func TestCountsWithPeriods(t *testing.T) {
	for text, want := range map[string]signals.Limit{
		"150/15m": {Quota: 150, Window: 15 * time.Minute}, "60/minute": {Quota: 60, Window: time.Minute}, "60 / hour": {Quota: 60, Window: time.Hour},
		"10 per 1 minute": {Quota: 10, Window: time.Minute}, "5 per second": {Quota: 5, Window: time.Second}, "1000/1d": {Quota: 1000, Window: 24 * time.Hour},
		"150/15m;burst=9": {Quota: 150, Window: 15 * time.Minute}, "15m": {Window: 15 * time.Minute},
		// These are invalid.
		"150/15": {}, "150/": {}, "/15m": {}, "150/fortnight": {}, "a/b/c": {}, "1//2": {}, "05/01/2026": {},
	} {
		want.Remaining = 3
		if got := parseAt("X-RateLimit-Limit: "+text, "X-RateLimit-Remaining: 3").All; !reflect.DeepEqual(got, one(want)) {
			t.Errorf("%s is %+v, want %+v", text, got, want)
		}
	}
}

// TestLimitOfNone checks that a limit of 0 is omitted, with its reset.
func TestLimitOfNone(t *testing.T) {
	checkSent(t, []sent{
		{[]string{"X-Rate-Limit-Limit: 0", "X-Rate-Limit-Remaining: 0", "X-Rate-Limit-Reset: 1767614430"}, nil},
		{[]string{"RateLimit-Limit: 0", "RateLimit-Remaining: 0", "RateLimit-Reset: 30"}, nil},
		{[]string{"X-RateLimit-Limit: -1", "X-RateLimit-Remaining: -1", "X-RateLimit-Reset: 30"}, nil},
		{[]string{"RateLimit: limit=0, remaining=0, reset=30"}, nil},
		{[]string{`RateLimit: "a";r=0;t=30`, `RateLimit-Policy: "a";q=0;w=60`}, nil},
		{[]string{`RateLimit: "a";r=0;t=30, "b";r=1;t=2`, `RateLimit-Policy: "a";q=0;w=60, "b";q=2;w=2`}, one(signals.Limit{Name: "b", Quota: 2, Window: 2 * time.Second, Remaining: 1, Reset: 2 * time.Second})},
		{[]string{"x-ratelimit-limit-requests: 0", "x-ratelimit-remaining-requests: 0", "x-ratelimit-reset-requests: 30s"}, nil},
		{[]string{"X-Shopify-Shop-Api-Call-Limit: 0/0"}, nil},
	})
}
