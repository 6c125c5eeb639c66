package memory

import (
	"context"
	"fmt"
	"slices"

	"github.com/keyrate/keyrate/benchmarks/internal/child"
	"github.com/keyrate/keyrate/benchmarks/internal/library"
	"github.com/keyrate/keyrate/benchmarks/internal/report"
)

// Suite measures decisions in the memory of one process: their time, the bytes per bucket,
// and the longest wait of a caller.
var Suite = report.Suite{
	Name:  "memory",
	Run:   runMemory,
	Views: memoryViews,
	Goals: memoryGoals,
	Workers: child.Kinds{
		"decide":    func() child.Worker { return &decideWorker{} },
		"footprint": func() child.Worker { return &footprintWorker{} },
		"stall":     func() child.Worker { return &stallWorker{} },
	},
}

func runMemory(ctx context.Context, s *report.Session) error {
	for _, part := range []func(context.Context, *report.Session) error{runDecide, runFootprint, runStall} {
		if err := part(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func memoryViews(s *report.Session) []report.View {
	var views []report.View
	for _, cpus := range []int{1, 2} {
		for _, verdict := range []string{"allow", "deny"} {
			v := report.View{
				Name:    fmt.Sprintf("memory-%s-%d", verdict, cpus),
				Title:   fmt.Sprintf("One decision in memory, %s, %s", report.Cores(cpus), report.Verdicts[verdict]),
				Variant: twoLimits, VariantLabel: "keyrate, two limits",
			}
			for _, set := range keySets {
				v.Columns = append(v.Columns, report.Column{Label: set.label(), Kase: set.kase(cpus, verdict), Figure: "ns", Unit: "ns"})
			}
			views = append(views, v)
		}
	}
	allocations := report.View{Title: "Allocations and bytes allocated per decision, " + report.Cores(1) + ", " + keySets[1].label()}
	for _, verdict := range []string{"allow", "deny"} {
		kase := keySets[1].kase(1, verdict)
		allocations.Columns = append(allocations.Columns,
			report.Column{Label: verdict + ", allocations", Kase: kase, Figure: "allocs", Plain: true},
			report.Column{Label: verdict + ", bytes", Kase: kase, Figure: "bytes", Plain: true})
	}
	weights := report.View{Name: "memory-bytes", Title: "Bytes per live key", Columns: nil}
	for _, n := range footprintCounts(s.Quick) {
		weights.Columns = append(weights.Columns, report.Column{Label: report.Count(n) + " keys", Kase: weightCase(n), Figure: "bytes", Hidden: n != 100_000 && n != 1_000_000 && n != 5_000_000})
	}
	most := slices.Max(footprintCounts(s.Quick))
	pauses := report.View{Name: "memory-pauses", Title: "Pauses", Log: true, Columns: []report.Column{
		{Label: "full collection, " + report.Count(most) + " keys", Kase: collectionCase(most), Figure: "ns", Unit: "ms", Scale: 1e6, Digits: 2},
		{Label: "worst wait, " + report.Count(stallKeys) + " keys", Kase: stallCase, Figure: "ns", Unit: "ms", Scale: 1e6, Digits: 2},
	}}
	return append(views, allocations, weights, pauses)
}

func memoryGoals(s *report.Session) []report.Goal {
	rivals := library.WithRole(library.Rival, library.ByHand)
	var goals []report.Goal
	for _, verdict := range []string{"allow", "deny"} {
		for _, set := range keySets {
			one := report.Column{Kase: set.kase(1, verdict), Figure: "ns", Unit: "ns"}
			factor := 0.75
			if set.keys == 1_000_000 {
				factor = 0.5
			}
			what := set.label() + ", " + report.Verdicts[verdict]
			goals = append(goals, s.AtMost(what+", 1 core", factor, one, rivals, "the fastest other")...)
			goals = append(goals, s.AtMost(what+", 1 core", 1.7, one, []string{"reference"}, "the reference")...)
			factor = 0.75
			if set.keys == 1 {
				factor = 0.9
			}
			both := report.Column{Kase: set.kase(2, verdict), Figure: "ns", Unit: "ns"}
			goals = append(goals, s.AtMost(what+", 2 cores", factor, both, rivals, "the fastest other")...)
		}
	}
	goals = append(goals, twoLimitsGoals(s)...)
	goals = append(goals, allocationGoal(s)...)
	goals = append(goals, weightGoal(s)...)
	most := slices.Max(footprintCounts(s.Quick))
	goals = append(goals, s.Below("full collection with "+report.Count(most)+" keys", 2,
		report.Column{Kase: collectionCase(most), Figure: "ns", Unit: "ms", Scale: 1e6, Digits: 2})...)
	return append(goals, stallGoal(s)...)
}
