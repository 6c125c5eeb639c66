package main

import (
	"bytes"
	"slices"
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
		{organisation: 0, estimate: 1000, status: 200, used: 300, complete: true},
		{organisation: 0, estimate: 1000, status: 200},                 // its gateway was killed
		{organisation: 0, estimate: 1000, status: 200, complete: true}, // no usage was reported
		{organisation: 0, estimate: 1000, status: 429},
		{organisation: 1, estimate: 1000, status: 0},
		{organisation: 1, estimate: 1000, status: 503},
		{organisation: 0, estimate: 1000, status: 200, used: 400}, // its gateway was killed at its end
	}
	bill := []spend{{1, start, 70}, {0, start.Add(time.Second), 100}, {0, start.Add(2 * time.Second), 200}, {4, start, 7}}
	all, err := accounts(calls, bill, start, start.Add(3*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	a := all[0]
	if a.calls != 4 || a.denied != 1 || a.failed != 0 || a.estimate != 4000 || a.settled != 1700 || !slices.Equal(a.open, []int{600}) || a.lost != 1000 || a.used != 370 || a.bound != 12600 || a.fullest != 200 {
		t.Errorf("acme: %+v", a)
	}
	if a := all[1]; a.calls != 0 || a.failed != 2 || a.used != 7 || !slices.Equal(a.open, []int{1000, 1000}) {
		t.Errorf("globex: %+v", a)
	}
}

// TestCharged: the bucket of 10 per second is full again between the first two charges.
func TestCharged(t *testing.T) {
	at := func(seconds float64) time.Time {
		return time.Unix(0, 0).Add(time.Duration(seconds * float64(time.Second)))
	}
	calls := []call{
		{status: 200, used: 100, complete: true, ended: at(20.5)},
		{status: 200, used: 50, complete: true, ended: at(10.5)},
		{status: 200, used: 70, complete: true, ended: at(21)},
		{status: 200, used: 90, complete: true, ended: at(31)}, // after the kill
		{status: 200, used: 10, ended: at(21)},
		{organisation: 1, status: 200, used: 50, complete: true, ended: at(1)},
	}
	bill := []spend{{0, at(19), 1}, {0, at(20), 99}, {1, at(10), 50}, {2, at(20.8), 70}}
	least, most := charged(calls, bill, 0, ratelimit.PerSecond(10), at(30), at(60))
	if least != 50+395 || most != 50+400 {
		t.Errorf("from %v to %v were charged", least, most)
	}
}

func TestPaid(t *testing.T) {
	for _, c := range []struct {
		open        []int
		least, most float64
		want        int
		explained   bool
	}{
		{nil, 990, 1005, 0, true},
		{nil, 1011, 1020, 0, false},
		{nil, 900, 989, 0, false},
		{[]int{300, 300}, 1298, 1302, 300, true},
		{[]int{300, 300}, 1598, 1602, 600, true},
		{[]int{300, 300}, 1448, 1452, 0, false},
		{[]int{300, 40}, 1340, 1341, 340, true},
	} {
		a := account{settled: 700, lost: 300, open: c.open, least: c.least, most: c.most}
		if got, explained := a.paid(); got != c.want || explained != c.explained {
			t.Errorf("%+v: %d, %v", c, got, explained)
		}
	}
}

// TestVerdict: each thing that may not hold is said, and is an error.
func TestVerdict(t *testing.T) {
	good := func() (reserved, counted attempt) {
		for _, o := range organisations {
			a := account{name: o.name, limit: ratelimit.PerMinute(1000).WithBurst(1000), calls: 5, denied: 5, settled: 600, lost: 200, least: 795, most: 801, used: 700, fullest: 1000}
			reserved.accounts = append(reserved.accounts, a)
			a.fullest = 1000.5
			counted.accounts = append(counted.accounts, a)
		}
		reserved.killed = time.Unix(0, 0)
		reserved.ended = reserved.killed.Add(15 * time.Second)
		reserved.still = reserved.killed.Add(19 * time.Second)
		reserved.free = reserved.killed.Add(21 * time.Second)
		return reserved, counted
	}
	for name, c := range map[string]struct {
		spoil func(reserved, counted *attempt)
		want  string
	}{
		"all holds":         {func(_, _ *attempt) {}, ""},
		"over":              {func(r, _ *attempt) { r.accounts[1].fullest = 1000.1 }, "BROKEN  globex was never over"},
		"no estimate paid":  {func(r, _ *attempt) { r.accounts[2].least, r.accounts[2].most = 600, 601 }, "BROKEN  initech has paid"},
		"too much paid":     {func(r, _ *attempt) { r.accounts[2].least, r.accounts[2].most = 815, 830 }, "BROKEN  initech has paid"},
		"nothing lost":      {func(r, _ *attempt) { r.accounts[0].lost = 0 }, "BROKEN  acme has paid"},
		"the control holds": {func(_, c *attempt) { c.accounts[0].fullest = 1000 }, "BROKEN  acme was over"},
		"no denial":         {func(_, c *attempt) { c.accounts[0].denied = 0 }, "BROKEN  each organisation wanted"},
		"free at no time":   {func(r, _ *attempt) { r.free = time.Time{} }, "BROKEN  what the killed gateway held"},
		"free too late":     {func(r, _ *attempt) { r.still = r.killed.Add(21 * time.Second) }, "BROKEN  what the killed gateway held"},
		"free in the load":  {func(r, _ *attempt) { r.still = time.Time{} }, ""},
		"a late answer":     {func(r, _ *attempt) { r.late, r.still = true, r.killed.Add(34*time.Second) }, ""},
	} {
		reserved, counted := good()
		c.spoil(&reserved, &counted)
		var out bytes.Buffer
		err := judge(reserved, counted, &out)
		broken := strings.Count(out.String(), "BROKEN")
		if (err == nil) != (c.want == "") || !strings.Contains(out.String(), c.want) || broken > 1 || c.want != "" && broken == 0 {
			t.Errorf("%s: %v\n%s", name, err, &out)
		}
	}
}
