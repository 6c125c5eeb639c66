package signals_test

import (
	"net/http"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware/internal/signals"
)

// TestParametersAreIgnored checks that unknown parameters, which RFC 9651 permits
// everywhere, are ignored.
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

// TestFirstPartOfAField checks that the first 8 KB of a field are read, and that no
// number is cut.
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
	lines := []string{"7" + strings.Repeat(",", 8*kilobyte-1), "5"} // more than 8 KB together
	h := http.Header{"X-Ratelimit-Remaining": lines}
	if got := signals.Parse(h, time.Now()).All; !reflect.DeepEqual(got, one(signals.Limit{Remaining: 7})) {
		t.Errorf("two lines of more than 8 KB: got %+v", got)
	}
}

// TestLongLinesCostNothing checks that a long line is not copied, whatever header it is
// in.
func TestLongLinesCostNothing(t *testing.T) {
	for _, unit := range []string{"9", ",", ";", `"`, `\`, "=", "a=1;", `"a";r=1,`, " ", "Mon, ", "1:1,", "{"} {
		line := []string{strings.Repeat(unit, 1<<20/len(unit))}
		for _, name := range slices.Concat(names, signals.Names()) {
			h := http.Header{name: line}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			signals.Parse(h, time.Now())
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 100_000 {
				t.Errorf("%s of %q: %d bytes", name, unit, n)
			}
		}
	}
}
