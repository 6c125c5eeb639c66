package replay_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/ratelimit/replay"
)

// TestSuggestionKeepsItsPromise enforces what is suggested on the log that it was made of: by replay,
// and by a limiter on memstore, from the file that was written.
func TestSuggestionKeepsItsPromise(t *testing.T) {
	for seed := range uint64(10) {
		requests := randomRequests(rand.New(rand.NewPCG(seed, 19)), 600, 3)
		log := read(t, csvConfig, csvOf(shuffled(rand.New(rand.NewPCG(seed, 20)), requests)))
		for _, perMille := range []int{600, 850, 999} {
			config, promises, err := log.Suggest(time.Minute, perMille)
			if err != nil {
				t.Fatal(err)
			}
			table := written(t, config)
			keys, want := 0, 0
			for _, p := range promises {
				keys, want = keys+p.Keys, want+p.Denied
				if p.Denied > p.Keys*(1000-perMille)/1000 || !p.Limit.Shadow {
					t.Errorf("seed %d: %+v", seed, p)
				}
			}
			if keys != log.Summary().Keys {
				t.Errorf("seed %d: the promises are for %d keys of %d", seed, keys, log.Summary().Keys)
			}
			outcomes, err := log.Replay(t.Context(), table)
			if err != nil {
				t.Fatal(err)
			}
			_, _, denied := limited(t, requests, table)
			if got := outcomes[0].KeysDenied; got != want || denied != want {
				t.Errorf("seed %d, %d of 1000: %d keys are denied, %d by a limiter, and %d were promised", seed, perMille, got, denied, want)
			}
		}
	}
}

// written returns the table of a config that was written to a file and read again.
func written(t *testing.T, c plans.TableConfig) *plans.Table {
	t.Helper()
	file, err := c.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	again, err := plans.ReadTableConfig(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	table, err := plans.NewTable(again)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestPlanOfTheLastLine(t *testing.T) {
	log := read(t, replay.Config{Format: replay.CSV, Plan: "plan"}, "time,key,plan\n2,k,free\n3,k,-\n1,k,gold\n3,k,\n")
	demands, err := log.Rates(time.Second)
	if err != nil || len(demands) != 1 || demands[0].Plan != "gold" || demands[0].Keys() != 1 {
		t.Errorf("%+v, %v", demands, err)
	}
}

func TestSuggestWithoutTable(t *testing.T) {
	var requests []request
	for key := range 10 {
		for range 5 + key {
			requests = append(requests, request{day, fmt.Sprint("gold", key), 1})
		}
	}
	log := read(t, csvConfig, csvOf(requests))
	c, promises, err := log.Suggest(time.Hour, 900)
	if err != nil {
		t.Fatal(err)
	}
	// All keys are in the plan, so what they need is the default, too.
	if len(promises) != 2 || promises[0].Plan != "" || promises[1] != (replay.Promise{Plan: "gold", Limit: ratelimit.PerHour(13).Shadowed(), Keys: 10, Denied: 1}) {
		t.Errorf("%+v", promises)
	}
	if c.Default.String() != "13/h;shadow" || c.Plans["gold"].String() != "13/h;shadow" || len(c.Members) != 10 || c.Members[ratelimit.HashKey("gold3")] != "gold" {
		t.Errorf("%+v", c)
	}
}

// TestSuggestBesideATable: a file with what is suggested takes nothing out of force.
func TestSuggestBesideATable(t *testing.T) {
	given, err := plans.ReadTableConfig(strings.NewReader(`{
		"default": ["1/s", "7/d;name=suggested;shadow"],
		"plans": {"gold": "50/s", "staff": "unlimited", "idle": "3/s"},
		"members": {"gold1": "gold", "boss": "staff", "nothing": "idle"},
		"keys": {"own": "2/s"},
		"organisations": {"acme": {"plan": "gold", "members": ["gold2"]}, "initech": {"limits": "4/s", "members": ["other"]}}
	}`))
	if err != nil {
		t.Fatal(err)
	}
	table, err := plans.NewTable(given)
	if err != nil {
		t.Fatal(err)
	}
	var requests []request
	for i, key := range []string{"gold1", "gold2", "boss", "own", "other", "free"} {
		for range 10 * (i + 1) {
			requests = append(requests, request{day, key, 1})
		}
	}
	log := read(t, replay.Config{Format: replay.CSV, Table: table}, csvOf(requests))
	c, promises, err := log.Suggest(time.Minute, 1000)
	if err != nil {
		t.Fatal(err)
	}
	watched := func(n int) ratelimit.Limit { return ratelimit.PerMinute(n).Named("suggested").Shadowed() }
	if len(promises) != 2 || promises[0] != (replay.Promise{Limit: watched(60), Keys: 1}) || promises[1] != (replay.Promise{Plan: "gold", Limit: watched(20), Keys: 2}) {
		t.Errorf("%+v", promises)
	}
	got, err := c.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	want := given
	want.Default = testkit.Policy(t, ratelimit.PerSecond(1), watched(60))
	want.Plans["gold"] = testkit.Policy(t, ratelimit.PerSecond(50), watched(20))
	if wanted, err := want.MarshalJSON(); err != nil || !bytes.Equal(got, wanted) {
		t.Errorf("got\n%s\nwant\n%s, %v", got, wanted, err)
	}
	// No key of this log is held to the default, which stays.
	all, err := plans.NewTable(plans.TableConfig{Default: ratelimit.Unlimited, Plans: map[string]*ratelimit.Policy{"gold": testkit.Policy(t, ratelimit.PerSecond(1))}, Members: map[string]string{"gold1": "gold"}})
	if err != nil {
		t.Fatal(err)
	}
	config := replay.Config{Format: replay.CSV, Table: all}
	c, promises, err = read(t, config, csvOf(requests[:10])).Suggest(time.Minute, 1000)
	if err != nil || c.Default != ratelimit.Unlimited || len(promises) != 1 {
		t.Errorf("%v, %+v, %v", c.Default, promises, err)
	}
	c, _, err = read(t, config, csvOf(requests)).Suggest(time.Minute, 1000)
	if err != nil || c.Default.String() != "60/m;shadow" {
		t.Errorf("%v, %v", c.Default, err)
	}
	full, err := plans.NewTable(plans.TableConfig{Default: testkit.Policy(t, ratelimit.PerSecond(1), ratelimit.PerMinute(1).Named("2"), ratelimit.PerHour(1).Named("3"), ratelimit.PerDay(1).Named("4"))})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := read(t, replay.Config{Format: replay.CSV, Table: full}, csvOf(requests)).Suggest(time.Minute, 990); err == nil {
		t.Error("a fifth limit was suggested")
	}
}
