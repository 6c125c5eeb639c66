package against

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/keyrate/keyrate/benchmarks/internal/report"
)

// Name is the word on the command line that compares with an older revision.
const Name = "against"

// suites are those that can be compared.
var suites = []string{"memory", "middleware", "http"}

// layouts is how many binaries of each version there are at most, with their functions in
// another order.
const layouts = 4

// options are what the command line says.
type options struct {
	revision string
	suites   []string // without duplicates; all if none is named
	pairs    int
	span     time.Duration // of a turn
	cases    *regexp.Regexp
}

func parse(args []string, log io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet(Name, flag.ContinueOnError)
	flags.SetOutput(log)
	flags.Usage = func() {
		fmt.Fprintf(log, "usage: go -C benchmarks run . %s REV [%s ...] [flags]\n", Name, strings.Join(suites, "|"))
		flags.PrintDefaults()
	}
	flags.IntVar(&o.pairs, "pairs", 20, "how many pairs of processes are compared")
	flags.DurationVar(&o.span, "for", 25*time.Millisecond, "how long a turn lasts")
	cases := flags.String("case", "", "run only the cases whose names match this `expression`")
	for rest := args; ; rest = flags.Args()[1:] {
		if err := flags.Parse(rest); err != nil {
			return o, err
		}
		word := flags.Arg(0)
		switch {
		case flags.NArg() == 0:
			var err error
			if o.cases, err = regexp.Compile(*cases); err != nil {
				return o, err
			}
			return o, o.check()
		case o.revision == "":
			o.revision = word
		case !slices.Contains(suites, word):
			return o, fmt.Errorf("suite %q cannot be compared, only %s", word, strings.Join(suites, ", "))
		case !slices.Contains(o.suites, word):
			o.suites = append(o.suites, word)
		}
	}
}

func (o *options) check() error {
	if len(o.suites) == 0 {
		o.suites = suites
	}
	switch {
	case o.revision == "":
		return errors.New("name a revision to compare with, such as HEAD")
	case o.pairs < 1 || o.span <= 0:
		return errors.New("-pairs and -for must be positive")
	case !slices.ContainsFunc(o.suites, func(s string) bool { return len(casesOf(s, o.cases)) > 0 }):
		return fmt.Errorf("no case matches %s", o.cases)
	}
	return nil
}

// Command compares the working tree with a revision and prints, for each figure, the ratio
// of the medians of new and old with its 95 % interval.
func Command(ctx context.Context, args []string, out, log io.Writer) error {
	o, err := parse(args, log)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	root, err := git(ctx, ".", "rev-parse", "--show-toplevel")
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "keyrate-against-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	binaries, err := buildBoth(ctx, o.revision, min(layouts, o.pairs), root, folder, log)
	if err != nil {
		return err
	}
	name, err := describe(ctx, root, o.revision)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "old: %s; new: the working tree at %s; %d pairs\n", name, root, o.pairs)
	for _, suite := range o.suites {
		cases := casesOf(suite, o.cases)
		if len(cases) == 0 {
			continue
		}
		started := time.Now()
		var figures []*figure
		for pair := range o.pairs {
			fmt.Fprintf(log, "%4.0f s  %s: pair %d of %d\n", time.Since(started).Seconds(), suite, pair+1, o.pairs)
			if figures, err = runPair(ctx, suite, cases, binaries[pair%len(binaries)], pair, o.span, figures); err != nil {
				return fmt.Errorf("suite %s: %w", suite, err)
			}
		}
		write(out, suite, figures)
	}
	return nil
}

// buildBoth compiles the probe with the revision and with the working tree, in so many
// layouts.
func buildBoth(ctx context.Context, revision string, layouts int, root, folder string, log io.Writer) (binaries [][2]string, err error) {
	binaries = make([][2]string, layouts)
	tree := filepath.Join(folder, "tree")
	remove, err := checkOut(ctx, root, revision, tree)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be checked out: %w", revision, err)
	}
	defer remove()
	for i, target := range []string{tree, root} {
		name := []string{revision, "the working tree"}[i]
		fmt.Fprintf(log, "building the measuring program with %s\n", name)
		binariesIn := filepath.Join(folder, []string{"old", "new"}[i])
		if err := os.Mkdir(binariesIn, 0o700); err != nil {
			return nil, err
		}
		for layout := range layouts {
			if binaries[layout][i], err = build(ctx, root, target, binariesIn, 1+layout); err != nil {
				return nil, fmt.Errorf("the measuring program does not build with %s, whose API may be too different "+
					"(benchmarks/internal/against/probe/keyrate.go is all that depends on it): %w", name, err)
			}
		}
	}
	return binaries, nil
}

// describe returns the short name of a revision and the subject of its commit.
func describe(ctx context.Context, root, revision string) (string, error) {
	return git(ctx, root, "log", "-1", "--format=%h (%s)", revision, "--")
}

// write prints a line for each figure.
func write(out io.Writer, suite string, figures []*figure) {
	lines := [][]string{{suite, "old", "new", "new/old", "95 % interval"}}
	for _, f := range figures {
		r := compare(f.old, f.new)
		lines = append(lines, []string{
			f.kase + ", " + f.name,
			fmt.Sprintf("%.4g", report.Median(f.old)),
			fmt.Sprintf("%.4g", report.Median(f.new)),
			fmt.Sprintf("%.3f", r.value),
			fmt.Sprintf("%.3f to %.3f", r.low, r.high),
		})
	}
	fmt.Fprintln(out)
	report.WriteAligned(out, lines)
}
