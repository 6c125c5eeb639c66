package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

func TestFullest(t *testing.T) {
	start := time.Unix(0, 0)
	at := func(seconds float64, tokens int) spend {
		return spend{at: start.Add(time.Duration(seconds * float64(time.Second))), tokens: tokens}
	}
	for _, c := range []struct {
		spends []spend
		want   float64
	}{
		{nil, 0},
		{[]spend{at(0, 60)}, 60},
		{[]spend{at(0, 60), at(10, 5)}, 60},
		{[]spend{at(0, 60), at(10, 20)}, 70},
		{[]spend{at(10, 20), at(0, 60)}, 70}, // in any order
		{[]spend{at(0, 30), at(100, 40)}, 40},
	} {
		if got := fullest(c.spends, ratelimit.PerMinute(60)); got != c.want {
			t.Errorf("%v: %v, want %v", c.spends, got, c.want)
		}
	}
}

func TestAccounts(t *testing.T) {
	start := time.Unix(0, 0)
	calls := []call{
		{0, 1000, 200, 300, true},
		{0, 1000, 200, 0, false}, // its gateway was killed
		{0, 1000, 200, 0, true},  // no usage was reported
		{0, 1000, 429, 0, false},
		{1, 1000, 0, 0, false},
		{1, 1000, 503, 0, false},
	}
	bill := []spend{{1, start, 70}, {0, start.Add(time.Second), 100}, {0, start.Add(2 * time.Second), 200}, {4, start, 7}}
	all, err := accounts(calls, bill, start, start.Add(3*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	a := all[0]
	if a.calls != 3 || a.denied != 1 || a.failed != 0 || a.estimate != 3000 || a.settled != 300 || a.lost != 1000 || a.used != 370 || a.bound != 12600 || a.fullest != 200 {
		t.Errorf("acme: %+v", a)
	}
	if a := all[1]; a.calls != 0 || a.failed != 2 || a.used != 7 {
		t.Errorf("globex: %+v", a)
	}
	if got := firstPaid(calls, bill, 0); !got.Equal(start.Add(2 * time.Second)) {
		t.Errorf("the first charge is at %v", got)
	}
}

// TestVerdict: each thing that may not hold is said, and is an error.
func TestVerdict(t *testing.T) {
	good := func() (reserved, counted attempt) {
		for _, o := range organisations {
			a := account{name: o.name, limit: ratelimit.PerMinute(1000).WithBurst(1000), calls: 5, denied: 5, settled: 600, lost: 200, charged: 800, used: 700, fullest: 1000}
			reserved.accounts = append(reserved.accounts, a)
			a.fullest = 1000.5
			counted.accounts = append(counted.accounts, a)
		}
		return reserved, counted
	}
	for name, c := range map[string]struct {
		spoil func(reserved, counted *attempt)
		free  time.Duration
		want  string
	}{
		"all holds":         {func(_, _ *attempt) {}, 19 * time.Second, ""},
		"over":              {func(r, _ *attempt) { r.accounts[1].fullest = 1000.1 }, time.Second, "BROKEN  globex was never over"},
		"no estimate paid":  {func(r, _ *attempt) { r.accounts[2].charged = 600 }, time.Second, "BROKEN  initech has paid"},
		"nothing lost":      {func(r, _ *attempt) { r.accounts[0].lost = 0 }, time.Second, "BROKEN  acme has paid"},
		"the control holds": {func(_, c *attempt) { c.accounts[0].fullest = 1000 }, time.Second, "BROKEN  acme was over"},
		"no denial":         {func(_, c *attempt) { c.accounts[0].denied = 0 }, time.Second, "BROKEN  each organisation wanted"},
		"free at no time":   {func(_, _ *attempt) {}, 0, "BROKEN  nothing was held any more"},
	} {
		reserved, counted := good()
		c.spoil(&reserved, &counted)
		var out bytes.Buffer
		err := verdict(reserved, counted, c.free, &out)
		broken := strings.Count(out.String(), "BROKEN")
		if (err == nil) != (c.want == "") || !strings.Contains(out.String(), c.want) || broken > 1 || c.want != "" && broken == 0 {
			t.Errorf("%s: %v\n%s", name, err, &out)
		}
	}
}
