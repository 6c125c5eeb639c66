package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/keyrate/keyrate/examples/internal/process"
	"github.com/keyrate/keyrate/examples/internal/serve"
)

// A plan is how the demo runs.
type plan struct {
	rules string        // the folder with grafana.json and alerts.yaml
	every time.Duration // between two scrapes
	embed bool          // a Redis, even if there is a redis-server
}

// interval is what a scrape counts as. The demo scrapes once a second, so that an alert that waits for ten
// minutes fires within half a minute.
const interval = 30 * time.Second

// A phase is a time in which clients and Redis do one thing.
type phase struct {
	name       string
	begin, end time.Time // its first and last scrape, in the time of the graphs
}

// A show is a demo that runs.
type show struct {
	plan
	out      io.Writer
	secret   string // of the operators
	url      string
	client   *http.Client
	redis    *process.Database
	reader   *sdkmetric.ManualReader
	load     *load
	recorded *recording
	scraped  map[string]number // at last
	panels   []*panel
	alerts   []*alert
	phases   []*phase
	scrapes  int
}

// demo serves the API, calls it, attacks it, kills its Redis, and prints what the dashboard and the alerts
// show of that. The error says what they missed.
func demo(ctx context.Context, p plan, out io.Writer) (err error) {
	s := &show{plan: p, out: out, secret: strings.ToLower(rand.Text()), reader: sdkmetric.NewManualReader(), recorded: newRecording()}
	defer func() { err = errors.Join(err, s.recorded.engine.Close()) }()
	if s.panels, err = readPanels(p.rules); err != nil {
		return fmt.Errorf("flag -rules: %w", err)
	}
	if s.alerts, err = readAlerts(p.rules); err != nil {
		return fmt.Errorf("flag -rules: %w", err)
	}
	fmt.Fprintf(out, "/metrics is scraped every %v, and a scrape counts as %v: the graphs run %.0f times as fast.\n", p.every, interval, interval.Seconds()/p.every.Seconds())
	if s.redis, err = process.StartDatabase(ctx, p.embed, out); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.redis.Close()) }()
	a, err := newAPI(setup{redis: s.redis.URL(), operator: s.secret, reader: s.reader, logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	return serve.Demo(ctx, a, func(ctx context.Context, url string, client *http.Client) error {
		s.url, s.client, s.load = url, client, &load{url: url, client: client, count: make(map[int]int)}
		fmt.Fprintf(out, "Open %slimits/ in a browser meanwhile: the password is %s\n", url, s.secret)
		if err := s.play(ctx); err != nil {
			return err
		}
		top, err := s.denied(ctx)
		if err != nil {
			return err
		}
		return s.judge(ctx, top)
	})
}

// play runs the phases.
func (s *show) play(ctx context.Context) error {
	var loading sync.WaitGroup
	defer loading.Wait()
	calling, stop := context.WithCancel(ctx)
	defer stop()
	loading.Go(func() { s.load.run(calling, usual) })
	if err := s.phase(ctx, "calm", "seven keys stay within their limits", 10, 10, nil); err != nil {
		return err
	}

	attacking, end := context.WithCancel(calling)
	defer end()
	loading.Go(func() { s.load.run(attacking, attack) })
	if err := s.phase(ctx, "attack", "one key floods, others send no key, or two, or guess the operators' secret", 10, 60, func() bool {
		return s.fires("KeyrateManyDenied") && s.fires("KeyrateNoKey")
	}); err != nil {
		return err
	}
	end()

	s.redis.End()
	if err := s.phase(ctx, "outage", "the attack ends, and Redis is killed", 5, 40, func() bool {
		return s.fires("KeyrateStoreDown") && s.fires("KeyrateDecidedByShare")
	}); err != nil {
		return err
	}

	if err := s.redis.Again(ctx); err != nil {
		return err
	}
	return s.phase(ctx, "return", "Redis is back, empty", 5, 30, func() bool {
		return s.scraped[`{__name__="keyrate_store_available", part="shared"}`].value == 1 && !s.fires("KeyrateStoreDown") && !s.fires("KeyrateDecidedByShare")
	})
}

// phase scrapes until a condition holds, within bounds of scrapes; nil is none.
func (s *show) phase(ctx context.Context, name, does string, atLeast, atMost int, until func() bool) error {
	fmt.Fprintf(s.out, "\n%5v  %s: %s\n", s.clock(), name, does)
	p := &phase{name: name}
	s.phases = append(s.phases, p)
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if err := s.scrape(ctx, p); err != nil {
			return err
		}
		if n >= atMost || n >= atLeast && (until == nil || until()) {
			return nil
		}
	}
}

// scrape records what the API shows, and evaluates the alerts.
func (s *show) scrape(ctx context.Context, p *phase) error {
	if err := s.read(ctx); err != nil {
		return err
	}
	s.scrapes++
	p.end = s.recorded.now
	if p.begin.IsZero() {
		p.begin = p.end
	}
	for _, a := range s.alerts {
		before := a.firing
		began, err := a.evaluate(ctx, s.recorded, p.name)
		if err != nil {
			return err
		}
		for _, with := range began {
			fmt.Fprintf(s.out, "%5v    %s fires %s\n", s.clock(), a.Alert, labels.NewBuilder(with).Del("job", model.MetricNameLabel).Labels())
		}
		if before && !a.firing {
			fmt.Fprintf(s.out, "%5v    %s has ended\n", s.clock(), a.Alert)
		}
	}
	return nil
}

// clock returns how long the demo has run, by its scrapes.
func (s *show) clock() time.Duration { return time.Duration(s.scrapes) * s.every }

// fires reports whether an alert fires.
func (s *show) fires(name string) bool {
	for _, a := range s.alerts {
		if a.Alert == name {
			return a.firing
		}
	}
	return false
}

// read scrapes the API.
func (s *show) read(ctx context.Context) error {
	text, err := s.get(ctx, "metrics")
	if err != nil {
		return err
	}
	if s.scraped, err = parseScrape(text); err != nil {
		return err
	}
	s.recorded.add(s.scraped)
	return nil
}

// get asks the API as an operator.
func (s *show) get(ctx context.Context, path string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+s.secret)
	response, err := s.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET /%s: %s", path, response.Status)
	}
	return io.ReadAll(response.Body)
}
