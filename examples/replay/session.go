package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/ratelimit/replay"
)

// A session is a log with all that was asked of it.
type session struct {
	options    options
	log        *replay.Log
	candidates []candidate
	rates      []demands // of periods
	bursts     []demands // of -burst
}

// A candidate is a limit, or a table of limits, and what it would have done.
type candidate struct {
	name string
	replay.Outcome
}

// A demands is what the keys of each plan need of a limit whose rate or burst is left open.
type demands struct {
	open  func(n int) ratelimit.Limit
	plans []replay.Demand
}

func newSession(ctx context.Context, o options, stdin io.Reader, stderr io.Writer) (*session, error) {
	s := &session{options: o}
	names, limits, err := candidates(o)
	if err != nil {
		return nil, err
	}
	if o.plans != "" {
		if o.config.Table, err = readTable(o.plans); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(checkLogs(o.files), checkOutputs(o)); err != nil {
		return nil, err
	}
	if s.log, err = readLog(ctx, o.config, o.files, stdin, stderr); err != nil {
		return nil, err
	}
	outcomes, err := s.log.Replay(ctx, limits...)
	if err != nil {
		return nil, err
	}
	for i, outcome := range outcomes {
		s.candidates = append(s.candidates, candidate{names[i], outcome})
	}
	for _, period := range periods {
		d := demands{open: func(n int) ratelimit.Limit { return ratelimit.Limit{Rate: n, Period: period} }}
		if d.plans, err = s.log.Rates(period); err != nil {
			return nil, err
		}
		s.rates = append(s.rates, d)
	}
	for _, l := range o.bursts {
		d := demands{open: l.WithBurst}
		if d.plans, err = s.log.Bursts(l.Rate, l.Period); err != nil {
			return nil, err
		}
		s.bursts = append(s.bursts, d)
	}
	return s, nil
}

// incomplete returns an error if the results are of a part of the log.
func (s *session) incomplete() error {
	all := s.log.Summary()
	damaged := damagedFiles(all)
	if len(damaged) == 0 {
		return nil
	}
	return fmt.Errorf("damaged files: %d of %d, the first is %s: the results are of what could be read, so replace it or leave it out", len(damaged), len(all.Files), damaged[0].Name)
}

// candidates returns those of the flags, and their names.
func candidates(o options) (names []string, limits []ratelimit.Limits, err error) {
	for _, p := range o.limits {
		names, limits = append(names, p.String()), append(limits, p)
	}
	for _, file := range o.tables {
		table, err := readTable(file)
		if err != nil {
			return nil, nil, err
		}
		names, limits = append(names, file), append(limits, table)
	}
	return names, limits, nil
}

// readTable reads a file of limits.
func readTable(name string) (*plans.Table, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	c, err := plans.ReadTableConfig(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	table, err := plans.NewTable(c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return table, nil
}

// write writes the files that were asked for, and prints what is suggested.
func (s *session) write(stdout io.Writer) error {
	if s.options.svg != "" || s.options.png != "" {
		if err := s.draw(s.options.svg, s.options.png); err != nil {
			return err
		}
	}
	if s.options.suggest == "" {
		return nil
	}
	c, promises, err := s.log.Suggest(s.options.period, s.options.perMille)
	if err != nil {
		return err
	}
	text, err := c.MarshalJSON()
	if err != nil {
		return err
	}
	// It may hold keys of -plans, and must not take the place of limits that are in force.
	file, err := os.OpenFile(s.options.suggest, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	printPromises(stdout, s.options, promises)
	return nil
}
