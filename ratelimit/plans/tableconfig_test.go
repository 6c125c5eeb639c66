package plans_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
)

// TestTableConfigRoundTrip: a table made of what Config returns decides the same, and says
// the same of itself; a hash comes back in lower case, and nothing else changes.
func TestTableConfigRoundTrip(t *testing.T) {
	p := []*ratelimit.Policy{policyOf(t, ratelimit.PerDay(1)), policyOf(t, ratelimit.PerDay(2).Shadowed()), ratelimit.Unlimited}
	hash := ratelimit.HashKey("upper")
	upper := "sha256:" + strings.ToUpper(strings.TrimPrefix(hash, "sha256:"))
	c := plans.TableConfig{
		Default: p[0],
		Plans:   map[string]*ratelimit.Policy{"plain": p[1], "unused": p[2], "gold": p[2]},
		Members: map[string]string{"": "plain", upper: "gold", "SHA256:plain": "gold", "both": "plain", "\x00\xff": "gold"},
		Keys:    map[string]*ratelimit.Policy{ratelimit.HashKey("both"): p[2], "own": p[1]},
	}
	rng := rand.New(rand.NewPCG(1, 28))
	for i := range 500 {
		key := fmt.Sprint("key ", i)
		if rng.IntN(2) == 0 {
			key = ratelimit.HashKey(key)
		}
		if rng.IntN(2) == 0 {
			c.Members[key] = "gold"
		} else {
			c.Keys[key] = p[rng.IntN(3)]
		}
	}
	table, err := plans.NewTable(c)
	if err != nil {
		t.Fatal(err)
	}
	delete(c.Members, upper)
	c.Members[hash] = "gold"
	got := table.Config()
	if !reflect.DeepEqual(got, c) {
		t.Fatalf("%+v, want %+v", got, c)
	}
	again, err := plans.NewTable(got)
	if err != nil || !reflect.DeepEqual(again.Config(), c) {
		t.Fatalf("%v", err)
	}
	clear(got.Plans) // a copy: the table has its own
	clear(got.Members)
	clear(got.Keys)
	if !reflect.DeepEqual(table.Config(), c) {
		t.Error("the map that Config returned is the map of the table")
	}
	for key, want := range map[string]struct {
		plan string
		ok   bool
	}{"": {"plain", true}, "both": {"plain", true}, "upper": {"gold", true}, "own": {"", false}, "unknown": {"", false}, "plain": {"", false}} {
		if plan, ok := again.PlanOf(key); plan != want.plan || ok != want.ok {
			t.Errorf("%q: plan %q, %v", key, plan, ok)
		}
	}
	bare, err := plans.NewTable(plans.TableConfig{Default: p[0]})
	if err != nil || !reflect.DeepEqual(bare.Config(), plans.TableConfig{Default: p[0]}) || !reflect.DeepEqual(new(plans.Table).Config(), plans.TableConfig{}) {
		t.Errorf("%+v, %v", bare.Config(), err)
	}
}

// TestTableConfigWhileReplaced: what Config returns is one table's content, the old one's or
// the new one's.
func TestTableConfigWhileReplaced(t *testing.T) {
	configs := make([]plans.TableConfig, 2)
	for i := range configs {
		p := policyOf(t, ratelimit.PerDay(1+i).Shadowed())
		configs[i] = plans.TableConfig{Default: p, Plans: map[string]*ratelimit.Policy{"plan": p}, Members: map[string]string{}, Keys: map[string]*ratelimit.Policy{"own": p}}
		for k := range 100 {
			configs[i].Members[ratelimit.HashKey(fmt.Sprint(i, k))] = "plan"
		}
	}
	table, err := plans.NewTable(configs[0])
	if err != nil {
		t.Fatal(err)
	}
	var done atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; !done.Load(); i++ {
			if err := table.Replace(configs[i%2]); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 300 {
		if c := table.Config(); !reflect.DeepEqual(c, configs[0]) && !reflect.DeepEqual(c, configs[1]) {
			t.Error("a mixture")
			break
		}
	}
	done.Store(true)
	wg.Wait()
}
