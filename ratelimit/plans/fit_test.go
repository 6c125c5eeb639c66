package plans

import (
	"maps"
	"strconv"
	"testing"

	"github.com/keyrate/keyrate/ratelimit"
)

// TestTableLooksUnderItsLock: between a look at what is required of policies and the new
// content, nothing else may be required, nor another content put in force.
func TestTableLooksUnderItsLock(t *testing.T) {
	policy, err := ratelimit.NewPolicy(ratelimit.PerSecond(1))
	if err != nil {
		t.Fatal(err)
	}
	table, err := NewTable(TableConfig{Default: policy})
	if err != nil {
		t.Fatal(err)
	}
	looked := map[string]int{}
	during := ""
	locked := func() {
		looked[during]++
		if table.mu.TryLock() {
			table.mu.Unlock()
			t.Errorf("%s looks without the lock", during)
		}
	}
	during = "With"
	if err := table.Require(func(*ratelimit.Policy) error { locked(); return nil }); err != nil {
		t.Fatal(err)
	}
	during = "Replace"
	if err := table.Replace(TableConfig{Default: policy}); err != nil {
		t.Fatal(err)
	}
	during = "the last look"
	if _, err := table.replace(TableConfig{Default: policy}, func(_, _ *tableContent) error { locked(); return nil }); err != nil {
		t.Fatal(err)
	}
	if looked["With"] != 1 || looked["Replace"] != 1 || looked["the last look"] != 2 {
		t.Errorf("looked %v", looked)
	}
}

// TestEachPolicyIsLookedAtOnce: whether limits that [Limiter.With] adds go together
// with a table's policies was asked for each key, not for each policy: with 20 routes and a
// million keys under one policy, a start took seconds, and each replacement two more.
func TestEachPolicyIsLookedAtOnce(t *testing.T) {
	one, err := ratelimit.NewPolicy(ratelimit.PerSecond(5))
	if err != nil {
		t.Fatal(err)
	}
	c := TableConfig{Default: one, Plans: map[string]*ratelimit.Policy{"one": one}, Keys: map[string]*ratelimit.Policy{ratelimit.HashKey("b"): one, "c": ratelimit.Unlimited}}
	for i := range 1000 {
		c.Keys[strconv.Itoa(i)] = one
	}
	table, err := NewTable(c)
	if err != nil {
		t.Fatal(err)
	}
	asked := map[*ratelimit.Policy]int{}
	fits := func(p *ratelimit.Policy) error { asked[p]++; return nil }
	want := map[*ratelimit.Policy]int{one: 1, ratelimit.Unlimited: 1}
	if err := table.Require(fits); err != nil || !maps.Equal(asked, want) {
		t.Errorf("%v was asked, want each once; %v", asked, err)
	}
	clear(asked)
	if err := table.Replace(c); err != nil || !maps.Equal(asked, want) {
		t.Errorf("%v was asked at a replacement, want each once; %v", asked, err)
	}
}
