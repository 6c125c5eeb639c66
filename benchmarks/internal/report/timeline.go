package report

import (
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
)

// TimelineName is the word on the command line that draws a timeline, and measures
// nothing.
const TimelineName = "timeline"

// DrawTimeline draws the file that examples/failover has written.
func DrawTimeline(args []string, log io.Writer) error {
	flags := flag.NewFlagSet(TimelineName, flag.ContinueOnError)
	flags.SetOutput(log)
	flags.Usage = func() {
		fmt.Fprintf(log, "usage: go -C benchmarks run . %s FILE [-plot DIR]\nFILE is what go run ./examples/failover -demo -timeline FILE has written\n", TimelineName)
		flags.PrintDefaults()
	}
	folder := flags.String("plot", "plots", "draw it into this `folder`, as failover.svg and failover.png")
	var files []string
	for rest := args; ; rest = flags.Args()[1:] {
		if err := flags.Parse(rest); errors.Is(err, flag.ErrHelp) {
			return nil
		} else if err != nil {
			return err
		}
		if flags.NArg() == 0 {
			break
		}
		files = append(files, flags.Arg(0))
	}
	if len(files) != 1 {
		flags.Usage()
		return errors.New("name one file")
	}
	file, err := os.Open(files[0])
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	steps, err := readTimeline(file)
	if err != nil {
		return fmt.Errorf("%s: %w", files[0], err)
	}
	return writePicture(*folder, "failover", &timelineChart{steps})
}

// A step is a line of the file: what callers saw in some time.
type step struct {
	from, to float64    // in seconds
	redis    string     // the state of Redis
	by       [4]float64 // how many calls each of timelineSources decided
	most     float64    // the longest latency, in ms
	admitted float64    // so far
	bound    float64    // how many may have been
}

// A timelineSource is who decides. The names are those of the file's columns.
type timelineSource struct{ column, label string }

// timelineSources are in the order in which they are stacked.
var timelineSources = [4]timelineSource{
	{"store", "Redis decided"},
	{"knowledge", "denied by what is known, without asking Redis"},
	{"share", "decided here, as Redis was unavailable"},
	{"failed", "not decided"},
}

func readTimeline(r io.Reader) ([]step, error) {
	lines, err := csv.NewReader(r).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(lines) < 2 {
		return nil, errors.New("there are no steps in it")
	}
	var steps []step
	for _, line := range lines[1:] {
		var s step
		places := map[string]*float64{"from_s": &s.from, "to_s": &s.to, "max_ms": &s.most, "admitted": &s.admitted, "bound": &s.bound}
		for i, source := range timelineSources {
			places[source.column] = &s.by[i]
		}
		for name, place := range places {
			at := slices.Index(lines[0], name)
			if at < 0 {
				return nil, fmt.Errorf("there is no column %q", name)
			}
			if *place, err = strconv.ParseFloat(line[at], 64); err != nil {
				return nil, err
			}
		}
		at := slices.Index(lines[0], "redis")
		if at < 0 {
			return nil, errors.New(`there is no column "redis"`)
		}
		s.redis = line[at]
		if s.to <= s.from || len(steps) > 0 && s.from < steps[len(steps)-1].to {
			return nil, fmt.Errorf("the step from %v s to %v s cannot be", s.from, s.to)
		}
		steps = append(steps, s)
	}
	return steps, nil
}
