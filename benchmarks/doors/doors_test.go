package main

import (
	"encoding/json"
	"testing"

	"github.com/keyrate/keyrate/benchmarks/internal/report"
)

// TestDoors sets each limiter of each framework up, which fails unless it allows and denies as the
// case wants, and measures it for a moment.
func TestDoors(t *testing.T) {
	for _, f := range frameworks {
		for _, l := range f.limiters {
			for _, s := range []scene{{3, "allow"}, {3, "deny"}} {
				t.Run(s.kase(f.name)+"/"+l.name, func(t *testing.T) {
					args, err := json.Marshal(s.setting(f.name, l.name))
					if err != nil {
						t.Fatal(err)
					}
					var w worker
					if err := w.SetUp(args); err != nil {
						t.Fatal(err)
					}
					answer, err := w.Do(json.RawMessage("1000000"))
					if err != nil {
						t.Fatal(err)
					}
					if f, ok := answer.(found); !ok || f.Figures["total_ns"] <= 0 {
						t.Errorf("%+v", answer)
					}
				})
			}
		}
	}
}

// TestGoals: net/http has no goal of its own, fiber has two for each case.
func TestGoals(t *testing.T) {
	s := new(report.Session)
	for _, f := range frameworks {
		for _, at := range scenes {
			for _, l := range f.limiters {
				s.Add(suiteName, at.kase(f.name), l.name, report.Figures{"ns": 100})
			}
		}
	}
	met, of := 0, goals(s)
	for _, g := range of {
		if g.Met {
			met++
		}
	}
	if met != len(of) || len(of) < 4*4 || len(views(s)) != 2*len(frameworks)+1 {
		t.Errorf("%d of %d goals are met, %d views", met, len(of), len(views(s)))
	}
}
