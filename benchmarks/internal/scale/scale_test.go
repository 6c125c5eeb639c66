package scale

import (
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit/fleet"
	"github.com/keyrate/keyrate/ratelimit"
)

// TestMeasure: a fleet has figures, and no token is admitted beyond the limit.
func TestMeasure(t *testing.T) {
	p, err := ratelimit.NewPolicy(ratelimit.Limit{Rate: rate, Period: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	f := fleet.New(fleet.Config{Nodes: 5, Limits: p.Compiled(), RTT: rtt, Seed: 1})
	defer f.Close()
	got := measure(f, fleet.Load{Rate: 5000}, 2*time.Second)
	if got["per_trip"] < 10 || got["admitted"] < 99 || got["over"] != 0 || got["failed"] != 0 || got["fair"] < 0.8 {
		t.Errorf("%v", got)
	}
}

// TestGoals: each goal has a figure.
func TestGoals(t *testing.T) {
	if len(views(nil)) != len(kases)+1 {
		t.Errorf("%d views of %d cases", len(views(nil)), len(kases))
	}
}
