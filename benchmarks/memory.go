package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/keyrate/keyrate/benchmarks/internal/child"
	"github.com/keyrate/keyrate/benchmarks/internal/library"
)

// memorySuite is decisions in the memory of one process: their time, what the
// buckets weigh, and how long a caller may have to wait.
var memorySuite = suite{
	name:  "memory",
	run:   runMemory,
	views: memoryViews,
	goals: memoryGoals,
	workers: child.Kinds{
		"decide":    func() child.Worker { return &decideWorker{} },
		"footprint": func() child.Worker { return &footprintWorker{} },
		"stall":     func() child.Worker { return &stallWorker{} },
	},
}

func runMemory(ctx context.Context, s *session) error {
	for _, part := range []func(context.Context, *session) error{runDecide, runFootprint, runStall} {
		if err := part(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func memoryViews(s *session) []view {
	var views []view
	for _, cpus := range []int{1, 2} {
		for _, verdict := range []string{"allow", "deny"} {
			v := view{
				name:    fmt.Sprintf("memory-%s-%d", verdict, cpus),
				title:   fmt.Sprintf("One decision in memory, %s, %s", cores(cpus), verdicts[verdict]),
				variant: twoLimits, variantLabel: "keyrate, two limits",
			}
			for _, set := range keySets {
				v.columns = append(v.columns, column{label: set.label(), kase: set.kase(cpus, verdict), figure: "ns", unit: "ns"})
			}
			views = append(views, v)
		}
	}
	allocations := view{title: "Allocations and bytes allocated per decision, " + cores(1) + ", " + keySets[1].label()}
	for _, verdict := range []string{"allow", "deny"} {
		kase := keySets[1].kase(1, verdict)
		allocations.columns = append(allocations.columns,
			column{label: verdict + ", allocations", kase: kase, figure: "allocs", plain: true},
			column{label: verdict + ", bytes", kase: kase, figure: "bytes", plain: true})
	}
	weights := view{name: "memory-bytes", title: "Bytes per live key", columns: nil}
	for _, n := range footprintCounts(s.quick) {
		weights.columns = append(weights.columns, column{label: count(n) + " keys", kase: weightCase(n), figure: "bytes", hidden: n != 100_000 && n != 1_000_000 && n != 5_000_000})
	}
	most := slices.Max(footprintCounts(s.quick))
	pauses := view{name: "memory-pauses", title: "Pauses", log: true, columns: []column{
		{label: "full collection, " + count(most) + " keys", kase: collectionCase(most), figure: "ns", unit: "ms", scale: 1e6, digits: 2},
		{label: "worst wait, " + count(stallKeys) + " keys", kase: stallCase, figure: "ns", unit: "ms", scale: 1e6, digits: 2},
	}}
	return append(views, allocations, weights, pauses)
}

func memoryGoals(s *session) []goal {
	rivals := library.WithRole(library.Rival, library.ByHand)
	var goals []goal
	for _, verdict := range []string{"allow", "deny"} {
		for _, set := range keySets {
			one := column{kase: set.kase(1, verdict), figure: "ns", unit: "ns"}
			factor := 0.75
			if set.keys == 1_000_000 {
				factor = 0.5
			}
			what := set.label() + ", " + verdicts[verdict]
			goals = append(goals, s.atMost(what+", 1 core", factor, one, rivals, "the fastest other")...)
			goals = append(goals, s.atMost(what+", 1 core", 1.7, one, []string{"reference"}, "the reference")...)
			factor = 0.75
			if set.keys == 1 {
				factor = 0.9
			}
			both := column{kase: set.kase(2, verdict), figure: "ns", unit: "ns"}
			goals = append(goals, s.atMost(what+", 2 cores", factor, both, rivals, "the fastest other")...)
		}
	}
	goals = append(goals, twoLimitsGoals(s)...)
	goals = append(goals, allocationGoal(s)...)
	goals = append(goals, weightGoal(s)...)
	most := slices.Max(footprintCounts(s.quick))
	goals = append(goals, s.below("full collection with "+count(most)+" keys", 2,
		column{kase: collectionCase(most), figure: "ns", unit: "ms", scale: 1e6, digits: 2})...)
	return append(goals, stallGoal(s)...)
}
