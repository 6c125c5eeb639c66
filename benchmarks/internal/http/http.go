package http

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keyrate/keyrate/benchmarks/internal/child"
	"github.com/keyrate/keyrate/benchmarks/internal/library"
	"github.com/keyrate/keyrate/benchmarks/internal/report"
)

// Suite measures a real server on loopback, in a process of its own, that limits each
// request: the processor time per request, how many it serves in a second, and how long
// they take.
var Suite = report.Suite{
	Name:  "http",
	Run:   runHTTP,
	Views: httpViews,
	Goals: httpGoals,
	Workers: child.Kinds{
		"server": func() child.Worker { return &serverWorker{} },
	},
}

// The servers that are not a library's.
const (
	bareServer   = "bare"
	headerServer = "bare, same headers" // as keyrate's, with constant values
)

const (
	httpKeys = 10_000
	// closedCallers is enough to keep a server on one core busy all the time.
	closedCallers = 16
	// openRate is requests per second: about a tenth of what the slowest can do.
	openRate = 2000
)

var (
	// ClosedCase is the case of callers that call again as soon as they have their answer.
	ClosedCase = fmt.Sprintf("closed/callers=%d", closedCallers)
	openCase   = fmt.Sprintf("open/rate=%d", openRate)
)

func runHTTP(ctx context.Context, s *report.Session) error {
	rounds, closed, open := 31, 160*time.Millisecond, 240*time.Millisecond
	if s.Quick {
		rounds, closed, open = 5, 80*time.Millisecond, 100*time.Millisecond
	}
	var posts []child.Post
	for _, name := range []string{bareServer, headerServer} {
		posts = append(posts, child.Post{Name: name, Args: name})
	}
	for _, l := range s.Selected(library.Libraries) {
		if l.Handler != nil {
			posts = append(posts, child.Post{Name: l.Name, Args: l.Name})
		}
	}
	if !s.Wants(ClosedCase) && !s.Wants(openCase) {
		return nil
	}
	s.Logf("http: starting %d servers", len(posts))
	c, err := child.Hire(ctx, "server", posts)
	if err != nil {
		return err
	}
	servers := map[*child.Child]*Target{}
	defer func() {
		for _, t := range servers {
			t.Close()
		}
	}()
	for _, child := range c {
		t, err := NewTarget(ctx, child)
		if err != nil {
			return errors.Join(err, c.Dismiss())
		}
		servers[child] = t
	}
	for n := range rounds {
		s.Logf("http: round %d of %d", n+1, rounds)
		err := c.Round(n, func(child *child.Child) error {
			if s.Wants(ClosedCase) {
				found, err := servers[child].Closed(ctx, closed)
				if err != nil {
					return err
				}
				s.Add("http", ClosedCase, child.Name, found)
			}
			if s.Wants(openCase) {
				found, err := servers[child].open(ctx, open)
				if err != nil {
					return err
				}
				s.Add("http", openCase, child.Name, found)
			}
			return nil
		})
		if err != nil {
			return errors.Join(err, c.Dismiss())
		}
	}
	return c.Dismiss()
}

func httpViews(*report.Session) []report.View {
	return []report.View{
		{
			Name: "http-cpu", Title: "A server on loopback: processor time per request",
			Note: library.ByHandNote,
			Columns: []report.Column{
				{Label: "busy all the time", Kase: ClosedCase, Figure: "cpu_us", Unit: report.Microsecond, Digits: 2},
				{Label: fmt.Sprintf("%d requests/s", openRate), Kase: openCase, Figure: "cpu_us", Unit: report.Microsecond, Digits: 1},
			},
		},
		{
			Title: "A server on loopback: throughput and latency",
			Columns: []report.Column{
				{Label: "requests/s at most", Kase: ClosedCase, Figure: "per_second"},
				{Label: fmt.Sprintf("p50 at %d/s", openRate), Kase: openCase, Figure: "p50_us", Unit: report.Microsecond},
				{Label: fmt.Sprintf("p99 at %d/s", openRate), Kase: openCase, Figure: "p99_us", Unit: report.Microsecond},
			},
		},
	}
}

func httpGoals(s *report.Session) []report.Goal {
	c := report.Column{Kase: ClosedCase, Figure: "cpu_us", Unit: report.Microsecond, Digits: 2}
	goals := s.AtMost("processor time per request", 1.05, c, []string{headerServer}, "the same headers as constants")
	return append(goals, s.AtMost("processor time per request", 1, c, library.WithRole(library.Rival), "any other library")...)
}
