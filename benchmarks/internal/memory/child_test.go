package memory

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/benchmarks/internal/child"
	"github.com/keyrate/keyrate/benchmarks/internal/library"
	"github.com/keyrate/keyrate/benchmarks/internal/load"
	"github.com/keyrate/keyrate/benchmarks/internal/report"
)

func TestMain(m *testing.M) { os.Exit(child.Main(Suite.Workers, m.Run)) }

func TestChildDecides(t *testing.T) {
	for _, denied := range []bool{false, true} {
		set := library.Setting{Limit: library.Plenty, Keys: 100, Presized: true}
		if denied {
			set.Limit = library.Once
		}
		c, err := child.Start(t.Context(), "decide", library.Ours, decideSetting{library.Ours, set, denied})
		if err != nil {
			t.Fatal(err)
		}
		for _, distribution := range []string{load.Uniform, load.Zipf} {
			var found report.Figures
			if err := c.Do(decideOrder{distribution, 2, time.Millisecond}, &found); err != nil {
				t.Fatal(err)
			}
			if found["ns"] <= 0 || found["allocs"] != 0 {
				t.Errorf("denied %v, %s: %v", denied, distribution, found)
			}
		}
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	}
}

// A wrong path must not be measured: here a key is denied that should be allowed.
func TestChildReportsWrongAnswers(t *testing.T) {
	c, err := child.Start(t.Context(), "decide", library.Ours, decideSetting{library.Ours, library.Setting{Limit: library.Limit{Tokens: 2, Per: time.Hour}, Keys: 1}, false})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Stop() }()
	err = c.Do(decideOrder{load.Uniform, 1, time.Millisecond}, nil)
	if err == nil || !strings.Contains(err.Error(), "answers") {
		t.Errorf("got %v, want an error about wrong answers", err)
	}
}

func TestChildThatCannotStart(t *testing.T) {
	for _, kind := range []string{"decide", "nothing"} {
		if _, err := child.Start(t.Context(), kind, "x", decideSetting{Library: "x"}); err == nil {
			t.Errorf("%s: got no error", kind)
		}
	}
}

func TestChildIsWeighed(t *testing.T) {
	counts := []int{1000, 2000}
	c, err := child.Start(t.Context(), "footprint", library.Ours, footprintSetting{library.Ours, counts})
	if err != nil {
		t.Fatal(err)
	}
	var found footprint
	if err := c.Do("collect", &found); err != nil {
		t.Fatal(err)
	}
	if len(found.Bytes) != len(counts) || found.Bytes[1] < 8 || len(found.Collections) == 0 {
		t.Errorf("got %+v", found)
	}
	if err := c.Stop(); err != nil {
		t.Error(err)
	}
}
