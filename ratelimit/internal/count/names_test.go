package count

import (
	"fmt"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/ratelimit/metrics"
	"github.com/keyrate/keyrate/store"
)

// TestNamesAreBounded: policies with names of their own without end are counted together from
// some number on, and those of the same names from the first on.
func TestNamesAreBounded(t *testing.T) {
	var c Counts
	const policies = 3 * maxNames
	for i := range policies {
		limits := limitNamed(t, fmt.Sprint("limit-", i))
		if again := limitNamed(t, fmt.Sprint("limit-", i)); NamesOf(limits) != NamesOf(again) {
			t.Fatalf("limit %d has two Names", i)
		}
		c.Add(Draw(), Decision{Names: NamesOf(limits), Source: store.FromStore, Tokens: 1})
	}
	if len(known) > maxNames+30 {
		t.Errorf("%d Names are kept", len(known))
	}
	points := metrics.Read(&c).Points(metrics.Cost)
	total := 0.0
	for _, p := range points {
		total += p.Value
	}
	if len(points) != metrics.MaxLimits+1 || total != policies {
		t.Errorf("%v calls under %d labels", total, len(points))
	}
}

func limitNamed(t *testing.T, name string) []store.Limit {
	t.Helper()
	rate, err := gcra.NewRate(1, time.Second, 1)
	if err != nil {
		t.Fatal(err)
	}
	l, err := store.NewLimit(name, rate)
	if err != nil {
		t.Fatal(err)
	}
	return []store.Limit{l}
}
