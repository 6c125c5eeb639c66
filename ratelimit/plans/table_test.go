package plans_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
)

func TestTable(t *testing.T) {
	free, gold := policyOf(t, ratelimit.PerDay(1)), policyOf(t, ratelimit.PerDay(5))
	keys := map[string]*ratelimit.Policy{"alice": gold, "bob": gold, "ops": ratelimit.Unlimited, "": gold}
	table, err := plans.NewTable(plans.TableConfig{Default: free, Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	delete(keys, "alice") // the table has a copy
	for key, want := range map[string]*ratelimit.Policy{"alice": gold, "bob": gold, "ops": ratelimit.Unlimited, "": gold, "carol": free, "Alice": free} {
		if got, err := table.PolicyFor(t.Context(), key); got != want || err != nil {
			t.Errorf("%q: %v, %v; want %v", key, got.Limits(), err, want.Limits())
		}
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = table.PolicyFor(t.Context(), "alice") }); n != 0 {
		t.Errorf("a look-up makes %v allocations", n)
	}
	l := newLimiter(t, table, ratelimit.Config{})
	for key, want := range map[string]int{"alice": 5, "bob": 5, "ops": 20, "carol": 1} {
		if got := admitted(t, l, key, 20); got != want {
			t.Errorf("%q: %d of 20 calls were admitted, want %d", key, got, want)
		}
	}
}

// TestTablePlans: keys belong to plans, or have a policy of their own, and may be written
// as hashes.
func TestTablePlans(t *testing.T) {
	free, gold, own := policyOf(t, ratelimit.PerDay(1)), policyOf(t, ratelimit.PerDay(5)), policyOf(t, ratelimit.PerDay(7))
	long := strings.Repeat("long", 100)
	table, err := plans.NewTable(plans.TableConfig{
		Default: free,
		Plans:   map[string]*ratelimit.Policy{"gold": gold, "staff": ratelimit.Unlimited, "unused": own},
		Members: map[string]string{"alice": "gold", ratelimit.HashKey("bob"): "gold", ratelimit.HashKey(long): "staff"},
		Keys:    map[string]*ratelimit.Policy{"carol": own, ratelimit.HashKey("dave"): own},
	})
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]*ratelimit.Policy{
		"alice": gold, "bob": gold, long: ratelimit.Unlimited, "carol": own, "dave": own, "eve": free, "": free,
		ratelimit.HashKey("bob"): free, // who knows the hash is not who knows the key
		ratelimit.HashKey("eve"): free,
	} {
		if got, err := table.PolicyFor(t.Context(), key); got != want || err != nil {
			t.Errorf("%.20q: %v, %v; want %v", key, got.Limits(), err, want.Limits())
		}
	}
	for _, key := range []string{"alice", "bob", "eve"} {
		if n := testing.AllocsPerRun(100, func() { _, _ = table.PolicyFor(t.Context(), key) }); n != 0 {
			t.Errorf("%s: a look-up makes %v allocations", key, n)
		}
	}
}

// TestTableReportsManyFaults, and how many more there are.
func TestTableReportsManyFaults(t *testing.T) {
	members := map[string]string{}
	for i := range 1000 {
		members[fmt.Sprint("key", i)] = "none"
	}
	_, err := plans.NewTable(plans.TableConfig{Default: policyOf(t, ratelimit.PerSecond(1)), Members: members})
	if n := strings.Count(err.Error(), "\n") + 1; n != 21 || !strings.Contains(err.Error(), "TableConfig 980 more of its entries cannot be used") {
		t.Errorf("%d lines: %v", n, err)
	}
}

// TestTableOfAMillionKeys is replaced while it is in use, and no caller waits for that.
func TestTableOfAMillionKeys(t *testing.T) {
	testkit.Long(t, "fills a table with a million keys, twice")
	gold := policyOf(t, ratelimit.PerSecond(1))
	c := plans.TableConfig{Default: gold, Plans: map[string]*ratelimit.Policy{"gold": gold}, Members: map[string]string{}}
	for i := range 1_000_000 {
		c.Members[fmt.Sprintf("key-%07d", i)] = "gold"
	}
	table, err := plans.NewTable(c)
	if err != nil {
		t.Fatal(err)
	}
	replaced := make(chan error)
	begun := time.Now()
	go func() { replaced <- table.Replace(c) }()
	var worst time.Duration
	for done := false; !done; {
		select {
		case err := <-replaced:
			if done = true; err != nil {
				t.Error(err)
			}
		default:
			before := time.Now()
			if p, err := table.PolicyFor(t.Context(), "key-0500000"); p != gold || err != nil {
				t.Fatalf("%v, %v", p, err)
			}
			worst = max(worst, time.Since(before))
		}
	}
	t.Logf("replaced within %v; the slowest look-up during that took %v", time.Since(begun), worst)
	if worst > time.Since(begun)/2 {
		t.Errorf("a look-up took %v, of the %v for the whole", worst, time.Since(begun))
	}
}

func TestTableRejects(t *testing.T) {
	canary := func(in string) string { return "TableConfig." + in + "[sha256:e100fbce008c…]" }
	p := policyOf(t, ratelimit.PerSecond(1))
	for _, test := range []struct {
		name   string
		config plans.TableConfig
		fields string
		want   string
	}{
		{"the zero TableConfig", plans.TableConfig{}, "TableConfig.Default", `TableConfig.Default "nil" must be made with ratelimit.NewPolicy; to exempt a key, use ratelimit.Unlimited`},
		{"the zero Policy as default", plans.TableConfig{Default: &ratelimit.Policy{}}, "TableConfig.Default", `TableConfig.Default "zero value" must be made`},
		{"a nil Policy", plans.TableConfig{Default: p, Keys: map[string]*ratelimit.Policy{"canary": nil, "b": p}}, canary("Keys"), `TableConfig.Keys[sha256:e100fbce008c…] "nil" must be made with`},
		{"zero Policies", plans.TableConfig{Default: p, Keys: map[string]*ratelimit.Policy{"canary": {}, "b": {}}}, "TableConfig.Keys[sha256:3e23e8160039…] " + canary("Keys"), `"zero value" must be made with`},
		{"a plan that cannot be used", plans.TableConfig{Default: p, Plans: map[string]*ratelimit.Policy{"gold": nil}}, `TableConfig.Plans["gold"]`, `"nil" must be made with`},
		{"a plan whose name no text can hold", plans.TableConfig{Default: p, Plans: map[string]*ratelimit.Policy{"\xff": p}}, `TableConfig.Plans["\xff"]`, `"not UTF-8" must be text`},
		{"a plan that is not there", plans.TableConfig{Default: p, Plans: map[string]*ratelimit.Policy{"gold": p}, Members: map[string]string{"canary": "silver"}}, canary("Members"), `must be the name of one of TableConfig.Plans`},
		{"a key twice", plans.TableConfig{Default: p, Plans: map[string]*ratelimit.Policy{"gold": p}, Members: map[string]string{"canary": "gold"}, Keys: map[string]*ratelimit.Policy{"canary": p}}, canary("Keys"), `"there twice" must be in one of`},
		{"a hash twice", plans.TableConfig{Default: p, Plans: map[string]*ratelimit.Policy{"gold": p}, Members: map[string]string{ratelimit.HashKey("canary"): "gold"}, Keys: map[string]*ratelimit.Policy{strings.ToUpper(ratelimit.HashKey("canary"))[:0] + "sha256:" + strings.ToUpper(ratelimit.HashKey("canary")[7:]): p}}, "TableConfig.Keys[sha256:E100FBCE008C…]", `"there twice" must be in one of`},
		{"no hash, but a key behind the mark of one", plans.TableConfig{Default: p, Keys: map[string]*ratelimit.Policy{"sha256:canary": p}}, "TableConfig.Keys[sha256:f55a1f5f9b25…]", `"not a hash" must be "sha256:" and 64 hexadecimal digits, as ratelimit.HashKey returns them`},
		{"a hash that is too long", plans.TableConfig{Default: p, Keys: map[string]*ratelimit.Policy{ratelimit.HashKey("canary") + "00": p}}, "TableConfig.Keys[sha256:0e5038d6ae43…]", `"not a hash"`},
		{"all at once", plans.TableConfig{Keys: map[string]*ratelimit.Policy{"canary": nil}}, "TableConfig.Default " + canary("Keys"), "TableConfig.Keys["},
	} {
		t.Run(test.name, func(t *testing.T) {
			table, err := plans.NewTable(test.config)
			if table != nil || fields(err) != test.fields || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "canary") {
				t.Errorf("%v, %v; want faults of %q and %q", table, err, test.fields, test.want)
			}
		})
	}

	table, err := plans.NewTable(plans.TableConfig{Default: p})
	if err != nil {
		t.Fatal(err)
	}
	if err := table.Replace(plans.TableConfig{}); err == nil {
		t.Error("Replace took the zero TableConfig")
	}
	if got, err := table.PolicyFor(t.Context(), "k"); got != p || err != nil {
		t.Errorf("after a Replace that failed: %v, %v", got, err)
	}
	if _, err := new(plans.Table).PolicyFor(t.Context(), "k"); fields(err) != "Table" || !strings.Contains(err.Error(), "must be made with plans.NewTable") {
		t.Errorf("the zero Table: %v", err)
	}
}

// TestTableReplacedWhileInUse: a decision sees the old table or the new one,
// never one's default with the other's keys.
func TestTableReplacedWhileInUse(t *testing.T) {
	configs := make([]plans.TableConfig, 2)
	for i := range configs {
		plan := policyOf(t, ratelimit.PerDay(1000+i), ratelimit.PerDay(2000+i).Named("other"))
		configs[i] = plans.TableConfig{Default: plan, Keys: map[string]*ratelimit.Policy{"k": plan}}
	}
	table, err := plans.NewTable(configs[0])
	if err != nil {
		t.Fatal(err)
	}
	l := newLimiter(t, table, ratelimit.Config{})
	var done atomic.Bool
	var wg sync.WaitGroup
	var seen [2]atomic.Bool
	for range 4 {
		wg.Go(func() {
			for !done.Load() {
				r, err := l.Allow(t.Context(), "k")
				if err != nil {
					t.Error(err)
					return
				}
				limits := r.Policy().Limits()
				which := limits[0].Rate - 1000
				if limits[1].Rate != 2000+which {
					t.Errorf("a mixed policy: %v", limits)
					return
				}
				seen[which].Store(true)
			}
		})
	}
	deadline := time.Now().Add(time.Minute)
	for i := 1; i < 500 || !seen[0].Load() || !seen[1].Load(); i++ {
		if err := table.Replace(configs[i%2]); err != nil {
			t.Error(err)
			break
		}
		if time.Now().After(deadline) {
			t.Error("not both of the tables were ever seen")
			break
		}
		got, err := table.PolicyFor(t.Context(), "k")
		if want := configs[i%2].Default; got != want || err != nil {
			t.Errorf("after Replace: %v, %v", got, err)
		}
	}
	done.Store(true)
	wg.Wait()
}

// A limit that is raised or lowered on a live key: what was used stays used, up to a burst.
func TestTableLimitChangesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table, err := plans.NewTable(plans.TableConfig{Default: policyOf(t, ratelimit.PerHour(10))})
		if err != nil {
			t.Fatal(err)
		}
		replace := func(l ratelimit.Limit) {
			t.Helper()
			if err := table.Replace(plans.TableConfig{Default: policyOf(t, l)}); err != nil {
				t.Fatal(err)
			}
		}
		l := newLimiter(t, table, ratelimit.Config{})
		if got := admitted(t, l, "k", 20); got != 10 {
			t.Fatalf("10/h: %d calls were admitted", got)
		}
		if r := peek(t, l, "k"); r.RetryAfter() != 6*time.Minute {
			t.Fatalf("10/h: the wait is %v", r.RetryAfter())
		}
		replace(ratelimit.PerSecond(10)) // raised: ten were used, and all ten are missing
		if r := allow(t, l, "k", 1); r.Allowed || r.RetryAfter() != 100*time.Millisecond || r.ResetAfter() != time.Second {
			t.Errorf("raised to 10/s: %+v", r)
		}
		time.Sleep(100 * time.Millisecond)
		if r := allow(t, l, "k", 1); !r.Allowed || r.ResetAfter() != time.Second {
			t.Errorf("raised to 10/s, 100 ms later: %+v", r)
		}
		replace(ratelimit.PerHour(1)) // lowered: no key waits for longer than a refill
		if r := allow(t, l, "k", 1); r.Allowed || r.RetryAfter() != time.Hour {
			t.Errorf("lowered to 1/h: %+v", r)
		}
		time.Sleep(time.Hour)
		if r := allow(t, l, "k", 1); !r.Allowed || r.ResetAfter() != time.Hour {
			t.Errorf("lowered to 1/h, after the wait: %+v", r)
		}
		replace(ratelimit.PerHour(1).WithBurst(3))
		if got := admitted(t, l, "k", 3); got != 2 {
			t.Errorf("burst raised to 3: %d more calls were admitted, want 2", got)
		}
	})
}
