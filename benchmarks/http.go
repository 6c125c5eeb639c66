package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keyrate/keyrate/benchmarks/internal/child"
	"github.com/keyrate/keyrate/benchmarks/internal/library"
)

// httpSuite is a real server on loopback, in a process of its own, in which each
// request is limited: what it costs in processor time, how many it can serve in a
// second, and how long they take.
var httpSuite = suite{
	name:  "http",
	run:   runHTTP,
	views: httpViews,
	goals: httpGoals,
	workers: child.Kinds{
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
	closedCase = fmt.Sprintf("closed/callers=%d", closedCallers)
	openCase   = fmt.Sprintf("open/rate=%d", openRate)
)

func runHTTP(ctx context.Context, s *session) error {
	rounds, closed, open := 31, 160*time.Millisecond, 240*time.Millisecond
	if s.quick {
		rounds, closed, open = 5, 80*time.Millisecond, 100*time.Millisecond
	}
	var posts []child.Post
	for _, name := range []string{bareServer, headerServer} {
		posts = append(posts, child.Post{Name: name, Args: name})
	}
	for _, l := range s.selected(library.Libraries) {
		if l.Handler != nil {
			posts = append(posts, child.Post{Name: l.Name, Args: l.Name})
		}
	}
	if !s.wants(closedCase) && !s.wants(openCase) {
		return nil
	}
	s.logf("http: starting %d servers", len(posts))
	c, err := child.Hire(ctx, "server", posts)
	if err != nil {
		return err
	}
	servers := map[*child.Child]*target{}
	defer func() {
		for _, t := range servers {
			t.Close()
		}
	}()
	for _, child := range c {
		t, err := newTarget(ctx, child)
		if err != nil {
			return errors.Join(err, c.Dismiss())
		}
		servers[child] = t
	}
	for n := range rounds {
		s.logf("http: round %d of %d", n+1, rounds)
		err := c.Round(n, func(child *child.Child) error {
			if s.wants(closedCase) {
				found, err := servers[child].closed(ctx, closed)
				if err != nil {
					return err
				}
				s.add("http", closedCase, child.Name, found)
			}
			if s.wants(openCase) {
				found, err := servers[child].open(ctx, open)
				if err != nil {
					return err
				}
				s.add("http", openCase, child.Name, found)
			}
			return nil
		})
		if err != nil {
			return errors.Join(err, c.Dismiss())
		}
	}
	return c.Dismiss()
}

func httpViews(*session) []view {
	return []view{
		{
			name: "http-cpu", title: "A server on loopback: processor time per request",
			note: library.ByHandNote,
			columns: []column{
				{label: "busy all the time", kase: closedCase, figure: "cpu_us", unit: us, digits: 2},
				{label: fmt.Sprintf("%d requests/s", openRate), kase: openCase, figure: "cpu_us", unit: us, digits: 1},
			},
		},
		{
			title: "A server on loopback: throughput and latency",
			columns: []column{
				{label: "requests/s at most", kase: closedCase, figure: "per_second"},
				{label: fmt.Sprintf("p50 at %d/s", openRate), kase: openCase, figure: "p50_us", unit: us},
				{label: fmt.Sprintf("p99 at %d/s", openRate), kase: openCase, figure: "p99_us", unit: us},
			},
		},
	}
}

func httpGoals(s *session) []goal {
	c := column{kase: closedCase, figure: "cpu_us", unit: us, digits: 2}
	goals := s.atMost("processor time per request", 1.05, c, []string{headerServer}, "the same headers as constants")
	return append(goals, s.atMost("processor time per request", 1, c, library.WithRole(library.Rival), "any other library")...)
}
