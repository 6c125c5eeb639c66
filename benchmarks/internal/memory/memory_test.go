package memory

import (
	"testing"
	"time"

	"github.com/keyrate/keyrate/benchmarks/internal/library"
	"github.com/keyrate/keyrate/benchmarks/internal/load"
	"github.com/keyrate/keyrate/benchmarks/internal/report"
)

func TestWaits(t *testing.T) {
	var w waits
	for _, wait := range []time.Duration{time.Microsecond, 3 * time.Millisecond, 2 * time.Microsecond} {
		w.add(wait)
	}
	if w.calls != 3 || w.long != 1 || w.worst != 3*time.Millisecond {
		t.Errorf("got %+v", w)
	}
}

// sleeper is a limiter that holds every caller up now and then.
type sleeper struct{ calls int }

func (s *sleeper) Allow(string) bool {
	if s.calls++; s.calls%100 == 0 {
		time.Sleep(5 * time.Millisecond)
	}
	return true
}

func TestInsertFindsTheWorstWait(t *testing.T) {
	w, err := insert(&sleeper{}, load.NewStream(load.Uniform, 10, 250), time.Now())
	if err != nil || w.calls != 250 || w.worst < 5*time.Millisecond || w.long < 2 {
		t.Errorf("got %+v, %v", w, err)
	}
}

// Every goal of the issue that names a case must find it: a goal without figures
// is silently left out.
func TestMemoryGoalsNameCases(t *testing.T) {
	s := &report.Session{}
	for _, l := range library.Libraries {
		for _, verdict := range []string{"allow", "deny"} {
			for _, set := range keySets {
				for _, cpus := range []int{1, 2} {
					s.Add("memory", set.kase(cpus, verdict), l.Name, report.Figures{"ns": 1, "allocs": 0})
				}
			}
		}
		for _, n := range ownCounts(false) {
			s.Add("memory", weightCase(n), l.Name, report.Figures{"bytes": 1})
		}
		s.Add("memory", collectionCase(5_000_000), l.Name, report.Figures{"ns": 1})
		s.Add("memory", stallCase, l.Name, report.Figures{"ns": 1})
	}
	for _, set := range keySets {
		s.Add("memory", set.kase(1, "allow")+twoLimits, library.Ours, report.Figures{"ns": 1})
	}
	if got, want := len(memoryGoals(s)), 2*5*3+5+4; got != want {
		t.Errorf("%d goals, want %d", got, want)
	}
	for _, v := range memoryViews(s) {
		for _, c := range v.Columns {
			if s.Find(c.Kase, library.Ours) == nil {
				t.Errorf("%s: no case %s", v.Title, c.Kase)
			}
		}
	}
}
