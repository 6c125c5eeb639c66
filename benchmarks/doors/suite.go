package main

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"sort"
	"time"

	"github.com/keyrate/keyrate/benchmarks/internal/child"
	"github.com/keyrate/keyrate/benchmarks/internal/library"
	"github.com/keyrate/keyrate/benchmarks/internal/load"
	"github.com/keyrate/keyrate/benchmarks/internal/report"
)

// suite measures each framework's handler bare, and behind limits in memory.
var suite = report.Suite{
	Name:    suiteName,
	Run:     run,
	Views:   views,
	Goals:   goals,
	Workers: child.Kinds{"door": func() child.Worker { return &worker{} }},
}

const suiteName = "doors"

// A scene is how many keys call, and whether they are denied.
type scene struct {
	keys    int
	verdict string
}

var scenes = []scene{{1, "allow"}, {1, "deny"}, {10_000, "allow"}, {10_000, "deny"}}

// kase is the name of the case of a framework.
func (s scene) kase(framework string) string {
	return fmt.Sprintf("%s/keys=%d/%s", framework, s.keys, s.verdict)
}

// A setting is the first line of a child.
type setting struct {
	Framework, Limiter string
	Keys               int
	Limit              library.Limit
	Denied             bool
}

func (s scene) setting(framework, limiter string) setting {
	set := setting{Framework: framework, Limiter: limiter, Keys: s.keys, Limit: library.Limit{Tokens: 1_000_000, Per: 24 * time.Hour}}
	switch {
	case s.verdict == "deny":
		set.Limit, set.Denied = library.Once, true
	case s.keys == 1:
		set.Limit = library.Plenty
	}
	return set
}

func run(ctx context.Context, s *report.Session) error {
	rounds, span := 35, 30*time.Millisecond
	if s.Quick {
		rounds, span = 7, 15*time.Millisecond
	}
	for _, at := range scenes {
		// All frameworks take turns within a round, because a goal compares them.
		var posts []child.Post
		for _, f := range frameworks {
			if !s.Wants(at.kase(f.name)) {
				continue
			}
			for _, l := range f.limiters {
				posts = append(posts, child.Post{Name: f.name + " " + l.name, Args: at.setting(f.name, l.name)})
			}
		}
		if len(posts) == 0 {
			continue
		}
		s.Logf("doors: keys=%d/%s", at.keys, at.verdict)
		crew, err := child.Hire(ctx, "door", posts)
		if err != nil {
			return err
		}
		for n := range rounds {
			err := crew.Round(n, func(c *child.Child) error {
				var found found
				err := c.Do(span, &found)
				if err == nil {
					s.Add(suiteName, at.kase(found.Framework), found.Limiter, found.Figures)
				}
				return err
			})
			if err != nil {
				_ = crew.Dismiss()
				return err
			}
		}
		if err := crew.Dismiss(); err != nil {
			return err
		}
	}
	return nil
}

// found is what a child answers.
type found struct {
	Framework, Limiter string
	Figures            report.Figures
}

// A worker has a framework's handler behind limits, and the same handler bare.
type worker struct {
	setting
	bare, limited call
	keys          []string
	next          int
}

func (w *worker) SetUp(args json.RawMessage) error {
	if err := json.Unmarshal(args, &w.setting); err != nil {
		return err
	}
	limiter, err := named(w.Framework, w.Limiter)
	if err != nil {
		return err
	}
	if w.bare, err = limiter.framework.open(nil, w.setting); err != nil {
		return err
	}
	if w.limited, err = limiter.framework.open(limiter.add, w.setting); err != nil {
		return err
	}
	for _, n := range load.Shuffled(w.Keys) {
		w.keys = append(w.keys, load.NewKey(n))
	}
	// A key is denied after one call that was allowed.
	for _, denied := range []bool{false, w.Denied} {
		if wrong := w.serve(w.limited, len(w.keys), denied); wrong > 0 {
			return fmt.Errorf("%s, %s: of %d keys %d were not answered as they should: denied is %v", w.Framework, w.Limiter, len(w.keys), wrong, denied)
		}
	}
	return nil
}

// Do measures both in turn, in slices so short that whatever slows the machine down slows both.
func (w *worker) Do(args json.RawMessage) (any, error) {
	var span time.Duration
	if err := json.Unmarshal(args, &span); err != nil {
		return nil, err
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var without, with turns
	for deadline := time.Now().Add(span); time.Now().Before(deadline); {
		if err := w.measure(&without, w.bare, false); err != nil {
			return nil, err
		}
		if err := w.measure(&with, w.limited, w.Denied); err != nil {
			return nil, err
		}
	}
	return found{w.Framework, w.Limiter, report.Figures{
		"ns":       with.ns() - without.ns(),
		"total_ns": with.ns(),
		"bare_ns":  without.ns(),
		"allocs":   report.Floor(with.mallocs, with.calls) - report.Floor(without.mallocs, without.calls),
		"bytes":    report.Floor(with.bytes, with.calls) - report.Floor(without.bytes, without.calls),
	}}, nil
}

// turns are what many calls took, some at a time.
type turns struct {
	calls          int
	took           []float64 // ns per call
	mallocs, bytes uint64
}

// ns returns the lower quartile: what others do to the machine only makes a slice slower.
func (s *turns) ns() float64 {
	sort.Float64s(s.took)
	return s.took[len(s.took)/4]
}

func (w *worker) measure(s *turns, c call, denied bool) error {
	const calls = 512
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	wrong := w.serve(c, calls, denied)
	s.took = append(s.took, float64(time.Since(start))/calls)
	runtime.ReadMemStats(&after)
	s.calls += calls
	s.mallocs += after.Mallocs - before.Mallocs
	s.bytes += after.TotalAlloc - before.TotalAlloc
	if wrong > 0 {
		return fmt.Errorf("%s, %s: %d of %d calls were not answered as they should: denied is %v", w.Framework, w.Limiter, wrong, calls, denied)
	}
	return nil
}

// serve makes calls, one key after the other, and counts the wrong answers.
func (w *worker) serve(c call, calls int, denied bool) (wrong int) {
	for range calls {
		key := w.keys[w.next]
		if w.next++; w.next == len(w.keys) {
			w.next = 0
		}
		if c(key) != denied {
			wrong++
		}
	}
	return wrong
}
