package plans_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
)

// textOf returns the text of the policy of a key as it is now: "blocked" if it is.
func textOf(t testing.TB, table *plans.Table, key string) string {
	t.Helper()
	p, err := table.PolicyFor(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := p.Block(); ok {
		return "blocked"
	}
	if limits := p.Limits(); len(limits) > 0 {
		return limits[0].String()
	}
	return p.String()
}

const blockedTable = `{
  "default": "1/s",
  "plans": {"gold": "2/s", "suspended": "blocked;reason=unpaid", "later": ["3/s"]},
  "members": {"alice": "gold", "%s": "gold", "carol": "suspended"},
  "keys": {"dave": "blocked;until=2000-01-01T01:00:00Z, 4/s, 9/d;name=daily"},
  "organisations": {"acme": {"limits": ["5/s", "6/h;name=org;shared"], "members": ["erin"]}},
  "blocked": {
    "alice": "blocked;until=2000-01-01T01:00:00Z;reason=chargeback",
    "%s": "blocked;until=2000-01-01T01:00:00Z",
    "erin": "blocked;until=2000-01-01T01:00:00Z",
    "frank": "blocked"
  }
}`

// TestBlocked: blocks of keys, listed in plain text, hashed or not at all, hold until they end,
// and then the key has what the table says of it otherwise. Its hash is written back.
func TestBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text := fmt.Sprintf(blockedTable, ratelimit.HashKey("bob"), ratelimit.HashKey("bob"))
		table := tableOf(t, text)
		var hashed bytes.Buffer
		if _, err := table.Snapshot().WriteTo(&hashed); err != nil || strings.Contains(hashed.String(), "frank") {
			t.Fatalf("%s, %v", hashed.String(), err)
		}
		tables := map[string]*plans.Table{"plain": table, "hashed": tableOf(t, hashed.String())}
		check := func(want map[string]string) {
			t.Helper()
			for name, table := range tables {
				for key, want := range want {
					if got := textOf(t, table, key); got != want {
						t.Errorf("%s: %s has %s, want %s", name, key, got, want)
					}
				}
			}
		}
		check(map[string]string{"alice": "blocked", "bob": "blocked", "carol": "blocked", "dave": "blocked", "erin": "blocked", "frank": "blocked", "other": "1/s"})
		for name, table := range tables {
			if plan, ok := table.PlanOf("alice"); plan != "gold" || !ok {
				t.Errorf("%s: alice has the plan %q, %v", name, plan, ok)
			}
			if of, ok := table.OrganisationOf("erin"); of != "acme" || !ok {
				t.Errorf("%s: erin is of %q, %v", name, of, ok)
			}
			if b, ok := table.BlockOf("alice"); !ok || b.Reason != "chargeback" {
				t.Errorf("%s: %v, %v", name, b, ok)
			}
			if _, ok := table.BlockOf("carol"); ok {
				t.Errorf("%s: the block of a plan is that of its member", name)
			}
			if n := table.Snapshot().Blocked(); n != 4 {
				t.Errorf("%s: %d are blocked, want 4", name, n)
			}
			members, keys := table.Snapshot().Count()
			if !reflect.DeepEqual(members, map[string]int{"gold": 2, "suspended": 1}) || keys != 1 {
				t.Errorf("%s: %v, %d", name, members, keys)
			}
		}
		time.Sleep(time.Hour - time.Second)
		check(map[string]string{"alice": "blocked", "bob": "blocked", "dave": "blocked", "erin": "blocked"})
		time.Sleep(time.Second)
		check(map[string]string{"alice": "2/s", "bob": "2/s", "carol": "blocked", "dave": "4/s", "erin": "5/s", "frank": "blocked"})
		for name, table := range tables {
			if p, _ := table.PolicyFor(t.Context(), "erin"); p.Home() != "acme" {
				t.Errorf("%s: erin is in %q", name, p.Home())
			}
			if n := table.Snapshot().Blocked(); n != 1 {
				t.Errorf("%s: %d are blocked, want 1", name, n)
			}
		}
		c := table.Config()
		again, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if read, err := plans.ReadTableConfig(bytes.NewReader(again)); err != nil || fmt.Sprint(read.Blocked) != fmt.Sprint(c.Blocked) || len(c.Blocked) != 4 {
			t.Errorf("%s: %v, %v", again, read.Blocked, err)
		}
	})
}

// TestTableBlock: a block of a running table holds at once, outlasts a Replace, however the
// key is written, and is lifted by Unblock, by its end, and by a Replace of the snapshot that has it.
func TestTableBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := configOf(t, `{"default": "1/s", "plans": {"gold": "2/s"}, "members": {"alice": "gold", "`+ratelimit.HashKey("bob")+`": "gold"}}`)
		for _, written := range []func(string) string{func(key string) string { return key }, ratelimit.HashKey} {
			table, err := plans.NewTable(c)
			if err != nil {
				t.Fatal(err)
			}
			for _, key := range []string{"alice", "bob", "carol"} {
				before := textOf(t, table, key)
				if err := table.Block(written(key), ratelimit.Block{Until: time.Now().Add(time.Hour)}); err != nil || textOf(t, table, key) != "blocked" {
					t.Fatalf("%s: %v", key, err)
				}
				if err := table.Replace(c); err != nil || textOf(t, table, key) != "blocked" {
					t.Errorf("%s: a Replace lifts the block: %v", key, err)
				}
				if _, ok := table.BlockOf(ratelimit.HashKey(key)); !ok {
					t.Errorf("%s: the block is not found by the hash", key)
				}
				if found, err := table.Unblock(key); !found || err != nil || textOf(t, table, key) != before {
					t.Errorf("%s: %v, %v, %s", key, found, err, textOf(t, table, key))
				}
				if found, err := table.Unblock(written(key)); found || err != nil {
					t.Errorf("%s: %v, %v", key, found, err)
				}
				if err := table.Block(written(key), ratelimit.Block{}); err != nil {
					t.Error(err)
				}
				if _, err := table.Snapshot().Replace(c); err != nil || textOf(t, table, key) != before {
					t.Errorf("%s: the Replace of a snapshot keeps the block: %v", key, err)
				}
				if err := table.Block(key, ratelimit.Block{Until: time.Now().Add(time.Minute)}); err != nil {
					t.Error(err)
				}
				if time.Sleep(time.Minute); table.Replace(c) != nil || len(table.Config().Blocked) != 0 {
					t.Errorf("%s: a block that has ended is kept: %v", key, table.Config().Blocked)
				}
			}
			if what := table.Changes()[0].What; len(what) != 1 || what[0] != "blocked: 1 -> 0" {
				t.Errorf("%q", what)
			}
		}
	})
}

// TestBlockCarried: a block that was set at run time stays one while an operator replaces a table that has
// it, so that a file does not lift it.
func TestBlockCarried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fromFile := configOf(t, `{"default":"1/s","keys":{"bob":"3/s"},"blocked":{"dave":"blocked"}}`)
		without := configOf(t, `{"default":"1/s","keys":{"bob":"3/s"}}`)
		for _, written := range []func(string) string{func(key string) string { return key }, ratelimit.HashKey} {
			table, err := plans.NewTable(fromFile)
			if err != nil {
				t.Fatal(err)
			}
			for _, key := range []string{written("alice"), written("bob"), written("carol"), "192.0.2.0/24", "192.0.2.200"} {
				if err := table.Block(key, ratelimit.Block{}); err != nil {
					t.Fatal(err)
				}
			}
			var text bytes.Buffer
			if _, err := table.Snapshot().WriteTo(&text); err != nil { // what an operator edits
				t.Fatal(err)
			}
			edited := configOf(t, text.String())
			edited.Blocked[ratelimit.HashKey("carol")] = ratelimit.Block{Until: time.Now().Add(time.Hour)}
			delete(edited.Blocked, ratelimit.HashKey("bob"))
			edited.Blocked["erin"] = ratelimit.Block{}
			if _, err := table.Snapshot().Replace(edited); err != nil {
				t.Fatal(err)
			}
			check := func(when string, want map[string]string) {
				t.Helper()
				for key, want := range want {
					if got := textOf(t, table, key); got != want {
						t.Errorf("%s: %s has %s, want %s", when, key, got, want)
					}
				}
			}
			check("replaced", map[string]string{"alice": "blocked", "bob": "3/s", "carol": "blocked", "dave": "blocked", "erin": "blocked", " ip 192.0.2.1": "blocked", " ip 192.0.2.200": "blocked"})
			if err := table.Replace(without); err != nil {
				t.Fatal(err)
			}
			check("from a file", map[string]string{"alice": "blocked", "bob": "3/s", "carol": "blocked", "dave": "1/s", "erin": "1/s", " ip 192.0.2.1": "blocked", " ip 192.0.2.200": "blocked"})
			time.Sleep(time.Hour)
			check("after an hour", map[string]string{"alice": "blocked", "carol": "1/s"})
			if found, err := table.Unblock("alice"); !found || err != nil || table.Replace(without) != nil {
				t.Errorf("%v, %v", found, err)
			}
			check("unblocked", map[string]string{"alice": "1/s"})
		}
	})
}

func TestTableBlockRefuses(t *testing.T) {
	table := tableOf(t, `{"default": "1/s"}`)
	for _, c := range []struct {
		key   string
		block ratelimit.Block
		want  string
	}{
		{"a", ratelimit.Block{Reason: "a;b"}, "Reason"},
		{"sha256:abc", ratelimit.Block{}, "64 hexadecimal digits"},
	} {
		if err := table.Block(c.key, c.block); len(ratelimit.Faults(err)) == 0 || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v", err)
		}
		if _, err := plans.NewTable(plans.TableConfig{Default: ratelimit.Blocked, Blocked: map[string]ratelimit.Block{c.key: c.block}}); len(ratelimit.Faults(err)) == 0 || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v", err)
		}
	}
	if err := new(plans.Table).Block("a", ratelimit.Block{}); err == nil {
		t.Error("the zero Table blocks a key")
	}
	for _, text := range []string{
		`{"default":"1/s","blocked":["a"]}`, `{"default":"1/s","blocked":{"canary":1}}`, `{"default":"1/s","blocked":{"canary":"5/s"}}`,
		`{"default":"1/s","blocked":{"canary":"blocked","canary":"blocked"}}`, `{"default":"1/s","blocked":{"a":"blocked;canary"}}`,
		`{"default":"blocked;until=2026-12-04"}`,
	} {
		if _, err := plans.ReadTableConfig(strings.NewReader(text)); len(ratelimit.Faults(err)) == 0 || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestNestedBlocks: any number of prefixes in one another can be blocked, as long as at most 8 of their
// blocks can be in force for an address one after the other.
func TestNestedBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		nested := func(hours func(bits int) int) plans.TableConfig {
			c := configOf(t, `{"default":"5/s","keys":{"10.1.2.3":"blocked;until=1999-01-01, 7/s"}}`)
			c.Blocked = map[string]ratelimit.Block{}
			for bits := range 16 {
				b := ratelimit.Block{Until: begin.Add(time.Duration(hours(bits)) * time.Hour)}
				if hours(bits) == 0 {
					b.Until = time.Time{}
				}
				c.Blocked[fmt.Sprintf("0.0.0.0/%d", bits+1)] = b
			}
			return c
		}
		for name, c := range map[string]struct {
			hours func(bits int) int
			ends  time.Duration
		}{
			"without an end":        {func(int) int { return 0 }, 0},
			"with one end":          {func(int) int { return 3 }, 3 * time.Hour},
			"the longest ends last": {func(bits int) int { return bits + 1 }, 16 * time.Hour},
			"eight ends":            {func(bits int) int { return 1 + (15-bits)/2 }, 8 * time.Hour},
			"in no order":           {func(bits int) int { return 1 + bits*7%16 }, 16 * time.Hour},
			"eight ends, and none":  {func(bits int) int { return max(8-bits, 0) }, 0},
		} {
			table, err := plans.NewTable(nested(c.hours))
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if len(table.Config().Blocked) != 16 {
				t.Errorf("%s: %v are listed as blocked", name, table.Config().Blocked)
			}
			if c.ends > 0 {
				time.Sleep(time.Until(begin.Add(c.ends - time.Second)))
			}
			if got := textOf(t, table, " ip 0.0.0.1"); got != "blocked" {
				t.Errorf("%s: %s before the end", name, got)
			}
			time.Sleep(time.Second)
			if got := textOf(t, table, " ip 0.0.0.1"); (got == "5/s") != (c.ends > 0) {
				t.Errorf("%s: %s at the end", name, got)
			}
			begin = time.Now()
		}
		_, err := plans.NewTable(nested(func(bits int) int { return 16 - bits }))
		place := "TableConfig.Blocked[" + ratelimit.HashKey("0.0.0.0/9")[:19] + "…] \"too many blocks\" must have at most 8 blocks"
		if err == nil || !strings.Contains(err.Error(), place) || len(ratelimit.Faults(err)) != 8 {
			t.Errorf("16 blocks one after the other: %v", err)
		}
	})
}

// TestAllowList: a blocked default stops every key that is not listed.
func TestAllowList(t *testing.T) {
	table := tableOf(t, `{"default": "blocked", "keys": {"alice": "5/s"}}`)
	if got := textOf(t, table, "alice") + " " + textOf(t, table, "mallory"); got != "5/s blocked" {
		t.Error(got)
	}
}

func configOf(t testing.TB, text string) plans.TableConfig {
	t.Helper()
	c, err := plans.ReadTableConfig(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func tableOf(t testing.TB, text string) *plans.Table {
	t.Helper()
	table, err := plans.NewTable(configOf(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return table
}
