package plans_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
)

// TestTableSnapshot: what is shown of a table shows no key, and puts the same in force.
func TestTableSnapshot(t *testing.T) {
	one, two, three := policyOf(t, ratelimit.PerSecond(1)), policyOf(t, ratelimit.PerSecond(2)), policyOf(t, ratelimit.PerSecond(3))
	table, err := plans.NewTable(plans.TableConfig{
		Default: one,
		Plans:   map[string]*ratelimit.Policy{"gold": two, "none": one},
		Members: map[string]string{"canary-1": "gold", ratelimit.HashKey("canary-2"): "gold", "canary-\xff": "gold"},
		// The second is there plainly, too, which counts.
		Keys: map[string]*ratelimit.Policy{"canary-3": three, ratelimit.HashKey("canary-1"): three},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := table.Snapshot()
	var b bytes.Buffer
	if n, err := s.WriteTo(&b); n != int64(b.Len()) || err != nil || strings.Contains(b.String(), "canary") {
		t.Fatalf("%d, %v: %s", n, err, b.String())
	}
	if s.Sum() != sha256.Sum256(b.Bytes()) || table.Snapshot().Sum() != s.Sum() {
		t.Error("the sum is not that of the text")
	}
	if members, keys := s.Count(); !maps.Equal(members, map[string]int{"gold": 3}) || keys != 1 {
		t.Errorf("%v, %d", members, keys)
	}
	if s.Default() != one || s.Plans()["gold"] != two || len(s.Plans()) != 2 {
		t.Errorf("%v, %v", s.Default(), s.Plans())
	}
	read, err := plans.ReadTableConfig(&b)
	if err != nil {
		t.Fatal(err)
	}
	replaced, err := s.Replace(read)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"canary-1": "2/s", "canary-2": "2/s", "canary-\xff": "2/s", "canary-3": "3/s", "x": "1/s"} {
		if p, err := table.PolicyFor(t.Context(), key); p.String() != want || err != nil {
			t.Errorf("%q: %v, %v; want %s", key, p, err, want)
		}
	}
	if replaced != table.Snapshot() || replaced.Sum() != s.Sum() {
		t.Error("the same content has another sum")
	}
	if _, err := s.Replace(read); !errors.Is(err, plans.ErrChanged) {
		t.Errorf("a second time from one snapshot: %v", err)
	}
	if _, err := table.Snapshot().Replace(plans.TableConfig{}); fields(err) != "TableConfig.Default" {
		t.Errorf("the zero TableConfig: %v", err)
	}
	if new(plans.Table).Snapshot().Default() != nil {
		t.Error("the zero Table has a default")
	}
	full := errors.New("full")
	if _, err := s.WriteTo(writerFunc(func([]byte) (int, error) { return 0, full })); !errors.Is(err, full) {
		t.Errorf("to a writer that fails: %v", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// TestTableSnapshotOneWins: of those who replace one content, one does.
func TestTableSnapshotOneWins(t *testing.T) {
	table, err := plans.NewTable(plans.TableConfig{Default: policyOf(t, ratelimit.PerSecond(1))})
	if err != nil {
		t.Fatal(err)
	}
	for round := range 50 {
		s := table.Snapshot()
		won := make(chan *ratelimit.Policy, 8)
		var wg sync.WaitGroup
		for i := range cap(won) {
			p := policyOf(t, ratelimit.PerSecond(2+8*round+i))
			wg.Go(func() {
				switch _, err := s.Replace(plans.TableConfig{Default: p}); {
				case err == nil:
					won <- p
				case !errors.Is(err, plans.ErrChanged):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(won) != 1 || table.Snapshot().Default() != <-won {
			t.Fatalf("round %d: not one of them won", round)
		}
	}
}

// TestTableJSONOfManyKeys is written, read and put in force as a whole. A million take about two seconds to read.
func TestTableJSONOfManyKeys(t *testing.T) {
	n := testkit.Count(10_000, 200_000)
	p := policyOf(t, ratelimit.PerSecond(1))
	c := plans.TableConfig{Default: p, Plans: map[string]*ratelimit.Policy{"gold": p}, Members: map[string]string{}}
	for i := range n {
		c.Members[fmt.Sprintf("key-%07d", i)] = "gold"
	}
	table, err := plans.NewTable(c)
	if err != nil {
		t.Fatal(err)
	}
	took := func(what string, f func()) {
		begun := time.Now()
		f()
		t.Logf("%s: %v", what, time.Since(begun).Round(time.Millisecond))
	}
	s := table.Snapshot()
	took("sum", func() { _ = s.Sum() })
	var b bytes.Buffer
	took("written", func() { _, err = s.WriteTo(&b) })
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes", b.Len())
	var read plans.TableConfig
	took("read", func() { read, err = plans.ReadTableConfig(io.Reader(&b)) })
	if err != nil {
		t.Fatal(err)
	}
	took("in force", func() { _, err = s.Replace(read) })
	if err != nil {
		t.Fatal(err)
	}
	if plan, ok := table.PlanOf(fmt.Sprintf("key-%07d", n-1)); plan != "gold" || !ok {
		t.Errorf("the last key is in %q, %v", plan, ok)
	}
	if members, keys := table.Snapshot().Count(); members["gold"] != n || keys != 0 || len(read.Members) != n {
		t.Errorf("%v, %d", members, keys)
	}
}
