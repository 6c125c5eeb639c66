package scale

import (
	"context"
	"fmt"
	"time"

	"github.com/keyrate/keyrate/benchmarks/internal/library"
	"github.com/keyrate/keyrate/benchmarks/internal/report"
	"github.com/keyrate/keyrate/internal/testkit/fleet"
	"github.com/keyrate/keyrate/ratelimit"
)

// Suite simulates fleets that share one limit of 10,000 tokens per second and key.
var Suite = report.Suite{Name: "scale", Run: run, Views: views, Goals: goals}

const (
	rate = 10_000 // of the limit, and its burst
	rtt  = time.Millisecond
)

// A kase is a load on fleets of some sizes.
type kase struct {
	name  string
	load  fleet.Load
	nodes []int
}

var kases = []kase{
	{"spread", fleet.Load{Rate: 0.9 * rate, Balancer: fleet.Spread}, []int{1, 10, 50, 100, 1000}},
	{"sticky", fleet.Load{Rate: 0.9 * rate, Balancer: fleet.Sticky}, []int{1, 10, 50, 100, 1000}},
	{"hop", fleet.Load{Rate: rate, Balancer: fleet.Hop}, []int{10, 50, 100, 1000}},
	{"flood", fleet.Load{Rate: 2 * rate, Balancer: fleet.Spread}, []int{1, 10, 50, 100, 1000}},
	{"zipf-hash", fleet.Load{Rate: 5 * rate, Keys: 10_000, Skew: 1.1, Balancer: fleet.Hash}, []int{1, 10, 50, 100, 1000}},
	{"zipf-spread", fleet.Load{Rate: 5 * rate, Keys: 10_000, Skew: 1.1, Balancer: fleet.Spread}, []int{1, 10, 50, 100, 1000}},
	{"uniform", fleet.Load{Rate: 5 * rate, Keys: 10_000, Balancer: fleet.Hash}, []int{10, 100}},
}

func run(ctx context.Context, s *report.Session) error {
	span := 20 * time.Second
	if s.Quick {
		span = 4 * time.Second
	}
	policy, err := ratelimit.NewPolicy(ratelimit.Limit{Rate: rate, Period: time.Second})
	if err != nil {
		return err
	}
	for _, k := range kases {
		if !s.Wants(k.name) {
			continue
		}
		for _, n := range k.nodes {
			if err := ctx.Err(); err != nil {
				return err
			}
			s.Logf("scale: %s, %s", k.name, called(n))
			f := fleet.New(fleet.Config{Nodes: n, Limits: policy.Compiled(), RTT: rtt, Seed: 1})
			s.Add("scale", k.name, called(n), measure(f, k.load, span))
			f.Close()
		}
	}
	return nil
}

// called names a fleet.
func called(nodes int) string {
	if nodes == 1 {
		return "1 node"
	}
	return report.Count(nodes) + " nodes"
}

// measure plays a load, and returns its figures.
func measure(f *fleet.Fleet, l fleet.Load, span time.Duration) report.Figures {
	end := f.Now() + int64(span)
	f.Start(l, end)
	most := 0
	for f.Now() < end {
		f.Run(f.Now() + int64(10*time.Millisecond))
		if _, ok := f.Keys["key 0"]; ok {
			most = max(most, f.Server.Held("key 0", &f.Limits[0], f.Now()/1000))
		}
	}
	f.Run(end + int64(time.Second)) // what is leased comes back
	sum := f.Sum()
	least, greatest := f.Nodes[0].Admitted, 0
	for _, n := range f.Nodes {
		least, greatest = min(least, n.Admitted), max(greatest, n.Admitted)
	}
	return report.Figures{
		"per_trip": float64(sum.Calls) / float64(f.Server.Trips),
		"trips":    float64(f.Server.Trips) / span.Seconds(),
		"admitted": 100 * float64(sum.Admitted) / float64(sum.Ideal),
		"false":    100 * float64(sum.False) / float64(sum.Calls),
		"out":      100 * float64(most) / float64(f.Limits[0].Burst()),
		"fair":     float64(least) / float64(greatest),
		"over":     float64(f.Over()),
		"failed":   float64(sum.Failed),
	}
}

// entries are the rows of the tables.
func entries() (all []report.Entry) {
	for _, n := range []int{1, 10, 50, 100, 1000} {
		all = append(all, report.Entry{Name: called(n), Role: library.Own})
	}
	return all
}

func views(*report.Session) []report.View {
	const simulated = "simulated, a round trip of 1 ms; each key has 10,000/s"
	view := func(name, title string, fair bool) report.View {
		v := report.View{Title: title, Note: simulated, More: true, Log: true, Entries: entries(), Columns: []report.Column{
			{Label: "decisions per trip", Kase: name, Figure: "per_trip", Digits: 1, Plain: true},
			{Label: "trips per second", Kase: name, Figure: "trips", Plain: true, Hidden: true},
			{Label: "admitted of the ideal", Kase: name, Figure: "admitted", Unit: "%", Digits: 2, Plain: true, Hidden: true},
			{Label: "over the limit", Kase: name, Figure: "over", Unit: "tokens", Plain: true, Hidden: true},
			{Label: "denied early", Kase: name, Figure: "false", Unit: "%", Digits: 2, Plain: true, Hidden: true},
			{Label: "out at most", Kase: name, Figure: "out", Unit: "% of the burst", Plain: true, Hidden: true},
		}}
		if fair {
			v.Columns = append(v.Columns, report.Column{Label: "least/most of a node", Kase: name, Figure: "fair", Digits: 2, Plain: true, Hidden: true})
		}
		return v
	}
	figure := func(label, name string) report.Column {
		return report.Column{Label: label, Kase: name, Figure: "per_trip", Digits: 1, Plain: true}
	}
	return []report.View{
		view("spread", "One key, 9,000/s, spread over the nodes", true),
		view("sticky", "One key, 9,000/s, all on one node", false),
		view("hop", "One key, 10,000/s, all on another node every 300 ms", false),
		view("flood", "One key, 20,000/s, spread over the nodes", true),
		view("zipf-hash", "10,000 keys, Zipf 1.1, 50,000/s, each key on one node", false),
		view("zipf-spread", "10,000 keys, Zipf 1.1, 50,000/s, spread over the nodes", false),
		view("uniform", "10,000 keys, called alike, 50,000/s, each key on one node", false),
		{
			Name: "scale-trips", Title: "Decisions for each request to Redis, with leases", Note: simulated, More: true, Log: true, Entries: entries(),
			Columns: []report.Column{
				figure("one key, spread", "spread"), figure("one key, on one node", "sticky"), figure("one key, twice its limit", "flood"),
				figure("Zipf, each key on one node", "zipf-hash"), figure("Zipf, spread", "zipf-spread"),
			},
		},
	}
}

// goals are those of leases: few trips, all that an ideal limiter admits, and not a token more.
func goals(s *report.Session) (all []report.Goal) {
	value := func(kase string, nodes int, figure string) (float64, bool) {
		return s.Find(kase, called(nodes)).Median(figure)
	}
	least := func(what, kase string, nodes int, figure string, want float64) {
		if got, ok := value(kase, nodes, figure); ok {
			all = append(all, report.Goal{What: what, Want: fmt.Sprintf(">= %g", want), Got: fmt.Sprintf("%.2f", got), Met: got >= want})
		}
	}
	least("decisions per trip, 1 node", "spread", 1, "per_trip", 100)
	least("decisions per trip, 50 nodes", "spread", 50, "per_trip", 15)
	worst := map[string]float64{"spread": 100, "hop": 100}
	over, found := 0.0, false
	for _, k := range kases {
		for _, n := range k.nodes {
			if got, ok := value(k.name, n, "over"); ok {
				over, found = max(over, got), true
			}
			if got, ok := value(k.name, n, "admitted"); ok {
				group := "spread"
				if k.name == "hop" {
					group = "hop"
				}
				worst[group] = min(worst[group], got)
			}
		}
	}
	if found {
		all = append(all,
			report.Goal{What: "tokens over the limit, all cases", Want: "0", Got: fmt.Sprint(over), Met: over == 0},
			report.Goal{What: "admitted of the ideal, %, all but hop", Want: ">= 97", Got: fmt.Sprintf("%.2f", worst["spread"]), Met: worst["spread"] >= 97},
			report.Goal{What: "admitted of the ideal, %, hop", Want: ">= 90", Got: fmt.Sprintf("%.2f", worst["hop"]), Met: worst["hop"] >= 90},
		)
	}
	return all
}
