package memory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/keyrate/keyrate/benchmarks/internal/child"
	"github.com/keyrate/keyrate/benchmarks/internal/library"
	"github.com/keyrate/keyrate/benchmarks/internal/load"
	"github.com/keyrate/keyrate/benchmarks/internal/report"
)

// footprintCounts are the numbers of keys at which every table is weighed.
func footprintCounts(quick bool) []int {
	if quick {
		return []int{100_000, 200_000, 500_000, 1_000_000}
	}
	return []int{100_000, 200_000, 500_000, 1_000_000, 2_000_000, 5_000_000}
}

// ownCounts are those at which keyrate is weighed: more of them, since a table
// that grows by steps is heaviest right after one, and the goal is for any number.
func ownCounts(quick bool) []int {
	counts := footprintCounts(quick)
	most := slices.Max(counts)
	for n := 110_000; n < most; n += n / 10 {
		counts = append(counts, n)
	}
	slices.Sort(counts)
	return slices.Compact(counts)
}

func weightCase(keys int) string     { return fmt.Sprintf("bytes-per-key/%d", keys) }
func collectionCase(keys int) string { return fmt.Sprintf("full-gc/%d", keys) }

// runFootprint fills each library's table, weighs it on the way, and times the
// garbage collector with the full one.
func runFootprint(ctx context.Context, s *report.Session) error {
	counts := footprintCounts(s.Quick)
	most := slices.Max(counts)
	if !s.Wants(weightCase(most)) && !s.Wants(collectionCase(most)) {
		return nil
	}
	var posts []child.Post
	for _, l := range s.Selected(library.Libraries) {
		switch {
		case l.Role == library.Own:
			posts = append(posts, child.Post{Name: l.Name, Args: footprintSetting{l.Name, ownCounts(s.Quick)}})
		case l.Name != "clock":
			posts = append(posts, child.Post{Name: l.Name, Args: footprintSetting{l.Name, counts}})
		}
	}
	// As many tables at a time as can be filled at once: all of them would take
	// gigabytes.
	for some := range slices.Chunk(posts, runtime.NumCPU()) {
		for _, p := range some {
			s.Logf("memory: weighing up to %s keys in %s", report.Count(most), p.Name)
		}
		c, err := child.Hire(ctx, "footprint", some)
		if err != nil {
			return err
		}
		err = c.Round(0, func(child *child.Child) error { return weigh(s, child) })
		if err := errors.Join(err, c.Dismiss()); err != nil {
			return err
		}
	}
	return nil
}

// weigh takes what was found of one library.
func weigh(s *report.Session, child *child.Child) error {
	var found footprint
	if err := child.Do("collect", &found); err != nil {
		return err
	}
	if child.Name != "machine" {
		for i, n := range found.Counts {
			s.Add("memory", weightCase(n), child.Name, report.Figures{"bytes": found.Bytes[i], "heap_inuse_bytes": found.InUse[i]})
		}
	}
	s.Add("memory", collectionCase(slices.Max(found.Counts)), child.Name,
		report.Figures{"ns": slices.Min(found.Collections), "ns_median": report.Median(found.Collections)})
	return nil
}

// A footprintSetting is the first line of a child that is weighed.
type footprintSetting struct {
	Library string
	Counts  []int
}

// A footprint is what was found of one library, per key.
type footprint struct {
	Counts      []int
	Bytes       []float64 // live objects
	InUse       []float64 // pages of the heap that hold any
	Collections []float64 // nanoseconds
}

// A footprintWorker fills one limiter and weighs it at each count. Each key is a
// string of its own, as the header of a request is: who keeps it pays for it.
type footprintWorker struct {
	library library.Library
	limiter library.Limiter
	found   footprint
}

func (w *footprintWorker) SetUp(args json.RawMessage) error {
	var set footprintSetting
	if err := json.Unmarshal(args, &set); err != nil {
		return err
	}
	var err error
	if w.library, err = library.Named(set.Library); err != nil {
		return err
	}
	bytes, inUse := heap()
	if w.limiter, err = w.library.Limiter(library.Setting{Limit: library.Once, Keys: slices.Max(set.Counts)}); err != nil {
		return err
	}
	w.found.Counts = set.Counts
	n := 0
	for _, count := range set.Counts {
		for ; n < count; n++ {
			if !w.limiter.Allow(load.NewKey(n)) {
				return fmt.Errorf("the first call of key %d was denied", n)
			}
		}
		nowBytes, nowInUse := heap()
		w.found.Bytes = append(w.found.Bytes, (nowBytes-bytes)/float64(n))
		w.found.InUse = append(w.found.InUse, (nowInUse-inUse)/float64(n))
	}
	return nil
}

// Do times full collections while the other children wait.
func (w *footprintWorker) Do(json.RawMessage) (any, error) {
	first := time.Now()
	for n := 0; n < 3 || n < 7 && time.Since(first) < 2*time.Second; n++ {
		start := time.Now()
		runtime.GC()
		w.found.Collections = append(w.found.Collections, float64(time.Since(start)))
	}
	if w.library.Role != library.Yardstick && w.limiter.Allow(load.NewKey(0)) {
		return nil, errors.New("the table has forgotten the first key")
	}
	return w.found, nil
}

// heap returns the bytes of live objects, and of the pages that hold any.
func heap() (live, inUse float64) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc), float64(m.HeapInuse)
}

// weightGoal is the heaviest that keyrate was at any count.
func weightGoal(s *report.Session) []report.Goal {
	worst, at := 0.0, 0
	for _, n := range ownCounts(s.Quick) {
		if v, ok := s.Find(weightCase(n), library.Ours).Median("bytes"); ok && v > worst {
			worst, at = v, n
		}
	}
	if at == 0 {
		return nil
	}
	return []report.Goal{{What: fmt.Sprintf("bytes per live key, at %d counts", len(ownCounts(s.Quick))), Want: "<= 64", Got: fmt.Sprintf("%.1f, most at %s keys", worst, report.Count(at)), Met: worst <= 64}}
}
