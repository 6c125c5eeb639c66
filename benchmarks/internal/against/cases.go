package against

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/keyrate/keyrate/benchmarks/internal/child"
	"github.com/keyrate/keyrate/benchmarks/internal/http"
	"github.com/keyrate/keyrate/benchmarks/internal/load"
	"github.com/keyrate/keyrate/benchmarks/internal/report"
)

// A kase is one that the probe can measure.
type kase struct {
	suite, name string
	// order is what the probe is sent, with Span added; nil for http, whose load comes
	// from here.
	order map[string]any
}

// allCases are the cases of every suite, in the order in which they run. Their names are
// those of the suite, as far as that has them.
func allCases() []kase {
	var cases []kase
	memory := func(keys int, distribution string, callers, limits int, denied bool) {
		name := fmt.Sprintf("keys=%d/%s/cpu=%d/%s", keys, distribution, callers, report.Verdict(denied))
		if limits == 2 {
			name += "/two-limits"
		}
		cases = append(cases, kase{"memory", name, map[string]any{
			"Keys": keys, "Distribution": distribution, "Callers": callers, "Limits": limits, "Denied": denied,
		}})
	}
	both := []bool{false, true}
	for _, keys := range []int{1, 10_000} {
		for _, denied := range both {
			memory(keys, load.Uniform, 1, 1, denied)
		}
		memory(keys, load.Uniform, 1, 2, false)
	}
	for _, denied := range both {
		memory(1, load.Uniform, 2, 1, denied)
	}
	for _, denied := range both {
		for _, distribution := range []string{load.Uniform, load.Zipf} {
			memory(1_000_000, distribution, 1, 1, denied)
		}
	}
	for _, keys := range []int{1, 10_000} {
		for _, denied := range both {
			cases = append(cases, kase{"middleware", fmt.Sprintf("keys=%d/%s", keys, report.Verdict(denied)), map[string]any{"Keys": keys, "Denied": denied}})
		}
	}
	return append(cases, kase{suite: "http", name: http.ClosedCase})
}

// casesOf returns those of a suite that the expression matches.
func casesOf(suite string, matching *regexp.Regexp) []kase {
	var cases []kase
	for _, k := range allCases() {
		if k.suite == suite && matching.MatchString(k.name) {
			cases = append(cases, k)
		}
	}
	return cases
}

// prepare readies a child for the case.
func (k kase) prepare(c *child.Child) error {
	if k.order == nil {
		return nil
	}
	return c.Do(k.order, nil)
}

// measure returns the figures of a child.
func (k kase) measure(ctx context.Context, c *child.Child, span time.Duration) (found report.Figures, err error) {
	if k.order == nil {
		target, err := http.NewTarget(ctx, c)
		if err != nil {
			return nil, err
		}
		defer target.Close()
		found, err := target.Closed(ctx, span)
		return report.Figures{"cpu_us": found["cpu_us"]}, err
	}
	k.order["Span"] = span
	err = c.Do(k.order, &found)
	delete(k.order, "Span")
	return found, err
}
