package report

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
)

// options are what the command line says.
type options struct {
	suites    []Suite
	quick     bool
	json      string // a file, "-" for the standard output, "" for none
	plots     string // a folder, "" for none
	cases     *regexp.Regexp
	libraries []string // nil: all
}

// parse reads the command line. Flags may come before, after and between the
// names of the suites.
func parse(suites []Suite, args []string, usage io.Writer) (options, error) {
	var o options
	var names []string
	for _, s := range suites {
		names = append(names, s.Name)
	}
	flags := flag.NewFlagSet("benchmarks", flag.ContinueOnError)
	flags.SetOutput(usage)
	flags.Usage = func() {
		fmt.Fprintf(usage, "usage: go -C benchmarks run . %s ... [flags]\n", strings.Join(names, "|"))
		fmt.Fprintf(usage, "   or: go -C benchmarks run . %s FILE [-plot DIR]\n", TimelineName)
		flags.PrintDefaults()
	}
	flags.BoolVar(&o.quick, "quick", false, "fewer and shorter rounds, at most a million keys")
	flags.StringVar(&o.json, "json", "", "write one JSON line per measurement to this `file`, - for the standard output")
	flags.StringVar(&o.plots, "plot", "", "draw the tables into this `folder`, as SVG and PNG")
	cases := flags.String("case", "", "run only the cases whose names match this `expression`")
	libraries := flags.String("library", "", "run only these `names`, separated by commas")
	for rest := args; ; {
		if err := flags.Parse(rest); err != nil {
			return o, err
		}
		if flags.NArg() == 0 {
			break
		}
		at := slices.Index(names, flags.Arg(0))
		if at < 0 {
			return o, fmt.Errorf("there is no suite %q, only %s", flags.Arg(0), strings.Join(names, ", "))
		}
		if !slices.ContainsFunc(o.suites, func(s Suite) bool { return s.Name == names[at] }) {
			o.suites = append(o.suites, suites[at])
		}
		rest = flags.Args()[1:]
	}
	if len(o.suites) == 0 {
		flags.Usage()
		return o, errors.New("name a suite")
	}
	var err error
	if o.cases, err = regexp.Compile(*cases); err != nil {
		return o, err
	}
	if *libraries != "" {
		o.libraries = strings.Split(*libraries, ",")
	}
	return o, nil
}

// Command runs the suites one after the other and reports.
func Command(ctx context.Context, suites []Suite, args []string, out, log io.Writer) (err error) {
	o, err := parse(suites, args, log)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	lines, tables := io.Discard, out
	switch o.json {
	case "":
	case "-":
		lines, tables = out, log
	default:
		file, err := os.Create(o.json)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		lines = file
	}
	fmt.Fprintf(tables, "%s, %s/%s, %d cores, %s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), processor())
	for _, s := range o.suites {
		started := time.Now()
		r := &Session{Quick: o.quick, cases: o.cases, Libraries: o.libraries, log: log, started: started}
		if err := s.Run(ctx, r); err != nil {
			return fmt.Errorf("suite %s: %w", s.Name, err)
		}
		if err := report(s, r, o.plots, lines, tables); err != nil {
			return err
		}
		fmt.Fprintf(tables, "\nsuite %s took %.0f s\n", s.Name, time.Since(started).Seconds())
	}
	return nil
}

// report writes the figures of a suite: JSON lines, tables, goals and plots.
func report(s Suite, r *Session, plots string, lines, tables io.Writer) error {
	encoder := json.NewEncoder(lines)
	encoder.SetEscapeHTML(false)
	for _, m := range r.Measurements {
		if err := encoder.Encode(m); err != nil {
			return err
		}
	}
	for _, v := range s.Views(r) {
		writeTable(tables, v, r)
	}
	if s.Goals != nil {
		writeGoals(tables, s.Name, s.Goals(r))
	}
	if plots == "" {
		return nil
	}
	for _, v := range s.Views(r) {
		if err := writePlot(plots, v, r); err != nil {
			return err
		}
	}
	return nil
}

// processor returns the name of the processor, if the system has it.
func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}
