package main

import (
	"testing"
	"time"

	"github.com/keyrate/keyrate/benchmarks/internal/library"
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
	w, err := insert(&sleeper{}, library.NewStream(library.Uniform, 10, 250), time.Now())
	if err != nil || w.calls != 250 || w.worst < 5*time.Millisecond || w.long < 2 {
		t.Errorf("got %+v, %v", w, err)
	}
}

// Every goal of the issue that names a case must find it: a goal without figures
// is silently left out.
func TestMemoryGoalsNameCases(t *testing.T) {
	s := &session{}
	for _, l := range library.Libraries {
		for _, verdict := range []string{"allow", "deny"} {
			for _, set := range keySets {
				for _, cpus := range []int{1, 2} {
					s.add("memory", set.kase(cpus, verdict), l.Name, figures{"ns": 1, "allocs": 0})
				}
			}
		}
		for _, n := range ownCounts(false) {
			s.add("memory", weightCase(n), l.Name, figures{"bytes": 1})
		}
		s.add("memory", collectionCase(5_000_000), l.Name, figures{"ns": 1})
		s.add("memory", stallCase, l.Name, figures{"ns": 1})
	}
	for _, set := range keySets {
		s.add("memory", set.kase(1, "allow")+twoLimits, library.Ours, figures{"ns": 1})
	}
	if got, want := len(memoryGoals(s)), 2*5*3+5+4; got != want {
		t.Errorf("%d goals, want %d", got, want)
	}
	for _, v := range memoryViews(s) {
		for _, c := range v.columns {
			if s.find(c.kase, library.Ours) == nil {
				t.Errorf("%s: no case %s", v.title, c.kase)
			}
		}
	}
}
