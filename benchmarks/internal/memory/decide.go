package memory

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/keyrate/keyrate/benchmarks/internal/child"
	"github.com/keyrate/keyrate/benchmarks/internal/library"
	"github.com/keyrate/keyrate/benchmarks/internal/load"
	"github.com/keyrate/keyrate/benchmarks/internal/report"
)

// A keySet is how many keys there are and how calls are spread over them.
type keySet struct {
	keys         int
	distribution string
}

var keySets = []keySet{{1, load.Uniform}, {10_000, load.Uniform}, {10_000, load.Zipf}, {1_000_000, load.Uniform}, {1_000_000, load.Zipf}}

// kase returns the name of the case.
func (k keySet) kase(cpus int, verdict string) string {
	return fmt.Sprintf("keys=%d/%s/cpu=%d/%s", k.keys, k.distribution, cpus, verdict)
}

// label returns what a reader sees above the column.
func (k keySet) label() string {
	if k.keys == 1 {
		return report.KeyCount(1)
	}
	return report.Count(k.keys) + " " + k.distribution
}

// twoLimits ends the name of a case with two limits at once.
const twoLimits = "/two-limits"

// A decideSetting is the first line of a child that decides.
type decideSetting struct {
	Library string
	Setting library.Setting
	Denied  bool
}

// A decideOrder is a round of its work.
type decideOrder struct {
	Distribution string
	CPUs         int
	For          time.Duration
}

// runDecide measures the time of a decision in every case.
func runDecide(ctx context.Context, s *report.Session) error {
	rounds, span := 35, 20*time.Millisecond
	if s.Quick {
		rounds, span = 7, 8*time.Millisecond
	}
	for _, keys := range []int{1, 10_000, 1_000_000} {
		for _, verdict := range []string{"allow", "deny"} {
			if err := decideGroup(ctx, s, keys, verdict, rounds, span); err != nil {
				return err
			}
		}
	}
	return nil
}

// decideGroup measures the cases that share their limiters.
func decideGroup(ctx context.Context, s *report.Session, keys int, verdict string, rounds int, span time.Duration) error {
	type part struct {
		set  keySet
		cpus int
	}
	var parts []part
	for _, set := range keySets {
		for _, cpus := range []int{1, 2} {
			if set.keys == keys && s.Wants(set.kase(cpus, verdict)) {
				parts = append(parts, part{set, cpus})
			}
		}
	}
	if len(parts) == 0 {
		return nil
	}
	posts := decidePosts(s, keys, verdict)
	s.Logf("memory: decisions, %s keys, %s: filling %d tables", report.Count(keys), report.Verdicts[verdict], len(posts))
	c, err := child.Hire(ctx, "decide", posts)
	if err != nil {
		return err
	}
	defer func() { _ = c.Dismiss() }()
	for _, p := range parts {
		kase := p.set.kase(p.cpus, verdict)
		s.Logf("memory: %s", kase)
		for n := range rounds {
			err := c.Round(n, func(child *child.Child) error {
				var found report.Figures
				err := child.Do(decideOrder{p.set.distribution, p.cpus, span}, &found)
				name, kase := child.Name, kase
				if name == library.Ours+twoLimits {
					name, kase = library.Ours, kase+twoLimits
				}
				if err == nil {
					s.Add("memory", kase, name, found)
				}
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return c.Dismiss()
}

// decidePosts returns the libraries that take part, keyrate with two limits among
// them.
func decidePosts(s *report.Session, keys int, verdict string) []child.Post {
	set := library.Setting{Limit: library.Plenty, Keys: keys, Presized: true}
	if verdict == "deny" {
		set.Limit = library.Once
	}
	var posts []child.Post
	for _, l := range s.Selected(library.Libraries) {
		if l.Name == "machine" || l.Name == "clock" && (keys > 1 || verdict == "deny") {
			continue
		}
		posts = append(posts, child.Post{Name: l.Name, Args: decideSetting{l.Name, set, verdict == "deny"}})
		if l.Role == library.Own {
			two := set
			two.Two = true
			posts = append(posts, child.Post{Name: l.Name + twoLimits, Args: decideSetting{l.Name, two, verdict == "deny"}})
		}
	}
	return posts
}

// A decideWorker has one limiter in which every key is known.
type decideWorker struct {
	decideSetting
	limiter library.Limiter
	streams map[string]*reading
}

// A reading is a stream, and where each caller has come to in it: a round goes on
// where the last one stopped, so that it meets other keys.
type reading struct {
	keys    load.Stream
	offsets map[[2]int]int // by the number of callers and the caller
}

func (w *decideWorker) SetUp(args json.RawMessage) error {
	if err := json.Unmarshal(args, &w.decideSetting); err != nil {
		return err
	}
	l, err := library.Named(w.Library)
	if err != nil {
		return err
	}
	if w.limiter, err = l.Limiter(w.Setting); err != nil {
		return err
	}
	gc := debug.SetGCPercent(200) // filling is not what is measured
	for _, n := range load.Shuffled(w.Setting.Keys) {
		if p, ok := w.limiter.(library.Primer); ok && !w.Denied {
			if err := p.Prime(load.NewKey(n)); err != nil {
				return err
			}
		}
		if !w.limiter.Allow(load.NewKey(n)) {
			return fmt.Errorf("the first call of key %d was denied", n)
		}
		if w.Denied && w.limiter.Allow(load.NewKey(n)) {
			return fmt.Errorf("the second call of key %d was allowed", n)
		}
	}
	// Twice as many draws as keys: nearly nine in ten of the keys occur.
	w.streams = map[string]*reading{}
	for _, distribution := range []string{load.Uniform, load.Zipf} {
		keys := load.NewStream(distribution, w.Setting.Keys, max(2*w.Setting.Keys, 1<<12))
		w.streams[distribution] = &reading{keys, map[[2]int]int{}}
	}
	debug.SetGCPercent(gc)
	runtime.GC()
	return nil
}

func (w *decideWorker) Do(args json.RawMessage) (any, error) {
	var o decideOrder
	if err := json.Unmarshal(args, &o); err != nil {
		return nil, err
	}
	from := w.streams[o.Distribution]
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(o.CPUs))
	w.spin(from, o.CPUs, o.For/10)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	calls, wrong, took := w.spin(from, o.CPUs, o.For)
	runtime.ReadMemStats(&after)
	if wrong > 0 {
		return nil, fmt.Errorf("%d of %d answers were not what the case is about", wrong, calls)
	}
	return report.Figures{
		"ns":     float64(took.Nanoseconds()) * float64(o.CPUs) / float64(calls),
		"allocs": report.Floor(after.Mallocs-before.Mallocs, calls),
		"bytes":  report.Floor(after.TotalAlloc-before.TotalAlloc, calls),
	}, nil
}

// spin lets so many callers, each with a place of its own in the stream, decide
// for a while.
func (w *decideWorker) spin(from *reading, callers int, span time.Duration) (calls, wrong int, took time.Duration) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	start := time.Now()
	deadline := start.Add(span)
	for caller := range callers {
		mu.Lock() // callers that are done write there
		offset, ok := from.offsets[[2]int{callers, caller}]
		mu.Unlock()
		if !ok {
			offset = len(from.keys) / load.KeySize * caller / callers * load.KeySize
		}
		wg.Go(func() {
			c, bad, next := w.call(from.keys, offset, deadline)
			mu.Lock()
			calls += c
			wrong += bad
			from.offsets[[2]int{callers, caller}] = next
			mu.Unlock()
		})
	}
	wg.Wait()
	return calls, wrong, time.Since(start)
}

// call is one caller. It returns where in the stream it stopped.
func (w *decideWorker) call(keys load.Stream, offset int, deadline time.Time) (calls, wrong, next int) {
	limiter, denied := w.limiter, w.Denied
	for time.Now().Before(deadline) {
		for range 512 {
			if limiter.Allow(keys.At(offset)) == denied {
				wrong++
			}
			if offset += load.KeySize; offset == len(keys) {
				offset = 0
			}
		}
		calls += 512
	}
	return calls, wrong, offset
}

// twoLimitsGoals compare two limits with one.
func twoLimitsGoals(s *report.Session) []report.Goal {
	var goals []report.Goal
	for _, set := range keySets {
		kase := set.kase(1, "allow")
		one, two := s.Find(kase, library.Ours), s.Find(kase+twoLimits, library.Ours)
		if one == nil || two == nil {
			continue
		}
		r := report.Ratio(two.Samples["ns"], one.Samples["ns"])
		goals = append(goals, report.Goal{
			What: "two limits at once, " + set.label(),
			Want: "<= 1.5 x one limit",
			Got:  fmt.Sprintf("%.2f x (%.0f, one %.0f ns)", r, report.Median(two.Samples["ns"]), report.Median(one.Samples["ns"])),
			Met:  r <= 1.5,
		})
	}
	return goals
}

// allocationGoal is that no decision allocates.
func allocationGoal(s *report.Session) []report.Goal {
	most, cases := 0.0, 0
	for _, m := range s.Measurements {
		if allocs, ok := m.Median("allocs"); ok && m.Library == library.Ours {
			most = max(most, allocs)
			cases++
		}
	}
	if cases == 0 {
		return nil
	}
	return []report.Goal{{What: "allocations per decision", Want: "0", Got: fmt.Sprintf("%g in %d cases", most, cases), Met: most == 0}}
}
