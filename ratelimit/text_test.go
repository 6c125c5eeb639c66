package ratelimit_test

import (
	"encoding/json"
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
)

// canonical returns l with its defaults left out: two limits that mean the same
// are then equal.
func canonical(l ratelimit.Limit) ratelimit.Limit {
	if l.Name == "default" {
		l.Name = ""
	}
	if l.Burst == l.Rate {
		l.Burst = 0
	}
	return l
}

func TestParseLimit(t *testing.T) {
	for _, test := range []struct {
		text string
		want ratelimit.Limit
	}{
		{"5/s", ratelimit.PerSecond(5)},
		{"5/m", ratelimit.PerMinute(5)},
		{"5/h", ratelimit.PerHour(5)},
		{"5/d", ratelimit.PerDay(5)},
		{"5/1s", ratelimit.PerSecond(5)},
		{"100/1m", ratelimit.PerMinute(100)},
		{"1000/24h;burst=50", ratelimit.PerDay(1000).WithBurst(50)},
		{"1000/d;name=daily", ratelimit.PerDay(1000).Named("daily")},
		{"1000/d;name=daily;burst=7", ratelimit.PerDay(1000).Named("daily").WithBurst(7)},
		{"1000/d;burst=7;name=daily", ratelimit.PerDay(1000).Named("daily").WithBurst(7)},
		{"1/7d", ratelimit.Limit{Rate: 1, Period: 7 * 24 * time.Hour}},
		{"1/3650d", ratelimit.Limit{Rate: 1, Period: tenYears}},
		{"1/1.9s", ratelimit.Limit{Rate: 1, Period: 1900 * time.Millisecond}},
		{"5/500ms", ratelimit.Limit{Rate: 5, Period: 500 * time.Millisecond}},
		{"5/1us", ratelimit.Limit{Rate: 5, Period: time.Microsecond}},
		{"5/1µs", ratelimit.Limit{Rate: 5, Period: time.Microsecond}},
		{"5/1h30m", ratelimit.Limit{Rate: 5, Period: 90 * time.Minute}},
		{"5/1.5h", ratelimit.Limit{Rate: 5, Period: 90 * time.Minute}},
		{"5/1.000001s", ratelimit.Limit{Rate: 5, Period: 1_000_001 * time.Microsecond}},
		{"005/s;burst=010", ratelimit.PerSecond(5).WithBurst(10)},
		{"5/s;name=a=b", ratelimit.PerSecond(5).Named("a=b")},
		{"5/s;name=a/b c", ratelimit.PerSecond(5).Named("a/b c")},
		{"5/s;name=burst=5", ratelimit.PerSecond(5).Named("burst=5")},
		{"5/.5s", ratelimit.Limit{Rate: 5, Period: 500 * time.Millisecond}},
		{"5/+1s", ratelimit.PerSecond(5)},
		{"5/s;shadow", ratelimit.PerSecond(5).Shadowed()},
		{"5/s;shadow;name=new", ratelimit.PerSecond(5).Shadowed().Named("new")},
		{"5/s;name=shadow", ratelimit.PerSecond(5).Named("shadow")},
		{"5/s;enforce-from=2027-01-31", ratelimit.PerSecond(5).EnforcedFrom(time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC))},
		{"5/s;shadow;enforce-from=2027-01-31", ratelimit.PerSecond(5).EnforcedFrom(time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC))},
		{"5/s;enforce-from=2027-01-31T09:00:01Z", ratelimit.PerSecond(5).EnforcedFrom(time.Date(2027, 1, 31, 9, 0, 1, 0, time.UTC))},
		{"5/s;enforce-from=2027-01-31T09:00:00+02:00", ratelimit.PerSecond(5).EnforcedFrom(time.Date(2027, 1, 31, 7, 0, 0, 0, time.UTC))},
		{"5/s;enforce-from=9999-12-31T23:59:59Z", ratelimit.Limit{Rate: 5, Period: time.Second, Shadow: true, EnforceFrom: lastDate}},
		{"5/1.0000000001s", ratelimit.PerSecond(5)}, // time.ParseDuration drops what is below a nanosecond
		{"1/292y", ratelimit.Limit{}},
	} {
		got, err := ratelimit.ParseLimit(test.text)
		if test.want == (ratelimit.Limit{}) {
			if err == nil {
				t.Errorf("%q: parsed", test.text)
			}
			continue
		}
		if err != nil || got != test.want {
			t.Errorf("%q: %#v, %v; want %#v", test.text, got, err, test.want)
		}
	}
}

func TestParseLimitRefuses(t *testing.T) {
	const (
		shape   = `must be RATE/PERIOD, such as "5/s"`
		number  = "must begin with a whole number, from 1 to 2147483648"
		period  = "must have a period of s, m, h, d, a number of days or a Go duration behind the slash"
		burst   = "must have a whole number of at least 1 as its burst"
		options = "may be followed only by ;burst=N, ;name=NAME, ;shared, ;shadow, ;enforce-from=DATE, ;enforce-for=N% and ;lockout=N/PERIOD:PERIOD"
		name    = "must have a name behind name="
		date    = "must have a day or an RFC 3339 time in whole seconds as enforce-from"
		micros  = "must be a whole number of microseconds, from 1µs to 87600h0m0s, such as 1s or time.Second"
	)
	for _, test := range []struct{ text, found, want string }{
		{"", `text ""`, shape},
		{"5", `text "5"`, shape},
		{"five per second", `text "five per second"`, shape},
		{";", `text ";"`, shape},
		{"5;burst=1/s", `text "5;burst=1/s"`, shape},
		{"/s", `text "/s"`, number},
		{"/", `text "/"`, number},
		{"+5/s", `text "+5/s"`, `must be written "5/s"`},
		{"-5/s", `text "-5/s"`, number},
		{" 5/s", `text " 5/s"`, `must be written "5/s"`},
		{"5_000/s", `text "5_000/s"`, `must be written "5000/s"`},
		{"5.5/s", `text "5.5/s"`, number},
		{"1e3/s", `text "1e3/s"`, number},
		{"0x5/s", `text "0x5/s"`, number},
		{"٥/s", `text "٥/s"`, number},
		{"9223372036854775808/s", `text "9223372036854775808/s"`, number},
		{"99999999999999999999999/s", `text "99999999999999999999999/s"`, number},
		{"0/s", "Rate 0", "must be from 1 to 2147483648"},
		{"2147483649/s", "2147483649", "from 1 to 2147483648"},
		{"5/", `text "5/"`, period},
		{"5/x", `text "5/x"`, period},
		{"5/ s", `text "5/ s"`, `must be written "5/s"`},
		{"5/s ", `text "5/s "`, `must be written "5/s"`},
		{"5/S", `text "5/S"`, `must be written "5/s"`},
		{"5/60", `text "5/60"`, period},
		{"5/s/s", `text "5/s/s"`, period},
		{"5/1w", `text "5/1w"`, `must be written "5/7d"`},
		{"5/1e3s", `text "5/1e3s"`, period},
		{"5/-1d", `text "5/-1d"`, period},
		{"5/1.5d", `text "5/1.5d"`, `must be written "5/36h"`},
		{"5/1h1d", `text "5/1h1d"`, `must be written "5/25h"`},
		{"5/d1d", `text "5/d1d"`, period},
		{"5/106752d", `text "5/106752d"`, period},
		{"5/99999999999999999999d", `text "5/99999999999999999999d"`, period},
		{"5/99999999999999999999h", `text "5/99999999999999999999h"`, period},
		{"5/1" + strings.Repeat("0", 300) + "s", "text", period},
		{"5/-1s", "Period -1s", micros},
		{"5/0", "Period 0s", micros},
		{"5/0s", "Period 0s", micros},
		{"5/0d", "Period 0s", micros},
		{"5/1ns", "Period 1ns", micros},
		{"5/1.0000001s", "Period 1.0000001s", micros},
		{"5/106751d", "Period 2562024h0m0s", micros},
		{"5/3651d", "Period 87624h0m0s", micros},
		{"1/3650d;burst=2", "Burst 2", "must refill within 87600h0m0s"},
		{"5/s;", `text "5/s;"`, `must be written "5/s"`},
		{"5/s;burst=5;", `text "5/s;burst=5;"`, `must be written "5/s"`},
		{"5/s;;burst=5", `text "5/s;;burst=5"`, `must be written "5/s"`},
		{"5/s; burst=5", `text "5/s; burst=5"`, `must be written "5/s"`},
		{"5/s;Burst=5", `text "5/s;Burst=5"`, `must be written "5/s"`},
		{"5/s;name=é;", `text "5/s;name=é;"`, "must not end with a semicolon"},
		{"5/s;;name=A", `text "5/s;;name=A"`, options},
		{"5/s;limit=5", `text "5/s;limit=5"`, options},
		{"5/s;shadow;enforced-from=2027-01-31;name=a", "text", `and its part 3 is none of them`},
		{"5/s;sk-canary-987", "text", `and its part 2 is none of them`},
		{"5/s;name", `text "5/s;name"`, name},
		{"5/s;name=", `text "5/s;name="`, name},
		{"5/s;name=;burst=5", "text", name},
		{"at most 10", `text "at most 10"`, `or N at a time, such as "10 at a time"`},
		{"10 at a time/s", `text "10 at a time/s"`, "must have no period: a limit on calls at a time has none"},
		{"x at a time/s", `text "x at a time/s"`, "must have no period"},
		{"5/s;burst", `text "5/s;burst"`, burst},
		{"5/s;burst=", `text "5/s;burst="`, burst},
		{"5/s;burst=0", `text "5/s;burst=0"`, burst},
		{"5/s;burst=-1", `text "5/s;burst=-1"`, burst},
		{"5/s;burst=5x", `text "5/s;burst=5x"`, burst},
		{"5/s;burst=99999999999999999999", `text "5/s;burst=99999999999999999999"`, burst},
		{"5/s;burst=5;burst=5", `text "5/s;burst=5;burst=5"`, "must not give burst twice"},
		{"5/s;name=a;burst=5;name=a", `text "5/s;name=a;burst=5;name=a"`, "must not give name twice"},
		{"5/s;name= a", `Name " a"`, "printable ASCII"},
		{"5/s;name=a,b", `Name "a,b"`, "printable ASCII"},
		{"5/s;name=a\nb", `Name "a\nb"`, "printable ASCII"},
		{"0/1ns;burst=5;name=é", `Rate 0`, "Name"},
		{"5/s;shadow=", `text "5/s;shadow="`, options},
		{"5/s;shadow=true", `text "5/s;shadow=true"`, options},
		{"5/s;shadow;shadow", `text "5/s;shadow;shadow"`, "must not give shadow twice"},
		{"5/s;enforce-from", `text "5/s;enforce-from"`, date},
		{"5/s;enforce-from=", `text "5/s;enforce-from="`, date},
		{"5/s;enforce-from=tomorrow", `text "5/s;enforce-from=tomorrow"`, date},
		{"5/s;enforce-from=2027-02-30", `text "5/s;enforce-from=2027-02-30"`, date},
		{"5/s;enforce-from=1970-01-01", `text "5/s;enforce-from=1970-01-01"`, date},
		{"5/s;enforce-from=2027-01-31 09:00", `text "5/s;enforce-from=2027-01-31 09:00"`, date},
		{"5/s;enforce-from=2027-01-31T09:00:00.5Z", `text "5/s;enforce-from=2027-01-31T09:00:00.5Z"`, date},
		{"5/s;enforce-from=9999-12-31T23:59:59-01:00", `text "5/s;enforce-from=9999-12-31T23:59:59-01:00"`, date},
	} {
		got, err := ratelimit.ParseLimit(test.text)
		if err == nil || got != (ratelimit.Limit{}) {
			t.Errorf("%q: %#v, %v; want the zero Limit and an error", test.text, got, err)
			continue
		}
		if text := err.Error(); len(ratelimit.Faults(err)) == 0 || !strings.Contains(text, test.found) || !strings.Contains(text, test.want) {
			t.Errorf("%q: the error does not hold %q and %q: %v", test.text, test.found, test.want, err)
		}
	}
}

// The largest count that an int can hold is read, and Validate says what is wrong.
func TestParseLimitLargestInt(t *testing.T) {
	text := "5/s;burst=" + strconv.Itoa(math.MaxInt)
	_, err := ratelimit.ParseLimit(text)
	if fields(err) != "Burst" {
		t.Errorf("%s: %v", text, err)
	}
}

func TestLimitString(t *testing.T) {
	for _, test := range []struct {
		limit ratelimit.Limit
		want  string
	}{
		{ratelimit.PerSecond(5), "5/s"},
		{ratelimit.PerMinute(5), "5/m"},
		{ratelimit.PerHour(5), "5/h"},
		{ratelimit.PerDay(5), "5/d"},
		{ratelimit.PerSecond(5).WithBurst(5).Named("default"), "5/s"},
		{ratelimit.PerSecond(5).WithBurst(6), "5/s;burst=6"},
		{ratelimit.PerSecond(5).Named("n"), "5/s;name=n"},
		{ratelimit.PerSecond(5).Named("n").WithBurst(6), "5/s;burst=6;name=n"},
		{ratelimit.Limit{Rate: 1, Period: 2 * time.Second}, "1/2s"},
		{ratelimit.Limit{Rate: 1, Period: 60 * time.Second}, "1/m"},
		{ratelimit.Limit{Rate: 1, Period: 90 * time.Second}, "1/90s"},
		{ratelimit.Limit{Rate: 1, Period: 61500 * time.Millisecond}, "1/61.5s"},
		{ratelimit.Limit{Rate: 1, Period: time.Hour + time.Second}, "1/3601s"},
		{ratelimit.Limit{Rate: 1, Period: 90 * time.Minute}, "1/90m"},
		{ratelimit.Limit{Rate: 1, Period: 36 * time.Hour}, "1/36h"},
		{ratelimit.Limit{Rate: 1, Period: 48 * time.Hour}, "1/2d"},
		{ratelimit.Limit{Rate: 1, Period: 1900 * time.Millisecond}, "1/1.9s"},
		{ratelimit.Limit{Rate: 1, Period: 1_234_567 * time.Microsecond}, "1/1.234567s"},
		{ratelimit.Limit{Rate: 5, Period: 500 * time.Millisecond}, "5/500ms"},
		{ratelimit.Limit{Rate: 5, Period: 1500 * time.Microsecond}, "5/1.5ms"},
		{ratelimit.Limit{Rate: 5, Period: 1001 * time.Microsecond}, "5/1001us"},
		{ratelimit.Limit{Rate: 5, Period: 1010 * time.Microsecond}, "5/1.01ms"},
		{ratelimit.Limit{Rate: 5, Period: time.Microsecond}, "5/1us"},
		{ratelimit.Limit{Rate: 5, Period: time.Millisecond}, "5/1ms"},
		{ratelimit.Limit{Rate: 5, Period: 10 * time.Millisecond}, "5/10ms"},
		{ratelimit.PerSecond(5).Shadowed().WithBurst(6), "5/s;burst=6;shadow"},
		{ratelimit.PerSecond(5).EnforcedFrom(time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)), "5/s;enforce-from=2027-01-31"},
		{ratelimit.PerSecond(5).EnforcedFrom(time.Date(2027, 1, 31, 9, 0, 0, 0, time.FixedZone("", 7200))), "5/s;enforce-from=2027-01-31T07:00:00Z"},
		{ratelimit.PerSecond(5).EnforcedFrom(time.Unix(lastDate, 999)), "5/s;enforce-from=9999-12-31T23:59:59Z"},
		// These are not valid, but printed.
		{ratelimit.Limit{}, "0/0s"},
		{ratelimit.Limit{Rate: -1, Period: -90 * time.Second, Burst: -5, Name: ";"}, "-1/-1m30s;burst=-5;name=;"},
		{ratelimit.Limit{Rate: 5, Period: 1}, "5/1ns"},
		{ratelimit.Limit{Rate: 5, Period: 1001}, "5/1.001us"},
		{ratelimit.Limit{Rate: 5, Period: math.MinInt64}, "5/-2562047h47m16.854775808s"},
		{ratelimit.Limit{Rate: 5, Period: math.MaxInt64}, "5/9223372036.854775807s"},
	} {
		if got := test.limit.String(); got != test.want {
			t.Errorf("%#v: %q, want %q", test.limit, got, test.want)
		}
	}
}

// TestLimitStringIsShortest tries all texts of one number and one unit, written
// out in exact fractions, against what String chooses.
func TestLimitStringIsShortest(t *testing.T) {
	units := []struct {
		name    string
		micros  int64
		decimal bool // a fraction of this unit is written out
	}{{"d", 86_400_000_000, false}, {"h", 3_600_000_000, false}, {"m", 60_000_000, false}, {"s", 1_000_000, true}, {"ms", 1000, true}, {"us", 1, false}}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 5_000 {
		unit := units[rng.IntN(len(units))]
		micros := 1 + rng.Int64N(3000)
		switch rng.IntN(3) {
		case 0:
			micros *= unit.micros
		case 1:
			micros = max(1, micros*unit.micros/(1+rng.Int64N(1000)))
		}
		l := ratelimit.Limit{Rate: 1, Period: time.Duration(micros) * time.Microsecond, Burst: 1}
		if _, err := ratelimit.NewPolicy(l); err != nil {
			l.Rate, l.Burst = 1<<30, 1
		}
		text := l.String()
		parsed, err := ratelimit.ParseLimit(text)
		if err != nil || canonical(parsed) != canonical(l) {
			t.Fatalf("%#v: %q is read back as %#v, %v", l, text, parsed, err)
		}
		_, period, _ := strings.Cut(text, "/")
		period, _, _ = strings.Cut(period, ";")
		for _, unit := range units {
			n := big.NewRat(micros, unit.micros)
			if n.Cmp(big.NewRat(1, 1)) < 0 || !n.IsInt() && !unit.decimal {
				continue
			}
			other := n.FloatString(6)
			other = strings.TrimRight(strings.TrimRight(other, "0"), ".")
			if n.IsInt() {
				other = n.Num().String()
			}
			if other == "1" && len(unit.name) == 1 {
				other = ""
			}
			other += unit.name
			if len(other) < len(period) {
				t.Fatalf("%v: String chose %q, and %q is shorter", l.Period, period, other)
			}
		}
	}
}

func TestLimitTextRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 5_000 {
		l := testkit.RandomLimit(rng)
		if rng.IntN(2) == 0 {
			l.Name = "a name=of " + strconv.Itoa(rng.IntN(10))
		}
		switch rng.IntN(4) {
		case 0:
			l = l.Shadowed()
		case 1:
			l = l.EnforcedFrom(time.Unix(1+rng.Int64N(lastDate), 0))
		case 2:
			l = l.EnforcedFrom(time.Unix(86_400*(1+rng.Int64N(lastDate/86_400)), 0))
		}
		parsed, err := ratelimit.ParseLimit(l.String())
		if err != nil || canonical(parsed) != canonical(l) {
			t.Fatalf("%#v: %q is read back as %#v, %v", l, l.String(), parsed, err)
		}
		if again := parsed.String(); again != l.String() {
			t.Fatalf("%q is printed as %q", l, again)
		}
	}
}

func TestLimitJSON(t *testing.T) {
	type file struct {
		Limit ratelimit.Limit
		Plans map[string]ratelimit.Limit
	}
	in := file{ratelimit.PerSecond(5), map[string]ratelimit.Limit{"gold": ratelimit.PerDay(1000).WithBurst(50).Named("daily")}}
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"Limit":"5/s","Plans":{"gold":"1000/d;burst=50;name=daily"}}`; string(text) != want {
		t.Errorf("Marshal: %s, want %s", text, want)
	}
	var out file
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	if out.Limit != in.Limit || out.Plans["gold"] != in.Plans["gold"] {
		t.Errorf("Unmarshal: %+v, want %+v", out, in)
	}

	out.Limit = ratelimit.PerHour(7)
	if err := json.Unmarshal([]byte(`{"Limit":"5/fortnight"}`), &out); len(ratelimit.Faults(err)) == 0 || out.Limit != ratelimit.PerHour(7) {
		t.Errorf("Unmarshal of a bad limit: %v, and the limit is %v; want a LimitError and what it was", err, out.Limit)
	}
	if text, err := (ratelimit.Limit{}).MarshalText(); fields(err) != "Rate Period" || text != nil {
		t.Errorf("MarshalText of the zero Limit: %q, %v", text, err)
	}
	if _, err := json.Marshal(file{}); err == nil {
		t.Error("Marshal wrote a limit that Unmarshal rejects")
	}
}

func FuzzParseLimit(f *testing.F) {
	for _, text := range []string{
		"5/s", "100/1m", "1000/24h;burst=50", "1000/d;name=daily", "1/1.9s", "5/1h30m", "2147483648/us;burst=4611686018427387904",
		"1/3650d", "0/s", "5/-1s", "5/1.0000001s", "5/s;", "5/s;;", "5/s;burst=0", "5/s;name=a=b;burst=3", "5/99999999999999999999h", "5/.5s", "5/+1s", "\xff/\x00",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l, err := ratelimit.ParseLimit(text)
		if err != nil {
			if l != (ratelimit.Limit{}) || len(ratelimit.Faults(err)) == 0 || !strings.HasPrefix(err.Error(), "ratelimit: ") {
				t.Fatalf("%q: %#v, %v", text, l, err)
			}
			return
		}
		if _, err := ratelimit.NewPolicy(l); err != nil {
			t.Fatalf("%q is read, but not valid: %v", text, err)
		}
		short := l.String()
		again, err := ratelimit.ParseLimit(short)
		if err != nil || canonical(again) != canonical(l) {
			t.Fatalf("%q is %#v; printed as %q, which is %#v, %v", text, l, short, again, err)
		}
		if again.String() != short {
			t.Fatalf("%q is printed as %q, and then as %q", text, short, again.String())
		}
		if _, err := ratelimit.NewPolicy(l); err != nil {
			t.Fatalf("%q cannot be compiled: %v", text, err)
		}
	})
}
