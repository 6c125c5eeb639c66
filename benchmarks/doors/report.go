package main

import (
	"fmt"
	"slices"

	"github.com/keyrate/keyrate/benchmarks/internal/library"
	"github.com/keyrate/keyrate/benchmarks/internal/report"
)

func views(*report.Session) []report.View {
	var views []report.View
	for _, f := range frameworks {
		v := report.View{Title: f.name + ": limits over its bare handler", Note: f.note}
		detail := report.View{Title: f.name + ": allocations and bytes of a call, beyond the bare handler's"}
		for _, s := range scenes {
			label := report.KeyCount(s.keys) + ", " + report.Verdicts[s.verdict]
			v.Columns = append(v.Columns, report.Column{Label: label, Kase: s.kase(f.name), Figure: "ns", Unit: "ns"})
			detail.Columns = append(detail.Columns,
				report.Column{Label: label, Kase: s.kase(f.name), Figure: "allocs", Plain: true},
				report.Column{Label: "bytes", Kase: s.kase(f.name), Figure: "bytes", Plain: true})
		}
		for _, l := range f.limiters {
			role := library.Rival
			if l.name == library.Ours {
				role = library.Own
			}
			v.Entries = append(v.Entries, report.Entry{Name: l.name, Role: role})
		}
		detail.Entries = v.Entries
		views = append(views, v, detail)
	}
	total := report.View{Title: "keyrate's door in each framework, with the handler", Entries: []report.Entry{{Name: library.Ours, Role: library.Own}}}
	for _, f := range frameworks {
		s := scenes[0]
		total.Columns = append(total.Columns,
			report.Column{Label: f.name + ", bare", Kase: s.kase(f.name), Figure: "bare_ns", Unit: "ns", Plain: true},
			report.Column{Label: "limited", Kase: s.kase(f.name), Figure: "total_ns", Unit: "ns", Plain: true})
	}
	return append(views, total)
}

// The most that a door may cost.
const (
	mostBeside = 200  // ns more than net/http's middleware, beside HTTP
	mostRPC    = 1500 // ns of a unary call
)

func goals(s *report.Session) []report.Goal {
	var goals []report.Goal
	for _, f := range frameworks {
		for _, at := range scenes {
			what := fmt.Sprintf("%s, %s, %s", f.name, report.KeyCount(at.keys), report.Verdicts[at.verdict])
			column := report.Column{Kase: at.kase(f.name), Figure: "ns", Unit: "ns"}
			switch f.name {
			case netHTTP:
			case grpcUnary:
				goals = append(goals, s.Below(what, mostRPC, column)...)
			default:
				goals = append(goals, beside(s, what, at, f.name)...)
			}
			if f.name == fiberV3 {
				goals = append(goals, s.AtMost(what, 1, column, []string{"fiber's limiter"}, "fiber's limiter")...)
			}
		}
	}
	return goals
}

// beside is the goal that a door costs little more than the middleware of net/http.
func beside(s *report.Session, what string, at scene, framework string) []report.Goal {
	own, ok := s.Find(at.kase(framework), library.Ours).Median("ns")
	plain, also := s.Find(at.kase(netHTTP), library.Ours).Median("ns")
	if !ok || !also {
		return nil
	}
	return []report.Goal{{
		What: what,
		Want: fmt.Sprintf("<= net/http + %d ns", mostBeside),
		Got:  fmt.Sprintf("%+.0f ns (%.0f, net/http %.0f ns)", own-plain, own, plain),
		Met:  own-plain <= mostBeside,
	}}
}

// named returns a limiter of a framework.
func named(framework, name string) (limiter, error) {
	for _, f := range frameworks {
		if at := slices.IndexFunc(f.limiters, func(l limiter) bool { return l.name == name }); f.name == framework && at >= 0 {
			l := f.limiters[at]
			l.framework = f
			return l, nil
		}
	}
	return limiter{}, fmt.Errorf("there is no %q for %q", name, framework)
}
