package report

import (
	"bytes"
	"context"
	"encoding/json"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/benchmarks/internal/library"
)

const twoLimitsOfFake = "/two-limits"

// fakeSuite measures nothing and knows everything.
var fakeSuite = Suite{
	Name: "fake",
	Run: func(_ context.Context, s *Session) error {
		for _, ns := range []float64{50, 40, 60} {
			s.Add("fake", "keys=1/allow", "go-limiter", Figures{"ns": 2 * ns, "allocs": 1, "bytes": 16})
			s.Add("fake", "keys=1/allow", library.Ours, Figures{"ns": ns, "allocs": 0, "bytes": 0})
		}
		s.Add("fake", "keys=1/allow"+twoLimitsOfFake, library.Ours, Figures{"ns": 55.5})
		return nil
	},
	Views: func(*Session) []View {
		return []View{
			{
				Name: "fake", Title: "A decision", Variant: twoLimitsOfFake, VariantLabel: "keyrate, two limits",
				Columns: []Column{
					{Label: "1 key", Kase: "keys=1/allow", Figure: "ns", Unit: "ns"},
					{Label: "not measured", Kase: "keys=2/allow", Figure: "ns", Unit: "ns"},
				},
			},
			{Name: "empty", Title: "Nothing", Columns: []Column{{Label: "none", Kase: "none", Figure: "ns"}}},
		}
	},
	Goals: func(s *Session) []Goal {
		c := Column{Kase: "keys=1/allow", Figure: "ns", Unit: "ns"}
		return append(s.AtMost("a decision", 0.4, c, library.WithRole(library.Rival), "the fastest other"), s.Below("a decision", 50, c)...)
	},
}

func runFake(t *testing.T, args ...string) string {
	t.Helper()
	var out, log bytes.Buffer
	if err := Command(t.Context(), []Suite{fakeSuite}, args, &out, &log); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestTableAndGoals(t *testing.T) {
	got := runFake(t, "fake")
	for _, want := range []string{
		"\nA decision\n",
		"                             1 key, ns  not measured, ns\n",
		"  keyrate               50 ±20%  1.00x\n",
		"  keyrate, two limits        56  1.11x\n",
		"  go-limiter           100 ±20%  2.00x\n",
		"goals of suite fake: 1 met, 1 short\n",
		"  goal a decision  <= 0.4 x the fastest other  0.50 x (50, go-limiter 100 ns)  short\n",
		"  goal a decision                    <= 50 ns                           50 ns    met\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("want %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "Nothing") {
		t.Errorf("an empty table was printed:\n%s", got)
	}
}

func TestJSON(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lines")
	runFake(t, "-json", name, "fake")
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"suite":"fake","case":"keys=1/allow","library":"go-limiter","ns":100,"ns_min":80,"ns_max":120,"bytes":16,"allocs":1,"rounds":3}
{"suite":"fake","case":"keys=1/allow","library":"keyrate","ns":50,"ns_min":40,"ns_max":60,"bytes":0,"allocs":0,"rounds":3}
{"suite":"fake","case":"keys=1/allow/two-limits","library":"keyrate","ns":55.5,"rounds":1}
`
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for line := range strings.Lines(string(got)) {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
	}
}

func TestPlots(t *testing.T) {
	folder := t.TempDir()
	runFake(t, "fake", "-plot", folder)
	file, err := os.Open(filepath.Join(folder, "fake.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	picture, err := png.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	if size := picture.Bounds().Size(); size.X < 800 || size.Y < 150 {
		t.Errorf("the picture is %v", size)
	}
	svg, err := os.ReadFile(filepath.Join(folder, "fake.svg"))
	if err != nil || !bytes.Contains(svg, []byte("go-limiter")) {
		t.Errorf("the SVG does not name the library: %v", err)
	}
	if _, err := os.Stat(filepath.Join(folder, "empty.svg")); err == nil {
		t.Error("an empty view was drawn")
	}
}

func TestCommandLine(t *testing.T) {
	suites := []Suite{{Name: "memory"}, {Name: "http"}}
	for _, args := range []string{
		"-quick memory http -json x -plot y",
		"memory -quick -json x http -plot y",
		"memory http memory -plot=y -json=x --quick",
	} {
		o, err := parse(suites, strings.Fields(args), &bytes.Buffer{})
		if err != nil {
			t.Errorf("%s: %v", args, err)
			continue
		}
		if !o.quick || o.json != "x" || o.plots != "y" || len(o.suites) != 2 || o.suites[0].Name != "memory" || o.suites[1].Name != "http" {
			t.Errorf("%s: got %+v", args, o)
		}
	}
	for _, args := range []string{"", "-quick", "nothing", "memory -nothing", "memory -case ("} {
		if _, err := parse(suites, strings.Fields(args), &bytes.Buffer{}); err == nil {
			t.Errorf("%q: got no error", args)
		}
	}
}
