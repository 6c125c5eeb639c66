package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/keyrate/keyrate/examples/internal/serve"
	"github.com/keyrate/keyrate/ratelimit/plans/file"
)

//go:embed limits.yaml
var limitsYAML string

const (
	callsPerSecond = 500
	phaseLength    = 2 * time.Second
	mostPatience   = 30 * time.Second // for an edit to be seen at all
)

var (
	plans   = []string{"gold", "silver", "trial"}
	members = []string{"gold-1", "silver-1", "trial-1", "gold-2", "silver-2", "trial-2"}
)

// A phase is a time in which one content of the file is in force.
type phase struct {
	perSecond    map[string]int // the limit of each key, by plan
	saved, begun time.Time      // when the file was saved, and when it was reported in force
	ended        time.Time
}

// newPhases are the limits that the demo puts into the file, one after the other.
func newPhases() []*phase {
	return []*phase{
		{perSecond: map[string]int{"gold": 20, "silver": 10, "trial": 5}}, // as limits.yaml has it
		{perSecond: map[string]int{"gold": 40, "silver": 5, "trial": 8}},
		{perSecond: map[string]int{"gold": 30, "silver": 20, "trial": 4}},
	}
}

// text is the file with the limits of a phase.
func (p *phase) text() (string, error) {
	text := limitsYAML
	for plan, before := range newPhases()[0].perSecond {
		from, to := fmt.Sprintf("%s: %d/s\n", plan, before), fmt.Sprintf("%s: %d/s\n", plan, p.perSecond[plan])
		if strings.Count(text, from) != 1 {
			return "", fmt.Errorf("limits.yaml has not one line %q", from)
		}
		text = strings.Replace(text, from, to, 1)
	}
	return text, nil
}

// A demonstration edits a copy of limits.yaml while the API is called.
type demonstration struct {
	path   string
	out    io.Writer
	events chan file.Event
	phases []*phase
}

// demo serves the API on a port of its own, calls it, edits its limits meanwhile, and prints
// what was admitted. The error says what was not as it must be.
func demo(ctx context.Context, out io.Writer) (r report, err error) {
	dir, err := os.MkdirTemp("", "perkey")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	d := &demonstration{path: filepath.Join(dir, "limits.yaml"), out: out, events: make(chan file.Event, 100), phases: newPhases()}
	if err := os.WriteFile(d.path, []byte(limitsYAML), 0o600); err != nil {
		return r, err
	}
	printEvent := printTo(log.New(out, "", log.Ltime|log.Lmicroseconds))
	limits, err := file.Open(d.path, file.Config{OnReload: func(e file.Event) {
		d.events <- e
		printEvent(e)
	}})
	if err != nil {
		return r, err
	}
	api, err := newAPI(limits)
	if err != nil {
		return r, err
	}
	fmt.Fprintf(out, "%d calls per second, of two keys of each plan, while %s is edited\n\n", callsPerSecond, filepath.Base(d.path))
	var answers []answer
	err = serve.Demo(ctx, api, func(ctx context.Context, url string, _ *http.Client) error {
		defer watch(ctx, limits)()
		l := load{url: url, keys: members, rate: callsPerSecond}
		calling, stopCalling := context.WithCancel(ctx)
		var loading sync.WaitGroup
		loading.Go(func() { answers = l.run(calling) })
		err := d.edit(ctx)
		stopCalling()
		loading.Wait()
		return err
	})
	if err != nil {
		return r, err
	}
	r = count(d.phases, answers)
	r.print(out)
	return r, r.verdict()
}

// edit saves the limits of one phase after the other, and a file that is broken.
func (d *demonstration) edit(ctx context.Context) error {
	if err := pause(ctx, phaseLength); err != nil {
		return err
	}
	// As an editor that writes in place.
	if err := d.save(ctx, 1, func(text string) error { return os.WriteFile(d.path, []byte(text), 0o600) }); err != nil {
		return err
	}
	if err := pause(ctx, phaseLength/2); err != nil {
		return err
	}
	if err := os.WriteFile(d.path, []byte("default: 2/s\nplans:\n\tgold: 1/s\n"), 0o600); err != nil {
		return err
	}
	if e, err := d.event(ctx); err != nil || e.Err == nil {
		return errors.Join(err, errors.New("a broken file was reported as usable"))
	}
	if err := pause(ctx, phaseLength/2); err != nil {
		return err
	}
	// As an editor that writes another file and renames it.
	if err := d.save(ctx, 2, func(text string) error {
		if err := os.WriteFile(d.path+".tmp", []byte(text), 0o600); err != nil {
			return err
		}
		return os.Rename(d.path+".tmp", d.path)
	}); err != nil {
		return err
	}
	if err := pause(ctx, phaseLength); err != nil {
		return err
	}
	d.phases[2].ended = time.Now()
	return nil
}

// save writes the limits of a phase, and waits for the event that says that they are in force.
func (d *demonstration) save(ctx context.Context, number int, write func(string) error) error {
	p := d.phases[number]
	text, err := p.text()
	if err != nil {
		return err
	}
	if err := write(text); err != nil {
		return err
	}
	p.saved = time.Now()
	e, err := d.event(ctx)
	if err := errors.Join(err, e.Err); err != nil {
		return err
	}
	p.begun = e.InForce.Since
	d.phases[number-1].ended = p.begun
	return nil
}

// event waits for the next one.
func (d *demonstration) event(ctx context.Context) (file.Event, error) {
	select {
	case e := <-d.events:
		return e, nil
	case <-time.After(mostPatience):
		return file.Event{}, fmt.Errorf("the file was saved, and no event came in %v", mostPatience)
	case <-ctx.Done():
		return file.Event{}, ctx.Err()
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
