package replay_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/ratelimit/replay"
)

// TestDemandIsTheSmallest replays the demand of random logs, and one less.
func TestDemandIsTheSmallest(t *testing.T) {
	periods := []time.Duration{time.Microsecond, 7 * time.Millisecond, time.Second, 1900 * time.Millisecond, time.Minute, time.Hour, 24 * time.Hour, gcra.MaxRefill}
	limits := []ratelimit.Limit{ratelimit.PerSecond(1), ratelimit.PerSecond(7), ratelimit.PerMinute(13), {Rate: 3, Period: 7 * time.Microsecond}, {Rate: 1, Period: gcra.MaxRefill}}
	none := 0
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 18))
		log := read(t, csvConfig, csvOf(randomRequests(rng, 1+rng.IntN(300), 1+rng.IntN(5))))
		for _, period := range periods {
			demands, err := log.Rates(period)
			none += wantSmallest(t, log, demands, err, func(n int) ratelimit.Limit { return ratelimit.Limit{Rate: n, Period: period} })
		}
		for _, l := range limits {
			demands, err := log.Bursts(l.Rate, l.Period)
			none += wantSmallest(t, log, demands, err, l.WithBurst)
		}
	}
	if none == 0 {
		t.Error("there was always a limit that is large enough")
	}
}

// wantSmallest replays what the keys of each plan need. All other keys are exempt. It returns how often
// no limit is large enough.
func wantSmallest(t *testing.T, log *replay.Log, demands []replay.Demand, err error, limit func(n int) ratelimit.Limit) (none int) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	keys := 0
	for _, d := range demands {
		keys += d.Keys()
		for _, perMille := range []int{1, 500, 800, 990, 1000} {
			n, ok := d.Smallest(perMille)
			most := d.Keys() * (1000 - perMille) / 1000
			if !ok {
				none++
				if denied := deniedOf(t, log, d.Plan, limit(n)); denied <= most {
					t.Errorf("plan %q: %v denies %d keys of %d, but no limit is said to be large enough", d.Plan, limit(n), denied, d.Keys())
				}
				continue
			}
			if denied := deniedOf(t, log, d.Plan, limit(n)); denied > most || denied != d.Denied(n) {
				t.Errorf("plan %q: %v denies %d keys of %d, want at most %d and Denied %d", d.Plan, limit(n), denied, d.Keys(), most, d.Denied(n))
			}
			if n > 1 {
				if denied := deniedOf(t, log, d.Plan, limit(n-1)); denied <= most || denied != d.Denied(n-1) {
					t.Errorf("plan %q: %v denies %d keys of %d, so %d is not the smallest; Denied %d", d.Plan, limit(n-1), denied, d.Keys(), n, d.Denied(n-1))
				}
			}
		}
	}
	if keys != log.Summary().Keys {
		t.Errorf("the plans have %d keys of %d", keys, log.Summary().Keys)
	}
	return none
}

// deniedOf returns how many keys of a plan a limit denies a request.
func deniedOf(t *testing.T, log *replay.Log, plan string, l ratelimit.Limit) int {
	t.Helper()
	outcomes, err := log.Replay(t.Context(), byPlan{plan, testkit.Policy(t, l)})
	if err != nil {
		t.Fatal(err)
	}
	return outcomes[0].KeysDenied
}

// TestDemandOfNothing: a limit has a rate and a burst of at least 1.
func TestDemandOfNothing(t *testing.T) {
	log := read(t, csvConfig, csvOf([]request{{day, "k", 0}, {day, "k", 0}}))
	rates, err := log.Rates(time.Hour)
	if n, ok := rates[0].Smallest(1000); err != nil || n != 1 || !ok {
		t.Errorf("a rate of %d, %t, %v", n, ok, err)
	}
	bursts, err := log.Bursts(5, time.Hour)
	if n, ok := bursts[0].Smallest(1000); err != nil || n != 1 || !ok {
		t.Errorf("a burst of %d, %t, %v", n, ok, err)
	}
}

// TestDemandJustBeyondAnyLimit: all requests need the largest rate, and the first two one more.
func TestDemandJustBeyondAnyLimit(t *testing.T) {
	log := read(t, csvConfig, csvOf([]request{{day, "k", 1<<31 - 1}, {day, "k", 2}, {day.Add(2 * time.Microsecond), "k", 0}}))
	rates, err := log.Rates(time.Hour)
	if n, ok := rates[0].Smallest(1000); err != nil || ok {
		t.Errorf("a rate of %d, %t, %v", n, ok, err)
	}
}

func TestDemandBeyondAnyLimit(t *testing.T) {
	var requests []request
	for range 3 {
		requests = append(requests, request{day, "k", 1<<31 - 1})
	}
	log := read(t, csvConfig, csvOf(requests))
	rates, err := log.Rates(time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if n, ok := rates[0].Smallest(1000); ok || rates[0].Denied(n) != 1 {
		t.Errorf("3*(2^31-1) at once pass %d/h, %t", n, ok)
	}
	bursts, err := log.Bursts(1, 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if n, ok := bursts[0].Smallest(1000); ok || n != 3650 {
		t.Errorf("3*(2^31-1) at once pass 1/d with a burst of %d, %t", n, ok)
	}
}

func TestLimitsThatCannotBe(t *testing.T) {
	log := read(t, csvConfig, csvOf([]request{{day, "k", 1}}))
	for _, period := range []time.Duration{0, -time.Second, time.Nanosecond, gcra.MaxRefill + time.Second} {
		if _, err := log.Rates(period); err == nil {
			t.Errorf("Rates(%v) has no error", period)
		}
		if _, err := log.Bursts(1, period); err == nil {
			t.Errorf("Bursts(1, %v) has no error", period)
		}
		if _, _, err := log.Suggest(period, 990); err == nil {
			t.Errorf("Suggest(%v) has no error", period)
		}
	}
	if _, err := log.Bursts(0, time.Second); err == nil {
		t.Error("Bursts(0, 1s) has no error")
	}
	for _, perMille := range []int{0, -1, 1001} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Smallest(%d) does not panic", perMille)
				}
			}()
			demands, err := log.Rates(time.Second)
			if err == nil {
				demands[0].Smallest(perMille)
			}
		}()
	}
}
