package against

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/keyrate/keyrate/benchmarks/internal/child"
	"github.com/keyrate/keyrate/benchmarks/internal/report"
)

// rounds is how often the two processes of a pair take turns in each case.
const rounds = 3

// A figure is one of one case: the samples of each pair, from the old and the new version.
type figure struct {
	kase, name string
	old, new   []float64
}

// runPair starts a process of each version and measures all cases, in turns: what slows the
// machine down for longer than a turn slows both. The version that is first is the other one
// in each turn and in each pair.
func runPair(ctx context.Context, suite string, cases []kase, binaries [2]string, pair int, span time.Duration, figures []*figure) (_ []*figure, err error) {
	var children [2]*child.Child
	for i, name := range []string{"old", "new"} {
		if children[i], err = child.StartProgram(ctx, binaries[i], suite, name, nil); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, children[i].Stop()) }()
	}
	for _, k := range cases {
		var samples [2]map[string][]float64
		for i := range children {
			samples[i] = map[string][]float64{}
			if err := k.prepare(children[i]); err != nil {
				return nil, err
			}
		}
		for turn := range 2 * rounds {
			i := (turn + turn/2 + pair) % 2 // 0 1, 1 0, 0 1
			found, err := k.measure(ctx, children[i], span)
			if err != nil {
				return nil, err
			}
			for name, value := range found {
				samples[i][name] = append(samples[i][name], value)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(samples[0])) {
			f := find(&figures, k.name, name)
			f.old = append(f.old, report.Median(samples[0][name]))
			f.new = append(f.new, report.Median(samples[1][name]))
		}
	}
	return figures, nil
}

// find returns the figure of a case, which it adds if there is none.
func find(figures *[]*figure, kase, name string) *figure {
	for _, f := range *figures {
		if f.kase == kase && f.name == name {
			return f
		}
	}
	f := &figure{kase: kase, name: name}
	*figures = append(*figures, f)
	return f
}
