package signals_test

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware/transport/internal/signals"
)

// A sent is what a server sends, and what is read of it.
type sent struct {
	lines []string
	want  []signals.Limit
}

func checkSent(t *testing.T, cases []sent) {
	t.Helper()
	for _, c := range cases {
		if got := parseAt(c.lines...).All; !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q:\n got %+v\nwant %+v", c.lines, got, c.want)
		}
	}
}

// TestParametersAreIgnored: RFC 9651 permits them everywhere, and those that are not
// known say nothing.
func TestParametersAreIgnored(t *testing.T) {
	docker := one(signals.Limit{Quota: 100, Window: 6 * time.Hour, Remaining: 76})
	api := one(signals.Limit{Name: "api", Quota: 5, Window: time.Second, Remaining: 4, Reset: time.Second})
	checkSent(t, []sent{
		{[]string{"ratelimit-limit: 100;w=21600", "ratelimit-remaining: 76;w=21600", "docker-ratelimit-source: 192.0.2.1"}, docker},
		{[]string{"ratelimit-limit: 100; w=21600", "ratelimit-remaining: 76 ; w=21600"}, docker},
		{[]string{"X-RateLimit-Limit: 100;window=21600;comment=\"a, b; c\"", "X-RateLimit-Remaining: 76;x"}, docker},
		{[]string{"X-RateLimit-Limit: 100", "X-RateLimit-Remaining: 76;w=6h"}, docker},
		{[]string{"RateLimit-Limit: 100, 100;w=21600;name=\"per-ip\"", "RateLimit-Remaining: 76"}, docker},
		{[]string{"RateLimit-Limit: 100", "RateLimit-Policy: 5;w=1;burst=9, 100;w=21600;comment=\"six hours\"", "RateLimit-Remaining: 76"}, docker},
		{[]string{`RateLimit: "api";r=4;t=1;pk=:YQ==:;debug;x=?0`, `RateLimit-Policy: "api";q=5;w=1;future=("a" "b");y`}, api},
		{[]string{`RateLimit: "api"; r=9; r=4 ;t=1`, `RateLimit-Policy: "api";w=1;q=7;q=5`}, api},
		{[]string{`RateLimit: api;t=1;r=4`, `RateLimit-Policy: api;q=5;w=1`}, api},
		{[]string{`RateLimit: "api";r="4";t=1.0`, `RateLimit-Policy: "api";q=5.0;w=1s`}, api},
		{[]string{"RateLimit: limit=100;x=1, remaining=76", "RateLimit-Policy: 100;w=21600"}, docker},
		{[]string{"RateLimit: limit=100; remaining=76", "RateLimit-Policy: 100;w=21600"}, docker},
	})
}

// TestTighterOfSeveral: of several values of one field the tighter counts, whether they
// are members of a list or lines of their own.
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

// TestCountsWithPeriods: a count may stand before the time for which it holds.
func TestCountsWithPeriods(t *testing.T) {
	for text, want := range map[string]signals.Limit{
		"150/15m": {Quota: 150, Window: 15 * time.Minute}, "60/minute": {Quota: 60, Window: time.Minute}, "60 / hour": {Quota: 60, Window: time.Hour},
		"10 per 1 minute": {Quota: 10, Window: time.Minute}, "5 per second": {Quota: 5, Window: time.Second}, "1000/1d": {Quota: 1000, Window: 24 * time.Hour},
		"150/15m;burst=9": {Quota: 150, Window: 15 * time.Minute}, "15m": {Window: 15 * time.Minute},
		// These make no sense.
		"150/15": {}, "150/": {}, "/15m": {}, "150/fortnight": {}, "a/b/c": {}, "1//2": {}, "05/01/2026": {},
	} {
		want.Remaining = 3
		if got := parseAt("X-RateLimit-Limit: "+text, "X-RateLimit-Remaining: 3").All; !reflect.DeepEqual(got, one(want)) {
			t.Errorf("%s is %+v, want %+v", text, got, want)
		}
	}
}

// TestTwoSetsOfOneName: the response of an API through a proxy that has limits of its
// own carries two sets. The one that denies counts, with its own quota.
func TestTwoSetsOfOneName(t *testing.T) {
	denied := one(signals.Limit{Name: "default", Quota: 2, Window: time.Second, Remaining: 0, Reset: time.Second})
	checkSent(t, []sent{
		{[]string{`RateLimit-Policy: "default";q=5;w=1`, `RateLimit-Policy: "default";q=2;w=1`, `RateLimit: "default";r=4;t=1`, `RateLimit: "default";r=0;t=1`}, denied},
		{[]string{`RateLimit-Policy: "default";q=2;w=1`, `RateLimit-Policy: "default";q=5;w=1`, `RateLimit: "default";r=0;t=1`, `RateLimit: "default";r=4;t=1`}, denied},
		{[]string{`RateLimit-Policy: "default";q=5;w=1, "default";q=2;w=1`, `RateLimit: "default";r=4;t=1, "default";r=0;t=1`}, denied},
		{[]string{`RateLimit-Policy: "default";q=5;w=1`, `RateLimit-Policy: "default";q=9;w=1`, `RateLimit-Policy: "default";q=2;w=1`, `RateLimit: "default";r=3;t=1, "default";r=9;t=1, "default";r=0;t=1`}, denied},
		{[]string{`RateLimit-Policy: "default";q=2;w=1`, `RateLimit: "default";r=1;t=1`, `RateLimit: "default";r=0;t=1`}, denied},
		// Both deny: the one that does so for longer.
		{[]string{`RateLimit-Policy: "a";q=2;w=1, "a";q=2;w=1`, `RateLimit: "a";r=0;t=1, "a";r=0;t=9`}, one(signals.Limit{Name: "a", Quota: 2, Window: time.Second, Reset: 9 * time.Second})},
		{[]string{`RateLimit-Policy: "a";q=2;w=1, "a";q=2;w=1`, `RateLimit: "a";r=0;t=9, "a";r=0;t=1`}, one(signals.Limit{Name: "a", Quota: 2, Window: time.Second, Reset: 9 * time.Second})},
		// Neither denies: the one with less left counts, and then the slower one.
		{[]string{`RateLimit-Policy: "a";q=5;w=1`, `RateLimit-Policy: "a";q=2;w=1`, `RateLimit: "a";r=4;t=1`, `RateLimit: "a";r=1;t=1`}, one(signals.Limit{Name: "a", Quota: 2, Window: time.Second, Remaining: 1, Reset: time.Second})},
		{[]string{`RateLimit-Policy: "a";q=5;w=1`, `RateLimit-Policy: "a";q=2;w=1`, `RateLimit: "a";r=1;t=1`, `RateLimit: "a";r=1;t=1`}, one(signals.Limit{Name: "a", Quota: 2, Window: time.Second, Remaining: 1, Reset: time.Second})},
	})
}

// TestLimitsThatDoNotExist: a policy of another name is the limit of the state beside
// it, unless the numbers show that it is not.
func TestLimitsThatDoNotExist(t *testing.T) {
	api := one(signals.Limit{Name: "api", Quota: 500, Window: 5 * time.Minute, Remaining: 489, Reset: 189 * time.Second})
	checkSent(t, []sent{
		{[]string{`ratelimit: "api";r=489;t=189`, `ratelimit-policy: "fixed window";"api";q=500;w=300`}, api},
		{[]string{`ratelimit: "api";r=489;t=189`, `ratelimit-policy: "fixed window";q=500;w=300`}, api},
		{[]string{`ratelimit: "api";r=489;t=189`, `ratelimit-policy: "a";q=1000;w=600, "fixed window";"api";q=500;w=300`}, append(api[:1:1], signals.Limit{Name: "a", Quota: 1000, Window: 10 * time.Minute, Remaining: signals.Unknown})},
		{[]string{`ratelimit: "api";r=489;t=189`, `ratelimit-policy: 500;w=300`}, api},
		{[]string{`ratelimit: "api";r=489;t=189`, `ratelimit-policy: "a";"other";q=9;w=1, "b";"api";q=500;w=300`}, append(api[:1:1], signals.Limit{Name: "a", Quota: 9, Window: time.Second, Remaining: signals.Unknown})},
		{[]string{`Ratelimit: "default";r=50;t=30`, `Ratelimit-Policy: "burst";q=100;w=60`}, one(signals.Limit{Name: "default", Quota: 100, Window: time.Minute, Remaining: 50, Reset: 30 * time.Second})},
		{[]string{`RateLimit: "default";r=50;t=30`, `RateLimit-Policy: "burst";q=100;w=60, "daily";q=1000;w=86400`}, []signals.Limit{
			{Name: "default", Quota: 100, Window: time.Minute, Remaining: 50, Reset: 30 * time.Second}, {Name: "daily", Quota: 1000, Window: 24 * time.Hour, Remaining: signals.Unknown},
		}},
		{[]string{`RateLimit: "default";r=500;t=30`, `RateLimit-Policy: "burst";q=100;w=60, "daily";q=1000;w=86400`}, []signals.Limit{
			{Name: "default", Quota: 1000, Window: 24 * time.Hour, Remaining: 500, Reset: 30 * time.Second}, {Name: "burst", Quota: 100, Window: time.Minute, Remaining: signals.Unknown},
		}},
		// More is left than the policy has, or for longer: two limits.
		{[]string{`RateLimit: "daily";r=500;t=30`, `RateLimit-Policy: "burst";q=100;w=60`}, []signals.Limit{
			{Name: "daily", Remaining: 500, Reset: 30 * time.Second}, {Name: "burst", Quota: 100, Window: time.Minute, Remaining: signals.Unknown},
		}},
		{[]string{`RateLimit: "daily";r=50;t=3600`, `RateLimit-Policy: "burst";q=100;w=60`}, []signals.Limit{
			{Name: "daily", Remaining: 50, Reset: time.Hour}, {Name: "burst", Quota: 100, Window: time.Minute, Remaining: signals.Unknown},
		}},
		// The same numbers, but for other times or other units.
		{[]string{"RateLimit-Limit: 5, 5;w=1", "RateLimit-Remaining: 4", "X-RateLimit-Limit-Minute: 5", "X-RateLimit-Remaining-Minute: 4"}, []signals.Limit{
			{Quota: 5, Window: time.Second, Remaining: 4}, {Name: "minute", Quota: 5, Window: time.Minute, Remaining: 4},
		}},
		{[]string{`RateLimit-Policy: "a";q=5;w=1, "a";q=5;w=1;qu="content-bytes"`}, []signals.Limit{
			{Name: "a", Quota: 5, Window: time.Second, Remaining: signals.Unknown}, {Name: "a", Unit: "content-bytes", Quota: 5, Window: time.Second, Remaining: signals.Unknown},
		}},
		// The same limit in three forms.
		{[]string{`RateLimit: "default";r=4;t=1`, `RateLimit-Policy: "default";q=5;w=1`, "RateLimit-Limit: 5", "RateLimit-Remaining: 4", "X-RateLimit-Limit: 5", "X-RateLimit-Remaining: 4"}, one(signals.Limit{Name: "default", Quota: 5, Window: time.Second, Remaining: 4, Reset: time.Second})},
	})
}

// TestSoManyLimits: of all headers together no more are read than Limits says.
func TestSoManyLimits(t *testing.T) {
	var list []string
	for i := range 20 {
		list = append(list, fmt.Sprintf("%d:%d", i+1, i+1))
	}
	many := strings.Join(list, ",")
	if got := parseAt("X-App-Rate-Limit: "+many, "X-Method-Rate-Limit: "+many).All; len(got) != 16 {
		t.Errorf("%d limits, want 16", len(got))
	}
}

// TestOtherFormDenies: of two forms that disagree the one that denies is heeded.
func TestOtherFormDenies(t *testing.T) {
	checkSent(t, []sent{
		{[]string{`RateLimit: "default";r=4;t=1`, `RateLimit-Policy: "default";q=5;w=1`, "X-RateLimit-Limit: 100", "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 30"}, []signals.Limit{
			{Name: "default", Quota: 5, Window: time.Second, Remaining: 4, Reset: time.Second}, {Quota: 100, Remaining: 0, Reset: 30 * time.Second},
		}},
		{[]string{"RateLimit-Limit: 5", "RateLimit-Remaining: 4", "X-RateLimit-Limit: 100", "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 30"}, one(signals.Limit{Quota: 100, Remaining: 0, Reset: 30 * time.Second})},
		{[]string{"X-RateLimit-Limit: 5", "X-RateLimit-Remaining: 4", "X-Rate-Limit-Limit: 9", "X-Rate-Limit-Remaining: 8"}, one(signals.Limit{Quota: 5, Remaining: 4})},
		{[]string{"RateLimit-Reset: 30", "X-RateLimit-Limit: 9", "X-RateLimit-Remaining: 8"}, one(signals.Limit{Quota: 9, Remaining: 8})},
	})
}

// TestLimitOfNone: a limit of 0 says nothing about a rate, so that nothing is known of
// it: not how long it lasts, either.
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

// TestFirstPartOfAField: of a field its first 8 KB are read, and no number is cut.
func TestFirstPartOfAField(t *testing.T) {
	const kilobyte = 1 << 10
	member := "100" + strings.Repeat(" ", 97)
	for _, c := range []struct {
		value string
		want  []signals.Limit
	}{
		{strings.Repeat(",", 7*kilobyte) + "5", one(signals.Limit{Remaining: 5})},
		{strings.Repeat(",", 8*kilobyte-1) + "55", nil},
		{strings.Repeat(",", 1<<20) + "5", nil},
		{"x" + strings.Repeat(" ", 9*kilobyte) + ",5", nil},
		{"7," + strings.Repeat(",", 1<<20) + "5", one(signals.Limit{Remaining: 7})},
		{strings.Repeat(member+",", 15) + strings.Repeat(" ", 7*kilobyte) + "5", one(signals.Limit{Remaining: 100})},
		{"1" + strings.Repeat("1", 9*kilobyte), nil},
	} {
		if got := parseAt("X-RateLimit-Remaining:" + c.value).All; !reflect.DeepEqual(got, c.want) {
			t.Errorf("%d bytes, %.20q...: got %+v, want %+v", len(c.value), c.value, got, c.want)
		}
	}
	lines := []string{"7" + strings.Repeat(",", 8*kilobyte-1), "5"} // more than that, together
	h := http.Header{"X-Ratelimit-Remaining": lines}
	if got := signals.Parse(h, time.Now()).All; !reflect.DeepEqual(got, one(signals.Limit{Remaining: 7})) {
		t.Errorf("two lines of more than 8 KB: got %+v", got)
	}
}
