package replay_test

import (
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/ratelimit/replay"
)

// TestBlocked: a table that blocks a key denies all of its requests, and one whose block has ended
// goes by its limits. A limit that locks keys out cannot be decided.
func TestBlocked(t *testing.T) {
	var log []request
	for i := range 10 {
		for _, key := range []string{"a", "b", "c"} {
			log = append(log, request{day.Add(time.Duration(i) * time.Minute), key, 1})
		}
	}
	l := read(t, replay.Config{Format: replay.CSV}, csvOf(log))
	config, err := plans.ReadTableConfig(strings.NewReader(`{"default":"100/s;enforce-for=10%","blocked":{"a":"blocked;reason=abuse"},"keys":{"b":"blocked;until=2001-01-01, 1/h"}}`))
	if err != nil {
		t.Fatal(err)
	}
	table, err := plans.NewTable(config)
	if err != nil {
		t.Fatal(err)
	}
	outcomes, err := l.Replay(t.Context(), table)
	if err != nil {
		t.Fatal(err)
	}
	if o := outcomes[0]; o.Denied != 10+9 || o.KeysDenied != 2 {
		t.Errorf("%d denied of %d keys, want 19 of 2", o.Denied, o.KeysDenied)
	}
	locks, err := ratelimit.ParseLimit("5/s;lockout=20/1m:10m")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Replay(t.Context(), locks); err == nil || !strings.Contains(err.Error(), "does more than a bucket") {
		t.Errorf("a limit with a lock-out: %v", err)
	}
	for text, want := range map[string]string{"5/s;lockout=20/1m:10m": "does more than a bucket", "10 at a time": "calls at a time", "5/s;shared": "is shared", "5/s, 9/m;name=b;shadow": "", "blocked": ""} {
		policy, err := ratelimit.ParsePolicy(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := replay.Check(policy); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
