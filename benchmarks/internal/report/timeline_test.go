package report

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const timelineFile = `from_s,to_s,redis,store,knowledge,share,failed,p50_ms,p99_ms,max_ms,admitted,bound
0.000,1.000,well,90,110,0,0,0.9,1.7,1.9,90,90
1.000,2.000,hung,0,4,196,0,0.8,52.2,52.3,140,141
2.000,3.000,well again,51,136,13,0,0.8,1.5,1.7,190,191
`

func TestTimelineIsDrawn(t *testing.T) {
	folder := t.TempDir()
	name := filepath.Join(folder, "timeline.csv")
	if err := os.WriteFile(name, []byte(timelineFile), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	if err := DrawTimeline([]string{name, "-plot", folder}, &log); err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile(filepath.Join(folder, "failover.svg"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Redis hung", "Redis well again", "52 ms", "190 were admitted, of at most 191"} {
		if !bytes.Contains(svg, []byte(want)) {
			t.Errorf("%q is not in the picture", want)
		}
	}
	if _, err := os.Stat(filepath.Join(folder, "failover.png")); err != nil {
		t.Error(err)
	}
}

func TestTimelineThatCannotBeDrawn(t *testing.T) {
	for _, c := range []struct{ from, to, want string }{
		{timelineFile, "", "no steps"},
		{"max_ms", "most", `"max_ms"`},
		{",redis,", ",state,", `"redis"`},
		{"1.000,2.000", "1.000,1.000", "cannot be"},
		{"1.000,2.000", "0.500,2.000", "cannot be"},
		{"110", "many", "many"},
		{"196,0", "196", "wrong number of fields"},
	} {
		_, err := readTimeline(strings.NewReader(strings.Replace(timelineFile, c.from, c.to, 1)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q in place of %q: error %v, want %q", c.to, c.from, err, c.want)
		}
	}
	for _, args := range [][]string{{}, {"a", "b"}, {"-nothing"}, {filepath.Join(t.TempDir(), "not there")}} {
		if err := DrawTimeline(args, &bytes.Buffer{}); err == nil {
			t.Errorf("%q: got no error", args)
		}
	}
}
