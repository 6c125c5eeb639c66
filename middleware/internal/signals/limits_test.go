package signals_test

import (
	"fmt"
	"maps"
	"math"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware/internal/signals"
)

// TestParse checks the headers of real APIs. In a synctest bubble the time is
// 2000-01-01T00:00:00Z, 946684800.
func TestParse(t *testing.T) {
	five := signals.Limit{Name: "default", Quota: 5, Window: time.Second, Remaining: 4, Reset: time.Second}
	for _, c := range []struct {
		name   string
		header http.Header
		want   signals.Limits
	}{
		{"nothing", headers(), signals.Limits{}},

		// The wait.
		{"Retry-After", headers("Retry-After: 120"), signals.Limits{RetryAfter: 2 * time.Minute}},
		{"Retry-After of a float", headers("Retry-After: 2.5"), signals.Limits{RetryAfter: 2500 * time.Millisecond}},
		{"Retry-After of 0", headers("Retry-After: 0"), signals.Limits{}},
		{"Retry-After, negative", headers("Retry-After: -5"), signals.Limits{}},
		{"Retry-After of a float without a number", headers("Retry-After: NaN"), signals.Limits{}},
		{"Retry-After, infinite", headers("Retry-After: Inf"), signals.Limits{}},
		{"Retry-After with an exponent", headers("Retry-After: 1e9"), signals.Limits{}},
		{"Retry-After, hexadecimal", headers("Retry-After: 0x10"), signals.Limits{}},
		{"Retry-After, too large to make sense", headers("Retry-After: 99999999999999999999999999"), signals.Limits{}},
		{"Retry-After of a year", headers("Retry-After: 31536000"), signals.Limits{RetryAfter: year}},
		{"Retry-After of a date, by this clock", headers("Retry-After: Sat, 01 Jan 2000 00:00:07 GMT"), signals.Limits{RetryAfter: 7 * time.Second}},
		{"Retry-After of a date, by the server's clock", headers("Retry-After: Wed, 21 Oct 2015 07:28:30 GMT", "Date: Wed, 21 Oct 2015 07:28:00 GMT"), signals.Limits{RetryAfter: 30 * time.Second}},
		{"Retry-After of a date in the past", headers("Retry-After: Wed, 21 Oct 1998 07:28:00 GMT"), signals.Limits{}},
		{"milliseconds before seconds", headers("Retry-After: 1", "Retry-After-Ms: 200"), signals.Limits{RetryAfter: 200 * time.Millisecond}},
		{"Azure's milliseconds", headers("Retry-After: 1", "x-ms-retry-after-ms: 250.5"), signals.Limits{RetryAfter: 250500 * time.Microsecond}},
		{"milliseconds that cannot be read", headers("Retry-After: 1", "Retry-After-Ms: soon"), signals.Limits{RetryAfter: time.Second}},

		// The limits: IETF.
		{"draft 11", headers(`RateLimit-Policy: "default";q=5;w=1`, `RateLimit: "default";r=4;t=1`), signals.Limits{All: one(five)}},
		{"draft 11 before all others", headers(`RateLimit-Policy: "default";q=5;w=1`, `RateLimit: "default";r=4;t=1`, "X-RateLimit-Limit: 9", "X-RateLimit-Remaining: 8"), signals.Limits{All: one(five)}},
		{"draft 11, several", headers(`RateLimit-Policy: "burst";q=100;w=60,"daily";q=1000;w=86400`, `RateLimit: "daily";r=3;t=400,"burst";r=50;t=30`), signals.Limits{All: []signals.Limit{
			{Name: "daily", Quota: 1000, Window: 24 * time.Hour, Remaining: 3, Reset: 400 * time.Second},
			{Name: "burst", Quota: 100, Window: time.Minute, Remaining: 50, Reset: 30 * time.Second},
		}}},
		{"draft 11, on two lines, with a partition key and a unit", headers(`RateLimit-Policy: "a";q=10;w=1;pk=:cHNkZg==:`, `RateLimit-Policy: "b";q=65535;qu="content-bytes";w=10`, `RateLimit: "b";r=100, "a";r=9;pk=:cHNkZg==:`), signals.Limits{All: []signals.Limit{
			{Name: "b", Unit: "content-bytes", Quota: 65535, Window: 10 * time.Second, Remaining: 100},
			{Name: "a", Quota: 10, Window: time.Second, Remaining: 9},
		}}},
		{"draft 11, the policy alone", headers(`RateLimit-Policy: "default";q=5;w=1;qu="requests"`), signals.Limits{All: one(signals.Limit{Name: "default", Quota: 5, Window: time.Second, Remaining: signals.Unknown})}},
		{"draft 11, the state alone", headers(`RateLimit: "default";r=50;t=30`), signals.Limits{All: one(signals.Limit{Name: "default", Remaining: 50, Reset: 30 * time.Second})}},
		{"draft 11, a name with a comma", headers(`RateLimit: "a,\"b;c";r=1;t=1`), signals.Limits{All: one(signals.Limit{Name: `a,"b;c`, Remaining: 1, Reset: time.Second})}},
		{"draft 11, broken members", headers(`RateLimit: "x, "default";r=1`, `RateLimit: ;;;, "default";r=4;t=1`), signals.Limits{All: one(signals.Limit{Name: "default", Remaining: 4, Reset: time.Second})}},
		{"draft 07", headers("RateLimit-Policy: 100;w=60, 1000;w=3600", "RateLimit: limit=100, remaining=50, reset=50"), signals.Limits{All: one(signals.Limit{Quota: 100, Window: time.Minute, Remaining: 50, Reset: 50 * time.Second})}},
		{"draft 07, no policy", headers("RateLimit: limit=100,remaining=0,reset=7"), signals.Limits{All: one(signals.Limit{Quota: 100, Reset: 7 * time.Second})}},
		{"draft 06", headers("RateLimit-Limit: 10, 10;w=1, 50;w=60", "RateLimit-Remaining: 9", "RateLimit-Reset: 1"), signals.Limits{All: one(signals.Limit{Quota: 10, Window: time.Second, Remaining: 9, Reset: time.Second})}},
		{"draft 06 with a policy", headers("RateLimit-Limit: 10", "RateLimit-Policy: 50;w=60, 10;w=1", "RateLimit-Remaining: 9", "RateLimit-Reset: 1"), signals.Limits{All: one(signals.Limit{Quota: 10, Window: time.Second, Remaining: 9, Reset: time.Second})}},

		// The limits: X-RateLimit-* and X-Rate-Limit-*.
		{"GitHub", headers("X-RateLimit-Limit: 5000", "X-RateLimit-Remaining: 4999", "X-RateLimit-Reset: 946688400", "X-RateLimit-Used: 1", "X-RateLimit-Resource: core"), signals.Limits{All: one(signals.Limit{Name: "core", Quota: 5000, Remaining: 4999, Reset: time.Hour})}},
		{"GitHub, whose clock is another", headers("X-RateLimit-Limit: 5000", "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 1445412510", "Date: Wed, 21 Oct 2015 07:28:00 GMT"), signals.Limits{All: one(signals.Limit{Quota: 5000, Reset: 30 * time.Second})}},
		{"GitHub's secondary limit", headers("Retry-After: 60", "X-RateLimit-Limit: 5000", "X-RateLimit-Remaining: 4000"), signals.Limits{RetryAfter: time.Minute, All: one(signals.Limit{Quota: 5000, Remaining: 4000})}},
		{"epoch milliseconds", headers("X-RateLimit-Remaining: 7", "X-RateLimit-Reset: 946684801500"), signals.Limits{All: one(signals.Limit{Remaining: 7, Reset: 1500 * time.Millisecond})}},
		{"a fraction of an epoch", headers("X-RateLimit-Remaining: 7", "X-RateLimit-Reset: 946684801.5"), signals.Limits{All: one(signals.Limit{Remaining: 7, Reset: 1500 * time.Millisecond})}},
		{"delta seconds", headers("X-RateLimit-Remaining: 7", "X-RateLimit-Reset: 59"), signals.Limits{All: one(signals.Limit{Remaining: 7, Reset: 59 * time.Second})}},
		{"RFC 3339", headers("X-Rate-Limit-Limit: 5", "X-Rate-Limit-Remaining: 7", "X-Rate-Limit-Reset: 2000-01-01T01:00:03+01:00"), signals.Limits{All: one(signals.Limit{Quota: 5, Remaining: 7, Reset: 3 * time.Second})}},
		{"HTTP date", headers("X-RateLimit-Remaining: 7", "X-RateLimit-Reset: Sat, 01 Jan 2000 00:00:07 GMT"), signals.Limits{All: one(signals.Limit{Remaining: 7, Reset: 7 * time.Second})}},
		{"a reset in the past", headers("X-RateLimit-Remaining: 7", "X-RateLimit-Reset: 946684700"), signals.Limits{All: one(signals.Limit{Remaining: 7})}},
		{"a reset that is too late", headers("X-RateLimit-Remaining: 7", "X-RateLimit-Reset: 9999999999"), signals.Limits{All: one(signals.Limit{Remaining: 7})}},
		{"AspNetCoreRateLimit", headers("X-Rate-Limit-Limit: 15m", "X-Rate-Limit-Remaining: 99", "X-Rate-Limit-Reset: 2000-01-01T00:15:00.0000000Z"), signals.Limits{All: one(signals.Limit{Window: 15 * time.Minute, Remaining: 99, Reset: 15 * time.Minute})}},
		{"a period of a day", headers("X-Rate-Limit-Limit: 1d", "X-Rate-Limit-Remaining: 99"), signals.Limits{All: one(signals.Limit{Window: 24 * time.Hour, Remaining: 99})}},
		{"below none", headers("X-RateLimit-Limit: 10", "X-RateLimit-Remaining: -3"), signals.Limits{All: one(signals.Limit{Quota: 10})}},
		{"too many", headers("X-RateLimit-Limit: 99999999999999999999", "X-RateLimit-Remaining: 18446744073709551616"), signals.Limits{All: one(signals.Limit{Quota: math.MaxInt32, Remaining: math.MaxInt32})}},
		{"no numbers", headers("X-RateLimit-Limit: NaN", "X-RateLimit-Remaining: +Inf", "X-RateLimit-Reset: 0x1p-2"), signals.Limits{}},
		{"OpenAI", headers("x-ratelimit-limit-requests: 60", "x-ratelimit-limit-tokens: 150000", "x-ratelimit-remaining-requests: 59", "x-ratelimit-remaining-tokens: 149984", "x-ratelimit-reset-requests: 1s", "x-ratelimit-reset-tokens: 6m0s"), signals.Limits{All: []signals.Limit{
			{Name: "requests", Quota: 60, Remaining: 59, Reset: time.Second, Refills: true},
			{Name: "tokens", Unit: "tokens", Quota: 150000, Remaining: 149984, Reset: 6 * time.Minute, Refills: true},
		}}},
		{"OpenAI, milliseconds", headers("x-ratelimit-limit-requests: 3000", "x-ratelimit-remaining-requests: 2999", "x-ratelimit-reset-requests: 20ms"), signals.Limits{All: one(signals.Limit{Name: "requests", Quota: 3000, Remaining: 2999, Reset: 20 * time.Millisecond, Refills: true})}},

		// The limits: other vendors.
		{"Anthropic", headers("anthropic-ratelimit-requests-limit: 50", "anthropic-ratelimit-requests-remaining: 49", "anthropic-ratelimit-requests-reset: 2000-01-01T00:00:02Z", "anthropic-ratelimit-input-tokens-limit: 40000", "anthropic-ratelimit-input-tokens-remaining: 39000", "anthropic-ratelimit-input-tokens-reset: 2000-01-01T00:00:10Z"), signals.Limits{All: []signals.Limit{
			{Name: "requests", Quota: 50, Remaining: 49, Reset: 2 * time.Second, Refills: true},
			{Name: "input-tokens", Unit: "input-tokens", Quota: 40000, Remaining: 39000, Reset: 10 * time.Second, Refills: true},
		}}},
		{"Shopify", headers("X-Shopify-Shop-Api-Call-Limit: 32/40"), signals.Limits{All: one(signals.Limit{Quota: 40, Window: 20 * time.Second, Remaining: 8})}},
		{"Shopify Plus", headers("X-Shopify-Shop-Api-Call-Limit: 1/400"), signals.Limits{All: one(signals.Limit{Quota: 400, Window: 20 * time.Second, Remaining: 399})}},
		{"Shopify, over", headers("X-Shopify-Shop-Api-Call-Limit: 41/40", "Retry-After: 2.0"), signals.Limits{RetryAfter: 2 * time.Second, All: one(signals.Limit{Quota: 40, Window: 20 * time.Second})}},
		{"Shopify, of none", headers("X-Shopify-Shop-Api-Call-Limit: 0/0"), signals.Limits{}},
		{"Shopify, broken", headers("X-Shopify-Shop-Api-Call-Limit: 32"), signals.Limits{}},

		// From a cache.
		{"an Age", headers("Age: 3", "Retry-After: 1", `RateLimit: "default";r=4;t=1`), signals.Limits{}},
		{"an Age of 0", headers("Age: 0", "Retry-After: 1"), signals.Limits{RetryAfter: time.Second}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if got := signals.Parse(c.header, time.Now()); !reflect.DeepEqual(got, c.want) {
					t.Errorf("%v:\n got %+v\nwant %+v", c.header, got, c.want)
				}
			})
		})
	}
}

// names are headers that are read.
var names = []string{
	"Age", "Date", "Retry-After", "Retry-After-Ms", "X-Ms-Retry-After-Ms",
	"Ratelimit", "Ratelimit-Policy", "Ratelimit-Limit", "Ratelimit-Remaining", "Ratelimit-Reset",
	"X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset", "X-Ratelimit-Resource",
	"X-Rate-Limit-Limit", "X-Rate-Limit-Remaining", "X-Rate-Limit-Reset",
	"X-Ratelimit-Limit-Requests", "X-Ratelimit-Remaining-Requests", "X-Ratelimit-Reset-Requests",
	"Anthropic-Ratelimit-Requests-Limit", "Anthropic-Ratelimit-Requests-Remaining", "Anthropic-Ratelimit-Requests-Reset",
	"X-Shopify-Shop-Api-Call-Limit",
}

// headersOf puts one line into each of names; a line that begins with + is another
// value of the header before.
func headersOf(text string) http.Header {
	h := http.Header{}
	i := 0
	for line := range strings.SplitSeq(text, "\n") {
		if more, found := strings.CutPrefix(line, "+"); found && i > 0 {
			h.Add(names[(i-1)%len(names)], more)
			continue
		}
		if line != "" {
			h.Add(names[i%len(names)], line)
		}
		i++
	}
	return h
}

// textOf is the inverse of headersOf.
func textOf(h http.Header) string {
	var lines []string
	for _, name := range names {
		lines = append(lines, strings.Join(h[name], "\n+"))
	}
	return strings.Join(lines, "\n")
}

func seed(f *testing.F) {
	for _, h := range []http.Header{
		headers(`RateLimit-Policy: "default";q=5;w=1, "b";q=9;w=3600`, `RateLimit: "default";r=0;t=1, "b";r=3;t=5`, "Retry-After: 1", "Retry-After-Ms: 200"),
		headers("RateLimit-Policy: 100;w=60", "RateLimit: limit=100, remaining=50, reset=50"),
		headers("RateLimit-Limit: 10, 10;w=1", "RateLimit-Remaining: 0", "RateLimit-Reset: 1"),
		headers("X-RateLimit-Limit: 5000", "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 946688400", "Date: Sat, 01 Jan 2000 00:00:00 GMT"),
		headers("X-Rate-Limit-Limit: 15m", "X-Rate-Limit-Remaining: 1", "X-Rate-Limit-Reset: 2000-01-01T00:15:00Z"),
		headers("X-RateLimit-Limit-Requests: 60", "X-RateLimit-Remaining-Requests: 0", "X-RateLimit-Reset-Requests: 6m0s"),
		headers("Anthropic-Ratelimit-Requests-Limit: 50", "Anthropic-Ratelimit-Requests-Remaining: 0", "Anthropic-Ratelimit-Requests-Reset: 2000-01-01T00:00:02Z"),
		headers("X-Shopify-Shop-Api-Call-Limit: 40/40", "Retry-After: 2.0"),
		headers("Retry-After: Sat, 01 Jan 2000 00:00:07 GMT", "Age: 1"),
		headers("X-Rate-Limit-Limit: 0.5d", "X-Rate-Limit-Remaining: 1", "X-Rate-Limit-Reset: 0.25d"),
		headers("Retry-After: 99999999999999999999", "X-RateLimit-Remaining: -1", "X-RateLimit-Limit: NaN"),
	} {
		f.Add(textOf(h))
	}
}

// FuzzParse checks that all numbers are in their range, whatever a server sends.
func FuzzParse(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, text string) {
		h := headersOf(text)
		before := h.Clone()
		l := signals.Parse(h, time.Now())
		if !maps.EqualFunc(h, before, slices.Equal) {
			t.Error("the header was changed")
		}
		checkRange(t, l)
	})
}

// FuzzDialects checks the same for all headers of the table beside each other. A line
// is the number of a header, and a value.
func FuzzDialects(f *testing.F) {
	all := signals.Names()
	for i := range all {
		f.Add(fmt.Sprintf("%d 5;w=3\n%d 20:1,100:120\n%d 2;r=3", i, i+1, i+2))
		f.Add(fmt.Sprintf("%d 9, 0\n%d 1767614430\n%d 3/5", i, i+1, i+2))
	}
	f.Fuzz(func(t *testing.T, text string) {
		h := http.Header{}
		for line := range strings.SplitSeq(text, "\n") {
			number, value, _ := strings.Cut(line, " ")
			if i, err := strconv.Atoi(number); err == nil && i >= 0 {
				h.Add(all[i%len(all)], value)
			}
		}
		checkRange(t, signals.Parse(h, time.Now()))
	})
}

// checkRange checks that all numbers are in their range.
func checkRange(t *testing.T, l signals.Limits) {
	t.Helper()
	if l.RetryAfter < 0 || l.RetryAfter > year || len(l.All) > 16 {
		t.Errorf("%+v", l)
	}
	for i, limit := range l.All {
		if limit.Quota < 0 || limit.Quota > math.MaxInt32 || limit.Remaining < signals.Unknown || limit.Remaining > math.MaxInt32 || limit.Refill < 0 || limit.Refill > math.MaxInt32 ||
			limit.Window < 0 || limit.Window > year || limit.Reset < 0 || limit.Reset > year || len(limit.Name) > 64 || len(limit.Unit) > 64 {
			t.Errorf("%+v", limit)
		}
		if limit.Quota == 0 && limit.Remaining == signals.Unknown && limit.Window == 0 && limit.Reset == 0 {
			t.Errorf("a limit without any number: %+v", limit)
		}
		if limit.Refill > 0 && (limit.Window == 0 || !limit.Refills) {
			t.Errorf("a refill without a window: %+v", limit)
		}
		for _, other := range l.All[:i] {
			if other.Name == limit.Name && other.Unit == limit.Unit {
				t.Errorf("two limits of one name: %+v", l.All)
			}
		}
	}
}
