package redis

import (
	"fmt"

	"github.com/keyrate/keyrate/benchmarks/internal/report"
)

func redisViews(*report.Session) []report.View {
	var views []report.View
	add := func(v report.View) {
		v.Entries = redisEntries()
		views = append(views, v)
	}
	sizes := func(denied bool, network string) []redisCase {
		all := []redisCase{
			{1, redisKeys, denied, network},
			{16, redisKeys, denied, network},
			{64, redisKeys, denied, network},
			{256, redisKeys, denied, network},
			{256, 1, denied, network},
		}
		if network == tcp {
			all = append(all, redisCase{1, 1, denied, network}, redisCase{64, 1, denied, network})
		}
		return all
	}
	for _, denied := range []bool{false, true} {
		for _, network := range []string{tcp, unixSocket} {
			where := fmt.Sprintf("%s, %s", report.Verdicts[report.Verdict(denied)], networkLabels[network])
			name := fmt.Sprintf("redis-%s-%s", report.Verdict(denied), network)
			rate := report.View{Name: name, Title: "Decisions per second on Redis, " + where, More: true, Log: true}
			p50 := report.View{Name: name + "-p50", Title: "Latency of a decision on Redis, median, " + where, Log: true}
			p99 := report.View{Title: "Latency of a decision on Redis, 99th percentile, " + where}
			for _, c := range sizes(denied, network) {
				rate.Columns = append(rate.Columns, report.Column{Label: c.label(), Kase: c.String(), Figure: "per_second"})
				p50.Columns = append(p50.Columns, report.Column{Label: c.label(), Kase: c.String(), Figure: "p50_us", Unit: report.Microsecond})
				p99.Columns = append(p99.Columns, report.Column{Label: c.label(), Kase: c.String(), Figure: "p99_us", Unit: report.Microsecond})
			}
			add(rate)
			add(p50)
			add(p99)
		}
	}
	for _, denied := range []bool{false, true} {
		for _, c := range []redisCase{{1, redisKeys, denied, tcp}, {64, redisKeys, denied, tcp}, {256, redisKeys, denied, tcp}, {256, 1, denied, tcp}} {
			name := fmt.Sprintf("redis-cost-%s-%d", report.Verdict(denied), c.callers)
			if c.keys == 1 {
				name += "-1-key"
			}
			add(report.View{
				Name:  name,
				Title: fmt.Sprintf("What a decision costs Redis, %s, %s, %s", c.label(), report.Verdicts[report.Verdict(denied)], networkLabels[tcp]),
				Note:  "trips: script calls, or other commands that wait for an answer of their own; reads: how often Redis reads from a connection",
				Columns: []report.Column{
					{Label: "processor time", Kase: c.String(), Figure: "redis_cpu_us", Unit: report.Microsecond, Digits: 2},
					{Label: "in scripts, by the clock", Kase: c.String(), Figure: "script_us", Unit: report.Microsecond, Digits: 2},
					{Label: "trips", Kase: c.String(), Figure: "trips", Digits: 3, Plain: true},
					{Label: "reads", Kase: c.String(), Figure: "reads", Digits: 3, Plain: true, Hidden: true},
				},
			})
		}
	}
	for _, denied := range []bool{false, true} {
		kase := redisCase{64, redisKeys, denied, longLink}.String()
		add(report.View{
			Name:  "redis-link-" + report.Verdict(denied),
			Title: fmt.Sprintf("64 callers over a link of 1 ms, %s", report.Verdicts[report.Verdict(denied)]),
			Columns: []report.Column{
				{Label: "median", Kase: kase, Figure: "p50_us", Unit: report.Microsecond},
				{Label: "99th percentile", Kase: kase, Figure: "p99_us", Unit: report.Microsecond},
				{Label: "decisions/s", Kase: kase, Figure: "per_second", Hidden: true},
				{Label: "no answer, of a million", Kase: kase, Figure: "failures_ppm", Plain: true, Hidden: true},
			},
		})
	}
	add(report.View{
		Title: "Decisions in memory, one key: what a decision takes, in ns",
		Note:  "processor time: of the callers' process; " + loopName + ": what the callers' own loop takes, with its reading of the clock; it is in all figures",
		Columns: []report.Column{
			{Label: "1 caller, processor time", Kase: redisCase{1, 1, false, tcp}.String(), Figure: "cpu_ns"},
			{Label: "1 caller, median", Kase: redisCase{1, 1, false, tcp}.String(), Figure: "p50_us", Scale: 1e-3},
			{Label: "64 callers, processor time", Kase: redisCase{64, 1, false, tcp}.String(), Figure: "cpu_ns"},
			{Label: "64 callers, median", Kase: redisCase{64, 1, false, tcp}.String(), Figure: "p50_us", Scale: 1e-3},
			{Label: "64 callers, 99th percentile", Kase: redisCase{64, 1, false, tcp}.String(), Figure: "p99_us", Scale: 1e-3},
		},
	})
	add(report.View{
		Name:  "redis-over-limit",
		Title: fmt.Sprintf("Over the limit: %d nodes ask for four times the limit of %d at once and %d a second", exceedNodes, exceedLimit.Tokens, exceedLimit.Tokens),
		Note:  "over the limit: admitted calls beyond burst + rate x time, at the worst instant",
		Columns: []report.Column{
			{Label: "over the limit, %", Kase: exceedKase, Figure: "over_percent", Digits: 1, Plain: true},
			{Label: "tokens", Kase: exceedKase, Figure: "over_tokens", Plain: true},
			{Label: "admitted, % of the limit", Kase: exceedKase, Figure: "of_bound", Digits: 1, Plain: true, Hidden: true},
			{Label: "demand, % of the rate", Kase: exceedKase, Figure: "demand", Plain: true, Hidden: true},
		},
	})
	many := redisCase{manyCallers, redisKeys, false, tcp}.String()
	add(report.View{
		Title: fmt.Sprintf("%s callers", report.Count(manyCallers)),
		Columns: []report.Column{
			{Label: "goroutines beside the callers'", Kase: many, Figure: "goroutines", Plain: true},
			{Label: "connections", Kase: many, Figure: "connections", Plain: true},
			{Label: "decisions/s", Kase: many, Figure: "per_second"},
			{Label: "median", Kase: many, Figure: "p50_us", Unit: report.Microsecond},
			{Label: "99th percentile", Kase: many, Figure: "p99_us", Unit: report.Microsecond},
			{Label: "no answer, of a million", Kase: many, Figure: "failures_ppm", Plain: true},
		},
	})
	return views
}
