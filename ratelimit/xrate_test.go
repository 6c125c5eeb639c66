package ratelimit_test

import (
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
)

func TestFromRate(t *testing.T) {
	seconds := func(n, s int) ratelimit.Limit {
		return ratelimit.Limit{Rate: n, Period: time.Duration(s) * time.Second, Burst: 3}
	}
	for _, test := range []struct {
		name string
		r    rate.Limit
		want ratelimit.Limit
	}{
		{"5", 5, seconds(5, 1)},
		{"1", 1, seconds(1, 1)},
		{"2.5", 2.5, seconds(5, 2)},
		{"0.1", 0.1, seconds(1, 10)},
		{"0.3", 0.3, seconds(3, 10)},
		{"1/3", 1.0 / 3, seconds(1, 3)},
		{"2/3", 2.0 / 3, seconds(2, 3)},
		{"3.14", 3.14, seconds(157, 50)},
		{"1e6", 1e6, seconds(1_000_000, 1)},
		{"every 1900ms", rate.Every(1900 * time.Millisecond), seconds(10, 19)},
		{"every 500ms", rate.Every(500 * time.Millisecond), seconds(2, 1)},
		{"every minute", rate.Every(time.Minute), seconds(1, 60)},
		{"every hour", rate.Every(time.Hour), seconds(1, 3600)},
		{"every day", rate.Every(24 * time.Hour), seconds(1, 86400)},
		{"every 1.5µs", rate.Every(1500 * time.Nanosecond), seconds(2_000_000, 3)},
		{"every ns", rate.Every(time.Nanosecond), seconds(1_000_000_000, 1)},
		{"every three years", rate.Every(3 * 365 * 24 * time.Hour), seconds(1, 3*365*86400)},
		// No fraction is r again: the last one before.
		{"almost one", 1 - 1e-12, seconds(1, 1)},
		{"π", math.Pi, seconds(245850922, 78256779)},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, err := ratelimit.FromRate(test.r, 3); err != nil || got != test.want {
				t.Errorf("%#v, %v; want %#v", got, err, test.want)
			}
		})
	}
	if got, err := ratelimit.FromRate(5, 1); err != nil || got.Burst != 1 {
		t.Errorf("burst 1: %#v, %v", got, err)
	}
}

// These rates do not fit into an int of 32 bits.
func TestFromRateHuge(t *testing.T) {
	if math.MaxInt == math.MaxInt32 {
		t.Skip("an int cannot hold these rates")
	}
	maxRate := int64(gcra.MaxRate)
	for _, test := range []struct {
		r    rate.Limit
		want ratelimit.Limit
	}{
		{gcra.MaxRate, ratelimit.Limit{Rate: int(maxRate), Period: time.Second, Burst: 3}},
		{gcra.MaxRate - 0.5, ratelimit.Limit{Rate: int(maxRate) - 1, Period: time.Second, Burst: 3}},
		{gcra.MaxRate + 1, ratelimit.Limit{Rate: 2147, Period: time.Microsecond, Burst: 3}},
		{3e9, ratelimit.Limit{Rate: 3000, Period: time.Microsecond, Burst: 3}},
		{gcra.MaxRate * 1e6, ratelimit.Limit{Rate: int(maxRate), Period: time.Microsecond, Burst: 3}},
		{gcra.MaxRate*1e6 + 999_999, ratelimit.Limit{Rate: int(maxRate), Period: time.Microsecond, Burst: 3}},
	} {
		if got, err := ratelimit.FromRate(test.r, 3); err != nil || got != test.want {
			t.Errorf("%v: %#v, %v; want %#v", float64(test.r), got, err, test.want)
		}
	}
}

func TestFromRateRefuses(t *testing.T) {
	for _, test := range []struct {
		name   string
		r      rate.Limit
		burst  int
		fields string
		want   string
	}{
		{"rate.Inf", rate.Inf, 1, "r", "ratelimit.Unlimited"},
		{"+Inf", rate.Limit(math.Inf(1)), 1, "r", "must be finite"},
		{"every 0", rate.Every(0), 1, "r", "must be finite"},
		{"-Inf", rate.Limit(math.Inf(-1)), 1, "r", "r -Inf must be above 0"},
		{"NaN", rate.Limit(math.NaN()), 1, "r", "r NaN must be above 0"},
		{"0", 0, 1, "r", "r 0 must be above 0 events per second, such as rate.Limit(5)"},
		{"-0", rate.Limit(math.Copysign(0, -1)), 1, "r", "must be above 0"},
		{"-1", -1, 1, "r", "r -1 must be above 0"},
		{"subnormal", math.SmallestNonzeroFloat64, 1, "r", "r 5e-324 must be at least one event in 87600h0m0s"},
		{"1e-300", 1e-300, 1, "r", "r 1e-300 must be at least one event in"},
		{"less than one in ten years", 1 / 315_360_000.1, 1, "r", "must be at least one event in"},
		{"1e300", 1e300, 1, "r", "r 1e+300 must be at most 2147483648 events per microsecond"},
		{"the next below Inf", rate.Limit(math.Nextafter(math.MaxFloat64, 0)), 1, "r", "must be at most"},
		{"one above the most", (gcra.MaxRate + 1) * 1e6, 1, "r", "must be at most"},
		{"burst 0", 5, 0, "burst", "burst 0 must be at least 1"},
		{"burst -1", 5, -1, "burst", "burst -1 must be at least 1"},
		{"both", -5, -5, "r burst", "burst -5 must be at least 1"},
		{"burst above ten years", 1, 315_360_001, "Burst", "must refill within 87600h0m0s"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := ratelimit.FromRate(test.r, test.burst)
			if got != (ratelimit.Limit{}) || fields(err) != test.fields || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%#v, %v; want the zero Limit, faults of %q and %q", got, err, test.fields, test.want)
			}
		})
	}
	if got, err := ratelimit.FromRate(1/315_360_000.0, 1); err != nil || got.Period != tenYears || got.Rate != 1 {
		t.Errorf("one in ten years: %#v, %v", got, err)
	}
}

// TestFromRateIsTheSameFloat: what is given as a fraction of moderate size comes
// back as that fraction, in lowest terms.
func TestFromRateIsTheSameFloat(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 5_000 {
		n, s := 1+rng.Int64N(1_000_000), 1+rng.Int64N(40_000)
		r := float64(n) / float64(s)
		l, err := ratelimit.FromRate(rate.Limit(r), 1)
		want := big.NewRat(n, s)
		if err != nil || big.NewRat(int64(l.Rate), int64(l.Period/time.Second)).Cmp(want) != 0 {
			t.Fatalf("%d/%d: %#v, %v", n, s, l, err)
		}
		if int64(l.Rate) != want.Num().Int64() {
			t.Fatalf("%d/%d: %v is not in lowest terms", n, s, l)
		}
	}
}

// TestFromRateIsClose: any float within the range becomes a limit within four parts
// in a thousand million of it below MaxRate, and within one in two thousand above.
func TestFromRateIsClose(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range 5_000 {
		r := math.Exp(math.Log(4e-9) + rng.Float64()*(math.Log(2e15)-math.Log(4e-9)))
		l, err := ratelimit.FromRate(rate.Limit(r), 1)
		if err != nil {
			if math.MaxInt == math.MaxInt32 && r > math.MaxInt32 {
				continue
			}
			t.Fatalf("%v: %v", r, err)
		}
		got := float64(l.Rate) / l.Period.Seconds()
		bound := 4e-9
		if r > gcra.MaxRate {
			bound = 1.0 / 2000
		}
		if math.Abs(got-r) > bound*r {
			t.Fatalf("%v became %v, which is %v", r, l, got)
		}
	}
}
