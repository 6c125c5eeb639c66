package replay_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/ratelimit/replay"
	"github.com/keyrate/keyrate/store/memstore"
)

// knownLog has 1000 keys: 990 make 5 requests in one second, 9 make 20 and one makes 100, an hour
// later each.
func knownLog() string {
	var b strings.Builder
	for key := range 1000 {
		n, at := 5, day
		switch {
		case key == 999:
			n, at = 100, day.Add(2*time.Hour)
		case key >= 990:
			n, at = 20, day.Add(time.Hour)
		}
		for range n {
			b.WriteString(common(fmt.Sprintf("192.0.%d.%d", key>>8, key&255), at))
		}
	}
	return b.String()
}

func TestKnownAnswer(t *testing.T) {
	log := read(t, replay.Config{}, knownLog())
	outcomes, err := log.Replay(t.Context(), ratelimit.PerSecond(5), ratelimit.PerSecond(20), ratelimit.PerSecond(100), ratelimit.Unlimited)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][2]int64{{9*15 + 95, 10}, {80, 1}, {0, 0}, {0, 0}} {
		o := outcomes[i]
		if o.Requests != 990*5+9*20+100 || o.Keys != 1000 || o.Denied != want[0] || int64(o.KeysDenied) != want[1] || len(o.Worst) != int(want[1]) {
			t.Errorf("candidate %d: %+v, want %v", i, o, want)
		}
	}
	worst := outcomes[0].Worst[0]
	if at := day.Add(2 * time.Hour); worst != (replay.Offender{Key: ratelimit.HashKey("192.0.3.231"), Requests: 100, Denied: 95, First: at, Last: at}) {
		t.Errorf("the worst is %+v", worst)
	}
	first := outcomes[0]
	if first.Every != 2*time.Minute || len(first.Steps) != 61 || first.Steps[0] != (replay.Step{day, 4950, 0}) ||
		first.Steps[30] != (replay.Step{day.Add(time.Hour), 180, 135}) || first.Steps[60] != (replay.Step{day.Add(2 * time.Hour), 100, 95}) {
		t.Errorf("%v, %d steps: %v", first.Every, len(first.Steps), first.Steps)
	}
	for _, period := range []time.Duration{time.Second, time.Minute, time.Hour, 24 * time.Hour} {
		demands, err := log.Rates(period)
		if err != nil || len(demands) != 1 || demands[0].Plan != "" || demands[0].Keys() != 1000 {
			t.Fatal(demands, err)
		}
		for _, c := range []struct{ perMille, want, denied int }{{1, 5, 10}, {990, 5, 10}, {991, 20, 1}, {999, 20, 1}, {1000, 100, 0}} {
			n, ok := demands[0].Smallest(c.perMille)
			if n != c.want || !ok || demands[0].Denied(n) != c.denied || demands[0].Denied(n-1) <= c.denied {
				t.Errorf("%d of 1000 keys need %d per %v, %t, which denies %d", c.perMille, n, period, ok, demands[0].Denied(n))
			}
		}
	}
}

// TestReplayDecidesAsALimiter compares each candidate with a limiter on memstore, which is called at
// the times of the log.
func TestReplayDecidesAsALimiter(t *testing.T) {
	candidates := []string{"3/s", "7/2s;burst=2", "10/m", "5/s, 40/m;name=m", "2/s;burst=6, 9/3s;name=3s, 100/h;name=h", "1/1.9s;burst=4;shadow", "unlimited"}
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 17))
		requests := randomRequests(rng, 400, 1+rng.IntN(4))
		log := read(t, csvConfig, csvOf(requests))
		var limits []ratelimit.Limits
		for _, text := range candidates {
			p, err := ratelimit.ParsePolicy(text)
			if err != nil {
				t.Fatal(err)
			}
			limits = append(limits, p)
		}
		table, err := plans.NewTable(plans.TableConfig{
			Default: testkit.Policy(t, ratelimit.PerSecond(2)),
			Plans:   map[string]*ratelimit.Policy{"gold": testkit.Policy(t, ratelimit.PerMinute(20))},
			Members: map[string]string{"gold0": "gold", ratelimit.HashKey("gold1"): "gold"},
		})
		if err != nil {
			t.Fatal(err)
		}
		limits = append(limits, table)
		outcomes, err := log.Replay(t.Context(), limits...)
		if err != nil {
			t.Fatal(err)
		}
		for i, l := range limits {
			requests, denied, keysDenied := limited(t, requests, l)
			if o := outcomes[i]; o.Requests != requests || o.Denied != denied || o.KeysDenied != keysDenied {
				t.Errorf("seed %d, candidate %d: denied %d requests and %d keys; a limiter denies %d and %d", seed, i, o.Denied, o.KeysDenied, denied, keysDenied)
			}
		}
	}
}

// limited returns what a limiter does to requests that are in order. Its shadow limits are
// enforced.
func limited(t *testing.T, requests []request, limits ratelimit.Limits) (n, denied int64, keysDenied int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.LimitsFunc(func(ctx context.Context, key string) (*ratelimit.Policy, error) {
			p, err := limits.PolicyFor(ctx, key)
			if err != nil || p == ratelimit.Unlimited {
				return p, err
			}
			enforced := p.Limits()
			for i := range enforced {
				enforced[i].Shadow = false
			}
			return ratelimit.NewPolicy(enforced...)
		}), ratelimit.Config{})
		if err != nil {
			t.Fatal(err)
		}
		keys := map[string]bool{}
		for i, r := range requests {
			if i > 0 {
				time.Sleep(r.at.Sub(requests[i-1].at))
			}
			result, err := limiter.AllowN(t.Context(), r.key, r.cost)
			if err != nil {
				t.Fatal(err)
			}
			n++
			if !result.Allowed {
				denied++
				keys[r.key] = true
			}
		}
		keysDenied = len(keys)
	})
	return n, denied, keysDenied
}

// TestOrderOfLinesDoesNotMatter: servers write a line when a request ends.
func TestOrderOfLinesDoesNotMatter(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 17))
	inOrder := randomRequests(rng, 1000, 1)
	late := shuffled(rng, inOrder)
	all := func(files ...string) []any {
		log := read(t, csvConfig, files...)
		outcomes, err := log.Replay(t.Context(), ratelimit.PerSecond(2), ratelimit.PerMinute(20))
		if err != nil {
			t.Fatal(err)
		}
		for i := range outcomes { // of equals, the order of the lines decides
			outcomes[i].Worst = nil
		}
		rates, err := log.Rates(time.Second)
		if err != nil {
			t.Fatal(err)
		}
		summary := log.Summary()
		summary.Files = nil
		return []any{summary, outcomes[0].Steps, outcomes[0].Denied, outcomes[1].Steps, rates}
	}
	want := all(csvOf(inOrder))
	for name, files := range map[string][]string{
		"late":                   {csvOf(late)},
		"the second file before": {csvOf(late[500:]), csvOf(late[:500])},
	} {
		if got := all(files...); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

// TestRequestsOfOneInstantKeepTheirOrder: 3 and then 2 of 4 tokens are not 2 and then 3.
func TestRequestsOfOneInstantKeepTheirOrder(t *testing.T) {
	requests := []request{{day.Add(time.Hour), "k", 1}}
	for i := range 50 { // 2, 1, 2, 1, ...: the first 33 take 50 tokens
		requests = append(requests, request{day, "k", 2 - i%2})
	}
	requests = append(requests, request{day, "k", 1})
	log := read(t, csvConfig, csvOf(requests))
	outcomes, err := log.Replay(t.Context(), ratelimit.PerHour(50))
	if err != nil || outcomes[0].Denied != 51-33 {
		t.Errorf("%+v, %v; want %d denied", outcomes, err, 51-33)
	}
}

func TestStepsOfAnOutcome(t *testing.T) {
	for _, c := range []struct {
		span, every time.Duration
		steps       int
	}{
		{0, time.Second, 1},
		{119 * time.Second, time.Second, 120},
		{120 * time.Second, 2 * time.Second, 61},
		{24 * time.Hour, 30 * time.Minute, 49},
		{119 * 24 * time.Hour, 24 * time.Hour, 120},
		{120 * 24 * time.Hour, 48 * time.Hour, 61},
		{300 * 24 * time.Hour, 96 * time.Hour, 76},
	} {
		requests := []request{{day, "k", 1}, {day.Add(c.span), "k", 1}}
		outcomes, err := read(t, csvConfig, csvOf(requests)).Replay(t.Context(), ratelimit.Unlimited)
		if err != nil {
			t.Fatal(err)
		}
		o := outcomes[0]
		last := o.Steps[len(o.Steps)-1]
		if o.Every != c.every || len(o.Steps) != c.steps || o.Steps[0].From.After(day) || last.From.After(day.Add(c.span)) || last.Requests == 0 {
			t.Errorf("%v: %d steps of %v, the last is %+v; want %d of %v", c.span, len(o.Steps), o.Every, last, c.steps, c.every)
		}
	}
}

func TestSpread(t *testing.T) {
	var lines string
	for range 4 {
		lines += common("192.0.2.1", day)
	}
	for _, c := range []struct {
		spread bool
		want   int
	}{{false, 4}, {true, 3}} { // 4 within 750 ms: 3 and 2 more
		log := read(t, replay.Config{Spread: c.spread}, lines)
		if last := log.Summary().Last; c.spread != last.Equal(day.Add(750*time.Millisecond)) {
			t.Errorf("spread %t: the last comes at %v", c.spread, last)
		}
		demands, err := log.Rates(time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if n, _ := demands[0].Smallest(1000); n != c.want {
			t.Errorf("spread %t: %d per second, want %d", c.spread, n, c.want)
		}
	}
}

// TestSpreadNeverNeedsMore: what comes at once needs no smaller limit than what comes evenly.
func TestSpreadNeverNeedsMore(t *testing.T) {
	less := 0
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 21))
		var requests []request
		at := day
		for range 1 + rng.IntN(60) {
			if rng.IntN(3) == 0 {
				at = at.Add(time.Duration(rng.IntN(4)) * time.Second)
			}
			requests = append(requests, request{at, "k", 1})
		}
		evenly := csvConfig
		evenly.Spread = true
		for _, period := range []time.Duration{300 * time.Millisecond, time.Second, 3 * time.Second, time.Minute} {
			var needs [2]int
			for i, c := range []replay.Config{csvConfig, evenly} {
				demands, err := read(t, c, csvOf(requests)).Rates(period)
				if err != nil {
					t.Fatal(err)
				}
				needs[i], _ = demands[0].Smallest(1000)
			}
			if needs[1] > needs[0] {
				t.Errorf("seed %d: evenly %d per %v, at once %d", seed, needs[1], period, needs[0])
			}
			if needs[1] < needs[0] {
				less++
			}
		}
	}
	if less == 0 {
		t.Error("no log needs less if requests come evenly")
	}
}

// TestSpreadLeavesPartsOfASecond: a log with them has the true times.
func TestSpreadLeavesPartsOfASecond(t *testing.T) {
	config := csvConfig
	config.Spread = true
	at := day.Add(time.Millisecond)
	if last := read(t, config, csvOf([]request{{at, "k", 1}, {at, "k", 1}})).Summary().Last; !last.Equal(at) {
		t.Errorf("the last comes at %v, want %v", last, at)
	}
}

func TestCandidatesThatALogCannotDecide(t *testing.T) {
	log := read(t, replay.Config{}, common("192.0.2.1", day))
	missing := ratelimit.LimitsFunc(func(context.Context, string) (*ratelimit.Policy, error) { return nil, nil })
	for want, c := range map[string]ratelimit.Limits{
		"calls at a time": ratelimit.AtOnce(3),
		"is shared":       ratelimit.PerSecond(1).SharedByHome(),
		"no policy":       missing,
		"Rate":            ratelimit.PerSecond(0),
		"NewPolicy":       new(ratelimit.Policy),
		"plans.NewTable":  new(plans.Table),
	} {
		_, err := log.Replay(t.Context(), ratelimit.Unlimited, c)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "candidate 2") || strings.Contains(err.Error(), "192.0") {
			t.Errorf("want an error with %q: %v", want, err)
		}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := log.Replay(ended, ratelimit.Unlimited); err == nil {
		t.Error("a replay whose context has ended went on")
	}
}

func TestWorstKeysAreTheWorst(t *testing.T) {
	var requests []request
	for key := range 50 {
		for range (key*7)%50 + 2 {
			requests = append(requests, request{day, fmt.Sprint("key", key), 1})
		}
	}
	outcomes, err := read(t, csvConfig, csvOf(requests)).Replay(t.Context(), ratelimit.PerSecond(1))
	if err != nil {
		t.Fatal(err)
	}
	worst := outcomes[0].Worst
	for i, w := range worst {
		if w.Denied != int64(50-i) || w.Requests != w.Denied+1 {
			t.Errorf("number %d is %+v", i, w)
		}
	}
	if len(worst) != 10 {
		t.Errorf("%d keys, want 10", len(worst))
	}
}

// TestWorstOfEquals: those that come first in the log.
func TestWorstOfEquals(t *testing.T) {
	var requests []request
	for key := range 15 {
		requests = append(requests, request{day, fmt.Sprint("key", key), 1}, request{day, fmt.Sprint("key", key), 1})
	}
	outcomes, err := read(t, csvConfig, csvOf(requests)).Replay(t.Context(), ratelimit.PerSecond(1))
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range outcomes[0].Worst {
		if w.Key != ratelimit.HashKey(fmt.Sprint("key", i)) {
			t.Errorf("number %d is another", i)
		}
	}
}
