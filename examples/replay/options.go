package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/keyrate/keyrate/examples/internal/serve"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/replay"
)

type options struct {
	files    []string
	config   replay.Config // without the table
	plans    string        // file
	limits   []*ratelimit.Policy
	tables   []string // files
	bursts   []ratelimit.Limit
	suggest  string
	period   time.Duration
	perMille int
	svg, png string
	demo     bool
	now      time.Time // later requests are worth a note
}

func parse(args []string, stderr io.Writer) (options, error) {
	o := options{period: time.Minute, perMille: 999, now: time.Now()}
	flags := serve.NewFlags("replay", "-limit 5/s", stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, "usage: replay [flags] FILE ...\nFILE is an access log, packed by gzip or not, or - for standard input\n\n")
		flags.PrintDefaults()
	}
	flags.Func("format", "`format` of the files: common (and combined), json (an object in each line) or csv; without it, json for files that begin with { and common for others", func(s string) error {
		o.config.Format = replay.Format(s)
		return nil
	})
	flags.StringVar(&o.config.Key, "key", "", "`field` with the key: host, user or a number from 1 in common; names with dots between in json; a column or a number in csv (default host in common, otherwise key)")
	flags.StringVar(&o.config.Time, "time", "", "`field` with the time: as in common, RFC 3339, or a number since 1970 (default time)")
	flags.StringVar(&o.config.Cost, "cost", "", "`field` with the cost in tokens; without it, each request costs 1")
	flags.StringVar(&o.config.Plan, "plan", "", "`field` with the name of the key's plan")
	flags.BoolVar(&o.config.Spread, "spread", false, "spread the requests of a key in one whole second evenly over it, for logs with whole seconds")
	flags.StringVar(&o.plans, "plans", "", "JSON `file` of limits whose members say which plan a key has")
	flags.Func("limit", "`limit` to try, such as 5/s or '10/s, 500/h;name=hourly'; may be repeated", func(s string) error {
		p, err := ratelimit.ParsePolicy(s)
		o.limits = append(o.limits, p)
		if err == nil {
			err = replay.Check(p)
		}
		return err
	})
	flags.Func("limits", "JSON `file` of limits to try; may be repeated", func(s string) error {
		o.tables = append(o.tables, s)
		return nil
	})
	flags.Func("burst", "`rate`, such as 5/s, for which to find the smallest burst; may be repeated", func(s string) error {
		l, err := ratelimit.ParseLimit(s)
		if err == nil && l != (ratelimit.Limit{Rate: l.Rate, Period: l.Period}) {
			err = errors.New("must be a rate alone, such as 5/s")
		}
		o.bursts = append(o.bursts, l)
		return err
	})
	flags.StringVar(&o.suggest, "suggest", "", "write suggested limits into this new JSON `file`, as shadow limits: they are watched and deny nothing")
	flags.Func("period", "`period` of suggested limits: 1s, 1m, 1h or 1d (default 1m)", func(s string) (err error) {
		o.period, err = readPeriod(s)
		return err
	})
	flags.Func("share", "`percentage` of keys to which suggested limits deny nothing, in tenths (default 99.9)", func(s string) (err error) {
		o.perMille, err = readShare(s)
		return err
	})
	flags.StringVar(&o.svg, "svg", "", "draw the result into this `file`.svg, in place of what is there")
	flags.StringVar(&o.png, "png", "", "draw the result into this `file`.png, in place of what is there")
	flags.BoolVar(&o.demo, "demo", false, "make a log with known answers, and find them")
	if err := flags.FlagSet.Parse(args); err != nil {
		return o, err
	}
	o.files = flags.Args()
	if err := o.check(flags); err != nil {
		fmt.Fprintln(stderr, err)
		flags.Usage()
		return o, err
	}
	return o, nil
}

// check reports flags that do not go together.
func (o options) check(flags *serve.Flags) error {
	for name, file := range map[string]string{"svg": o.svg, "png": o.png} {
		if file != "" && !strings.EqualFold(filepath.Ext(file), "."+name) { // -svg access.log* must not draw over a log
			return fmt.Errorf("flag -%s is %q: must end in .%s, so that the picture replaces no log", name, file, name)
		}
	}
	if o.demo {
		var other []string
		flags.Visit(func(f *flag.Flag) {
			if f.Name != "demo" && f.Name != "svg" && f.Name != "png" {
				other = append(other, "-"+f.Name)
			}
		})
		if len(other)+len(o.files) > 0 {
			return errors.New("-demo makes a log of its own: leave out all files and flags but -svg and -png")
		}
		return nil
	}
	switch {
	case len(o.files) == 0:
		return errors.New("there is no log: name a file, - for standard input, or use -demo")
	case o.config.Plan != "" && o.plans != "":
		return errors.New("flags -plan and -plans both say which plan a key has: leave one out")
	case o.suggest == "" && flags.Given("period", "share"):
		return errors.New("flags -period and -share are for -suggest: add that")
	case o.suggest != "" && (o.suggest == o.svg || o.suggest == o.png):
		return fmt.Errorf("flag -suggest is %q, which is a picture: name another file", o.suggest)
	}
	_, err := replay.NewReader(o.config)
	return inFlags(err)
}

// fieldFlags replaces the fields of a replay.Config by the flags that set them.
var fieldFlags = strings.NewReplacer("replay: ", "", "field Config.Format", "flag -format", "field Config.Key", "flag -key", "field Config.Time", "flag -time", "field Config.Cost", "flag -cost", "field Config.Plan", "flag -plan",
	"Config.Format", "-format", "Config.Time", "-time")

// inFlags returns an error of package replay in the words of this program.
func inFlags(err error) error {
	if err == nil {
		return nil
	}
	return errors.New(fieldFlags.Replace(err.Error()))
}

// periods are those for which the smallest rates are found.
var periods = []time.Duration{time.Second, time.Minute, time.Hour, 24 * time.Hour}

func readPeriod(s string) (time.Duration, error) {
	for _, p := range periods {
		if l, err := ratelimit.ParseLimit("1/" + s); err == nil && l.Period == p {
			return p, nil
		}
	}
	return 0, errors.New("must be 1s, 1m, 1h or 1d")
}

// readShare reads a percentage as thousandths.
func readShare(s string) (int, error) {
	whole, tenths, _ := strings.Cut(s, ".")
	n, err := strconv.ParseUint(whole+(tenths + "0")[:1], 10, 16)
	if err != nil || len(tenths) > 1 || n < 1 || n > 1000 {
		return 0, errors.New("must be a percentage from 0.1 to 100 with at most one decimal, such as 99.9")
	}
	return int(n), nil
}
