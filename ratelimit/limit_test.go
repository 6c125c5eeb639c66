package ratelimit_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

// fields returns the faulty fields that err names, in order.
func fields(err error) string {
	var names []string
	for _, f := range ratelimit.Faults(err) {
		names = append(names, f.Field)
	}
	return strings.Join(names, " ")
}

const tenYears = 10 * 365 * 24 * time.Hour

// lastDate is the last second of the year 9999.
const lastDate = 253_402_300_799

func TestInvalidLimits(t *testing.T) {
	long := strings.Repeat("n", store.MaxName)
	for _, test := range []struct {
		name  string
		limit ratelimit.Limit
		want  string // the faulty fields
	}{
		{"5 per second", ratelimit.PerSecond(5), ""},
		{"the zero Limit", ratelimit.Limit{}, "Rate Period"},
		{"everything at once", ratelimit.Limit{Name: "a;b", Rate: -1, Period: -1, Burst: -2}, "Name Rate Period Burst"},
		{"burst as wrong as the rate", ratelimit.Limit{Rate: -1, Period: time.Second, Burst: -1}, "Rate Burst"},
		{"burst left out, rate wrong", ratelimit.Limit{Rate: -1, Period: time.Second}, "Rate"},

		{"rate 1", ratelimit.PerSecond(1), ""},
		{"rate 0", ratelimit.PerSecond(0), "Rate"},
		{"rate -1", ratelimit.PerSecond(-1), "Rate"},
		{"rate 0, burst given", ratelimit.PerSecond(0).WithBurst(5), "Rate"},
		{"the smallest int as rate", ratelimit.PerSecond(math.MinInt), "Rate"},

		{"period 0", ratelimit.Limit{Rate: 1}, "Period"},
		{"period 1ns", ratelimit.Limit{Rate: 1, Period: 1}, "Period"},
		{"period 999ns", ratelimit.Limit{Rate: 1, Period: 999}, "Period"},
		{"period 1µs", ratelimit.Limit{Rate: 1, Period: time.Microsecond}, ""},
		{"period 1.001µs", ratelimit.Limit{Rate: 1, Period: 1001}, "Period"},
		{"an odd period", ratelimit.Limit{Rate: 7, Period: 1_234_567 * time.Microsecond}, ""},
		{"an odd period and 1ns", ratelimit.Limit{Rate: 7, Period: 1_234_567*time.Microsecond + 1}, "Period"},
		{"period -1s", ratelimit.Limit{Rate: 1, Period: -time.Second}, "Period"},
		{"ten years, rate 100", ratelimit.Limit{Rate: 100, Period: tenYears, Burst: 1}, ""},
		{"ten years and 1µs, rate 100", ratelimit.Limit{Rate: 100, Period: tenYears + time.Microsecond, Burst: 1}, "Period"},
		{"the longest Duration, rate 100", ratelimit.Limit{Rate: 100, Period: math.MaxInt64 / 1000 * 1000, Burst: 1}, "Period"},

		{"burst 1", ratelimit.PerSecond(5).WithBurst(1), ""},
		{"burst -1", ratelimit.PerSecond(5).WithBurst(-1), "Burst"},
		{"the smallest int as burst", ratelimit.PerSecond(5).WithBurst(math.MinInt), "Burst"},
		{"the largest int as burst", ratelimit.PerSecond(5).WithBurst(math.MaxInt), "Burst"},

		{"1 per ten years", ratelimit.Limit{Rate: 1, Period: tenYears}, ""},
		{"1 per ten years and 1µs", ratelimit.Limit{Rate: 1, Period: tenYears + time.Microsecond}, "Period"},
		{"a burst of ten years", ratelimit.PerSecond(1).WithBurst(315_360_000), ""},
		{"a burst of ten years and one", ratelimit.PerSecond(1).WithBurst(315_360_001), "Burst"},
		{"a burst of ten years, less a third", ratelimit.Limit{Rate: 3, Period: tenYears, Burst: 3}, ""},
		{"a burst of ten years and a third", ratelimit.Limit{Rate: 3, Period: tenYears, Burst: 4}, "Burst"},

		{"a name", ratelimit.PerDay(1).Named("daily"), ""},
		{"the longest name", ratelimit.PerDay(1).Named(long), ""},
		{"a name too long", ratelimit.PerDay(1).Named(long + "n"), "Name"},
		{"spaces inside", ratelimit.PerDay(1).Named("per day"), ""},
		{"a space first", ratelimit.PerDay(1).Named(" daily"), "Name"},
		{"a space last", ratelimit.PerDay(1).Named("daily "), "Name"},
		{"nothing but a space", ratelimit.PerDay(1).Named(" "), "Name"},
		{"the first and last printable", ratelimit.PerDay(1).Named("!~"), ""},
		{"below the first printable", ratelimit.PerDay(1).Named("a\x1fb"), "Name"},
		{"above the last printable", ratelimit.PerDay(1).Named("a\x7fb"), "Name"},
		{"NUL", ratelimit.PerDay(1).Named("a\x00b"), "Name"},
		{"a newline", ratelimit.PerDay(1).Named("a\r\nb"), "Name"},
		{"not ASCII", ratelimit.PerDay(1).Named("täglich"), "Name"},
		{"a quote", ratelimit.PerDay(1).Named(`a"b`), "Name"},
		{"a backslash", ratelimit.PerDay(1).Named(`a\b`), "Name"},
		{"a semicolon", ratelimit.PerDay(1).Named("a;b"), "Name"},
		{"a comma", ratelimit.PerDay(1).Named("a,b"), "Name"},

		{"shadow", ratelimit.PerDay(1).Shadowed(), ""},
		{"enforced from a date", ratelimit.PerDay(1).EnforcedFrom(time.Unix(1, 0)), ""},
		{"a date without shadow", ratelimit.Limit{Rate: 1, Period: time.Second, EnforceFrom: 1}, "EnforceFrom"},
		{"the last date", ratelimit.Limit{Rate: 1, Period: time.Second, Shadow: true, EnforceFrom: lastDate}, ""},
		{"after the last date", ratelimit.Limit{Rate: 1, Period: time.Second, Shadow: true, EnforceFrom: lastDate + 1}, "EnforceFrom"},
		{"the zero time as a date", ratelimit.PerDay(1).EnforcedFrom(time.Time{}), "EnforceFrom"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := ratelimit.NewPolicy(test.limit)
			if got := fields(err); got != test.want {
				t.Fatalf("%#v: the faulty fields are %q, want %q: %v", test.limit, got, test.want, err)
			}
			for _, f := range ratelimit.Faults(err) {
				if f.Value == nil || !strings.Contains(f.Want, "must") {
					t.Errorf("the error does not say what was found and what would be right: %v", f)
				}
			}
			if _, newErr := ratelimit.New(memstore.New(memstore.Config{}), test.limit, ratelimit.Config{}); fields(newErr) != test.want {
				t.Errorf("NewPolicy: %v, New: %v", err, newErr)
			}
		})
	}
}

// MaxRate does not fit into an int of 32 bits.
func TestInvalidLimitsNearMaxRate(t *testing.T) {
	if math.MaxInt == math.MaxInt32 {
		t.Skip("an int cannot hold these rates")
	}
	maxRate, maxBurst := int64(gcra.MaxRate), int64(gcra.MaxBurst)
	for _, test := range []struct {
		limit ratelimit.Limit
		want  string
	}{
		{ratelimit.PerSecond(int(maxRate)), ""},
		{ratelimit.PerSecond(int(maxRate + 1)), "Rate"},
		{ratelimit.PerSecond(math.MaxInt), "Rate"},
		{ratelimit.Limit{Rate: int(maxRate), Period: time.Microsecond, Burst: int(maxBurst)}, ""},
		{ratelimit.Limit{Rate: int(maxRate), Period: time.Microsecond, Burst: int(maxBurst) + 1}, "Burst"},
		{ratelimit.Limit{Rate: int(maxRate), Period: time.Microsecond, Burst: math.MaxInt}, "Burst"},
		{ratelimit.Limit{Rate: int(maxRate), Period: tenYears}, ""},
		{ratelimit.Limit{Rate: int(maxRate), Period: tenYears, Burst: int(maxRate) + 1}, "Burst"},
		{ratelimit.Limit{Rate: int(maxRate), Period: tenYears + time.Microsecond, Burst: 1}, "Period"},
		{ratelimit.Limit{Rate: int(maxRate), Period: math.MaxInt64 / 1000 * 1000, Burst: math.MaxInt}, "Period Burst"},
	} {
		_, err := ratelimit.NewPolicy(test.limit)
		if got := fields(err); got != test.want {
			t.Errorf("%#v: the faulty fields are %q, want %q", test.limit, got, test.want)
		}
	}
}

func TestLimitErrorNamesLimitFieldValueAndFix(t *testing.T) {
	_, err := ratelimit.NewPolicy(ratelimit.Limit{Name: "daily", Rate: -7, Period: 1500, Burst: -3})
	want := `ratelimit: limit "daily": Rate -7 must be from 1 to 2147483648, such as 5/s or ratelimit.PerSecond(5); to stop a key, use ratelimit.Blocked; to exempt one, use ratelimit.Unlimited
ratelimit: limit "daily": Period 1.5µs must be a whole number of microseconds, from 1µs to 87600h0m0s, such as 1s or time.Second
ratelimit: limit "daily": Burst -3 must be from 1 to 4503599627370496, or 0 for the same as Rate`
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
	_, err = ratelimit.NewPolicy(ratelimit.Limit{Name: "x,y", Rate: 1, Period: tenYears, Burst: 2})
	want = `ratelimit: limit "x,y": Name "x,y" must be 1 to 64 printable ASCII characters without " \ ; or , and without a space at either end, such as "daily"
ratelimit: limit "x,y": Burst 2 must refill within 87600h0m0s: Burst * Period / Rate may not exceed it; lower Burst or Period, or raise Rate`
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
	failed, ok := errors.AsType[*ratelimit.LimitError](err)
	if !ok || failed.Limit != "x,y" || failed.Field != "Name" || failed.Value != "x,y" {
		t.Errorf("errors.As finds %+v", failed)
	}
}

func TestLimitConstructors(t *testing.T) {
	for _, test := range []struct{ got, want ratelimit.Limit }{
		{ratelimit.PerSecond(5), ratelimit.Limit{Rate: 5, Period: time.Second}},
		{ratelimit.PerMinute(5), ratelimit.Limit{Rate: 5, Period: time.Minute}},
		{ratelimit.PerHour(5), ratelimit.Limit{Rate: 5, Period: time.Hour}},
		{ratelimit.PerDay(5), ratelimit.Limit{Rate: 5, Period: 24 * time.Hour}},
		{ratelimit.PerDay(5).WithBurst(2).Named("n"), ratelimit.Limit{Name: "n", Rate: 5, Period: 24 * time.Hour, Burst: 2}},
	} {
		if test.got != test.want {
			t.Errorf("got %#v, want %#v", test.got, test.want)
		}
	}
}

func TestLimitDefaults(t *testing.T) {
	p, err := ratelimit.PerSecond(5).PolicyFor(t.Context(), "any key")
	if err != nil {
		t.Fatal(err)
	}
	want := ratelimit.Limit{Name: "default", Rate: 5, Period: time.Second, Burst: 5}
	if got := p.Limits()[0]; got != want {
		t.Errorf("Limits: %#v, want %#v", got, want)
	}
	if got := &p.Compiled()[0]; got.Name != want.Name || got.Burst() != want.Burst || got.Capacity() != (gcra.Debt{Micros: 1_000_000}) {
		t.Errorf("Compiled: %+v, want %#v", got, want)
	}
	if _, err := (ratelimit.Limit{}).PolicyFor(t.Context(), "any key"); fields(err) != "Rate Period" {
		t.Errorf("PolicyFor of the zero Limit: %v", err)
	}
}
