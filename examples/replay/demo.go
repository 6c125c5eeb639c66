package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/keyrate/keyrate/examples/internal/verdict"
	"github.com/keyrate/keyrate/ratelimit"
)

// demo makes a log with known answers in two files, finds them, and enforces what is suggested on the
// same log.
func demo(ctx context.Context, o options, stdout io.Writer) (err error) {
	folder, err := os.MkdirTemp("", "keyrate-replay-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	made := newSynthetic()
	if o.files, err = made.files(folder); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "In the log %d clients make up to %d requests in a second, %d make %d, and one makes %d.\n\n", people, perPerson, crawlers, perCrawler, perScript)
	suggested := filepath.Join(folder, "limits.json")
	o.now = made.requests[len(made.requests)-1].at.Add(time.Hour)
	o.period, o.perMille, o.suggest = time.Second, allowedWithCrawlers, suggested
	for _, n := range []int{perPerson, perCrawler} {
		policy, err := ratelimit.NewPolicy(ratelimit.PerSecond(n))
		if err != nil {
			return err
		}
		o.limits = append(o.limits, policy)
	}
	first, err := newSession(ctx, o, strings.NewReader(""), io.Discard)
	if err != nil {
		return err
	}
	first.print(stdout)
	if err := first.write(stdout); err != nil {
		return err
	}
	text, err := os.ReadFile(suggested)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "\n%s\n", text)

	o.limits, o.tables, o.suggest, o.svg, o.png = nil, []string{suggested}, "", "", ""
	again, err := newSession(ctx, o, strings.NewReader(""), io.Discard)
	if err != nil {
		return err
	}
	return made.verdict(first, again, stdout)
}

// files writes the log into a folder, half of it packed.
func (s *synthetic) files(folder string) (names []string, err error) {
	half := len(s.requests) / 2
	for _, part := range []struct {
		name  string
		write func(io.Writer) error
	}{
		{"access.log.1.gz", func(w io.Writer) error { return s.writePacked(w, s.requests[:half]) }},
		{"access.log", func(w io.Writer) error { return s.write(w, s.requests[half:], brokenLines) }},
	} {
		name := filepath.Join(folder, part.name)
		file, err := os.Create(name)
		if err != nil {
			return nil, err
		}
		if err := errors.Join(part.write(file), file.Close()); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

// verdict prints what held. First has the limits for people and for crawlers, again the suggested ones.
func (s *synthetic) verdict(first, again *session, stdout io.Writer) error {
	v := verdict.Verdict{Out: stdout}
	summary := first.log.Summary()
	v.Say(summary.Requests == int64(len(s.requests)) && summary.BrokenLines == brokenLines && summary.Keys == clients,
		"the log was read: %s requests of %s keys in two files, and %d broken lines", grouped(summary.Requests), grouped(int64(summary.Keys)), summary.BrokenLines)
	most, _ := first.rates[0].plans[0].Smallest(allowedPeople)
	more, _ := first.rates[0].plans[0].Smallest(allowedWithCrawlers)
	v.Say(most == perPerson && more == perCrawler, "99 %% of keys need %d/s and 99.9 %% need %d/s, as the log was made", most, more)
	v.Say(first.candidates[0].KeysDenied == crawlers+1 && first.candidates[1].KeysDenied == 1, "%s denies the crawlers and the script, %s the script", first.candidates[0].name, first.candidates[1].name)
	// Of 100 in each of 60 seconds, a bucket of 20 admits those that come back in it.
	v.Say(first.candidates[1].Denied == 60*(perScript-perCrawler), "%s denies %s of its 6,000 requests", first.candidates[1].name, grouped(first.candidates[1].Denied))
	promised := first.rates[0].plans[0].Denied(perCrawler)
	v.Say(again.candidates[0].KeysDenied == promised, "the suggested limits, enforced on the same log, deny %d of 1,000 keys, as promised", again.candidates[0].KeysDenied)
	return v.Err()
}
