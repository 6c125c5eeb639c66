package plans_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
)

// TestChanges: a table remembers when it was replaced and what changed, without keys; a table that
// is rejected is no change.
func TestChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		read := func(text string) plans.TableConfig {
			c, err := plans.ReadTableConfig(strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		table, err := plans.NewTable(read(`{"default":"5/s","plans":{"gold":"50/s","old":"1/s"},"members":{"a-key":"gold"}}`))
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{
			`{"default":["6/s","9/h;name=hourly"],"plans":{"gold":"60/s","new":"unlimited"},"members":{"a-key":"gold"},"keys":{"b-key":"1/s"}}`,
			`{"default":["6/s","9/h;name=hourly"],"plans":{"gold":"60/s","new":"unlimited"},"members":{"a-key":"gold"},"keys":{"c-key":"1/s"}}`,
			`{"default":["6/s","9/h;name=hourly"],"plans":{"gold":"60/s","new":"unlimited"},"members":{"a-key":"gold"},"keys":{"c-key":"1/s"},"organisations":{"acme":{"plan":"gold","members":["d-key"]}}}`,
			`{"default":["6/s","9/h;name=hourly"],"plans":{"gold":"60/s","new":"unlimited"},"members":{"a-key":"gold"},"keys":{"c-key":"1/s"},"organisations":{"acme":{"limits":"9/s","members":["d-key"]}}}`,
		} {
			time.Sleep(time.Minute)
			if err := table.Replace(read(text)); err != nil {
				t.Fatal(err)
			}
		}
		if err := table.Replace(plans.TableConfig{}); err == nil {
			t.Fatal("a table without a default is not rejected")
		}
		got := table.Changes()
		want := [][]string{
			{"organisation acme: plan gold -> 9/s"},
			{"organisation acme: none -> plan gold", "keys: 2 -> 3"},
			nil,
			{"default: 5/s -> 6/s, 9/h;name=hourly", "plan gold: 50/s -> 60/s", "plan new: none -> unlimited", "plan old: 1/s -> none", "keys: 1 -> 2"},
			nil,
		}
		if len(got) != len(want) {
			t.Fatalf("%d changes: %v", len(got), got)
		}
		for i, c := range got {
			if !slices.Equal(c.What, want[i]) || c.Version != int64(len(want)-i) || !c.At.Equal(time.Now().Add(-time.Duration(i)*time.Minute)) {
				t.Errorf("change %d: %+v, want %q", i, c, want[i])
			}
		}
		// They are bounded.
		for n := range 30 {
			c := plans.TableConfig{Default: policyOf(t, ratelimit.PerSecond(n+1)), Plans: map[string]*ratelimit.Policy{}}
			for i := range 30 {
				c.Plans[fmt.Sprint(n, "-", i)] = c.Default
			}
			if err := table.Replace(c); err != nil {
				t.Fatal(err)
			}
		}
		long := plans.TableConfig{Default: policyOf(t, ratelimit.PerSecond(30)), Plans: map[string]*ratelimit.Policy{strings.Repeat("ü", 1<<20): ratelimit.Unlimited}}
		if err := table.Replace(long); err != nil {
			t.Fatal(err)
		}
		for _, line := range table.Changes()[0].What {
			if len(line) > 1000 {
				t.Errorf("a line has %d bytes", len(line))
			}
		}
		got = table.Changes()[1:]
		if last := got[0]; len(got) != 19 || last.Version != 35 || len(last.What) != 20 || last.What[19] != "and 42 more" {
			t.Errorf("%d changes, the last %+v", len(got), last)
		}
	})
}

// TestChangesOfZeroTable: there are none.
func TestChangesOfZeroTable(t *testing.T) {
	if got := new(plans.Table).Changes(); len(got) != 0 {
		t.Errorf("%v", got)
	}
}
