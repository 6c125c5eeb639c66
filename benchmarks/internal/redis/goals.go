package redis

import (
	"fmt"

	"github.com/keyrate/keyrate/benchmarks/internal/library"
	"github.com/keyrate/keyrate/benchmarks/internal/report"
)

// keyratePool is how many connections redisstore.NewClient allows itself.
const keyratePool = 20

// redisGoals are those of the tables, for each verdict and network that was measured.
// redis_rate is the better of its two pools, figure by figure.
func redisGoals(s *report.Session) []report.Goal {
	var goals []report.Goal
	type compare func(string, float64, report.Column, []string, string) []report.Goal
	add := func(own, what string, c redisCase, figure, unit string, factor float64, to compare) {
		column := report.Column{Kase: c.String(), Figure: figure, Unit: unit, Own: own}
		if figure == "redis_cpu_us" {
			column.Digits = 2
		}
		what = fmt.Sprintf("%s, %s, %s, %s", c.label(), what, report.Verdicts[report.Verdict(c.denied)], networkLabels[c.network])
		goals = append(goals, to(what, factor, column, redisNames("redis_rate"), "redis_rate")...)
	}
	for _, denied := range []bool{false, true} {
		for _, network := range []string{tcp, unixSocket} {
			most := 4.0
			if denied {
				most = 5
			}
			add("", "decisions/s", redisCase{256, redisKeys, denied, network}, "per_second", "/s", most, s.AtLeast)
			add("", "decisions/s", redisCase{64, redisKeys, denied, network}, "per_second", "/s", 3, s.AtLeast)
			add("", "median", redisCase{1, redisKeys, denied, network}, "p50_us", report.Microsecond, 1.05, s.AtMost)
			add("", "Redis' processor time", redisCase{256, redisKeys, denied, network}, "redis_cpu_us", report.Microsecond, 0.3, s.AtMost)
			add("", "decisions/s", redisCase{256, 1, denied, network}, "per_second", "/s", 5, s.AtLeast)
		}
		add("", "median", redisCase{64, redisKeys, denied, longLink}, "p50_us", report.Microsecond, 1.3, s.AtMost)
	}
	for _, c := range []redisCase{{256, redisKeys, false, tcp}, {256, 1, false, tcp}} {
		factor := 10.0
		if c.keys == 1 {
			factor = 50
		}
		add(withLeases, "decisions/s with leases", c, "per_second", "/s", factor, s.AtLeast)
		add(withLeases, "Redis' processor time with leases", c, "redis_cpu_us", report.Microsecond, 0.05, s.AtMost)
	}
	goals = append(goals, memoryGoals(s)...)
	many := redisCase{manyCallers, redisKeys, false, tcp}
	goals = append(goals, s.Below(many.label()+", connections", keyratePool, report.Column{Kase: many.String(), Figure: "connections"})...)
	return append(goals, s.Below(many.label()+", goroutines beside theirs", keyratePool, report.Column{Kase: many.String(), Figure: "goroutines"})...)
}

// memoryGoals are those of decisions in memory, and of what they may admit.
func memoryGoals(s *report.Session) []report.Goal {
	below := func(what string, bound float64, c redisCase, figure string) []report.Goal {
		return s.Below(c.label()+" with leases, "+what, bound, report.Column{Kase: c.String(), Figure: figure, Unit: report.Microsecond, Own: withLeases, Digits: 2})
	}
	goals := below("median", 1, redisCase{64, 1, false, tcp}, "p50_us")
	goals = append(goals, below("99th percentile", 10, redisCase{64, 1, false, tcp}, "p99_us")...)
	goals = append(goals, decisionGoal(s)...)
	for _, own := range []string{library.Ours, withLeases} {
		goals = append(goals, s.Below(own+", tokens over the limit", 0, report.Column{Kase: exceedKase, Figure: "over_tokens", Unit: "tokens", Own: own})...)
	}
	return goals
}

// decisionGoal is that of one caller with leases, in processor time. What its own loop takes is
// subtracted.
func decisionGoal(s *report.Session) []report.Goal {
	const bound = 150 // ns; the nearest rival, throttlekit in TypeScript, claims 169
	c := redisCase{1, 1, false, tcp}
	all, ok := s.Find(c.String(), withLeases).Median("cpu_ns")
	loop, measured := s.Find(c.String(), loopName).Median("cpu_ns")
	if !ok || !measured {
		return nil
	}
	return []report.Goal{{
		What: c.label() + " with leases, a decision",
		Want: fmt.Sprintf("<= %d ns", bound),
		Got:  fmt.Sprintf("%.0f ns (%.0f, less %.0f for the loop)", all-loop, all, loop),
		Met:  all-loop <= bound,
	}}
}
