package plans_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
)

// TestBlocksOfOneKey: of two blocks of a key, in plain text and as its hash, the one counts that has not
// ended, and a new block replaces both.
func TestBlocksOfOneKey(t *testing.T) {
	hash := ratelimit.HashKey("bob")
	for _, text := range []string{
		`{"default":"5/s","blocked":{"bob":"blocked;until=2001-01-01","` + hash + `":"blocked"}}`,
		`{"default":"5/s","blocked":{"bob":"blocked","` + hash + `":"blocked;until=2001-01-01"}}`,
	} {
		if got := textOf(t, tableOf(t, text), "bob"); got != "blocked" {
			t.Errorf("%s: %s", text, got)
		}
	}
	table := tableOf(t, `{"default":"5/s","blocked":{"bob":"blocked;until=2001-01-01"}}`)
	if err := table.Block(hash, ratelimit.Block{}); err != nil || textOf(t, table, "bob") != "blocked" {
		t.Errorf("a block of the hash of a key whose block has ended: %v, %s", err, textOf(t, table, "bob"))
	}
	if len(table.Config().Blocked) != 1 {
		t.Errorf("the other block is still there: %v", table.Config().Blocked)
	}
}

// TestBlockOfAnAddressEnds: then the prefix counts again that it is in, though only the hash of the
// address is known.
func TestBlockOfAnAddressEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := snapshot(t, `{"default":"5/s","keys":{"198.51.100.0/24":"1/m"},"blocked":{"192.0.2.1":"blocked;until=2000-01-01T00:00:10Z","192.0.2.0/24":"blocked","198.51.100.7":"blocked;until=2000-01-01T00:00:10Z"}}`)
		table := new(plans.Table)
		if err := table.Use(s.Hashed()); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"blocked", "1/m"} {
			if got := textOf(t, table, " ip 192.0.2.1"); got != "blocked" {
				t.Errorf("in a blocked prefix: %s", got)
			}
			if got := textOf(t, table, " ip 198.51.100.7"); got != want {
				t.Errorf("in a prefix with limits: %s, want %s", got, want)
			}
			time.Sleep(11 * time.Second)
		}
	})
}

// TestAddressBlockedTwice: two spellings of one address are a fault.
func TestAddressBlockedTwice(t *testing.T) {
	for _, other := range []string{"192.0.2.1/32", "::ffff:192.0.2.1"} {
		_, err := plans.NewTable(plans.TableConfig{Default: ratelimit.Unlimited, Blocked: map[string]ratelimit.Block{"192.0.2.1": {}, other: {}}})
		if err == nil {
			t.Errorf("192.0.2.1 and %s are accepted", other)
		}
	}
}

// TestEndedBlockOfABlockedPlan: the key has no block of its own any more, although its plan is blocked.
func TestEndedBlockOfABlockedPlan(t *testing.T) {
	table := tableOf(t, `{"default":"5/s","plans":{"unpaid":"blocked"},"members":{"bob":"unpaid"},"blocked":{"bob":"blocked;until=2001-01-01;reason=abuse"}}`)
	if got := textOf(t, table, "bob"); got != "blocked" {
		t.Errorf("bob: %s", got)
	}
	if b, ok := table.BlockOf("bob"); ok {
		t.Errorf("bob has the block %v of his own", b)
	}
	if n := table.Snapshot().Blocked(); n != 0 {
		t.Errorf("%d keys are blocked, want 0", n)
	}
}
