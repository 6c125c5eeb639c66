package main

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	nodeCount = 4
	// Calls per second, of all processes.
	below = 45_000
	above = 65_000
)

// A fleet is some nodes on one Redis, and what their callers were answered.
type fleet struct {
	nodes    []*node // those that live
	ledgers  []string
	visitors visitors
	start    time.Time // of the load

	mu      sync.Mutex
	losses  int
	samples []sample
}

// startFleet starts the nodes, whose ledgers are in folder.
func startFleet(ctx context.Context, redisURL, folder string, leases bool) (*fleet, error) {
	f := new(fleet)
	for i := range nodeCount {
		n, err := startNode(ctx, i, redisURL, folder, leases)
		if err != nil {
			f.end()
			return nil, err
		}
		f.nodes, f.ledgers = append(f.nodes, n), append(f.ledgers, n.ledger)
	}
	return f, nil
}

// end ends all nodes.
func (f *fleet) end() {
	for _, n := range f.nodes {
		n.End()
	}
}

// hosts returns where the nodes serve.
func (f *fleet) hosts() []string {
	var hosts []string
	for _, n := range f.nodes {
		hosts = append(hosts, n.host)
	}
	return hosts
}

// spread gives each node its part of the calls, as a load balancer does.
func (f *fleet) spread(rate int) error {
	for _, n := range f.nodes {
		if err := n.call(rate / len(f.nodes)); err != nil {
			return err
		}
	}
	return nil
}

// kill ends the last node in the middle of what it does, and returns when. The others get its
// calls.
func (f *fleet) kill() (time.Time, error) {
	last := len(f.nodes) - 1
	f.nodes[last].End()
	f.nodes = f.nodes[:last]
	return time.Now(), f.spread(above)
}

// lose counts a loss of Redis' data that begins now.
func (f *fleet) lose() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.losses++
}

// look takes a sample.
func (f *fleet) look() (s sample, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, file := range f.ledgers {
		t, err := readLedger(file)
		if err != nil {
			return s, err
		}
		s.all.add(&t)
	}
	s.admitted = s.all[admitted] + f.visitors.sum()
	s.at, s.losses = time.Since(f.start), f.losses
	f.samples = append(f.samples, s)
	return s, nil
}

// taken returns the samples until now.
func (f *fleet) taken() []sample {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.samples)
}

// under runs part while all callers and visitors call.
func (f *fleet) under(ctx context.Context, client *http.Client, url string, part func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var working sync.WaitGroup
	defer working.Wait()
	defer cancel(nil)
	f.start = time.Now()
	working.Go(func() { f.visitors.run(ctx, client, url, hotKey) })
	working.Go(func() {
		for pause(ctx, 100*time.Millisecond) == nil {
			if _, err := f.look(); err != nil {
				cancel(err)
			}
		}
	})
	return part(ctx)
}

// part makes the callers call so often for so long.
func (f *fleet) part(ctx context.Context, rate int, lasts time.Duration, redisAddress string) (p part, err error) {
	before, err := costOf(ctx, redisAddress)
	if err != nil {
		return p, err
	}
	if p.from, err = f.look(); err != nil {
		return p, err
	}
	if err := f.spread(rate); err != nil {
		return p, err
	}
	if err := pause(ctx, lasts); err != nil {
		return p, err
	}
	if p.to, err = f.look(); err != nil {
		return p, err
	}
	after, err := costOf(ctx, redisAddress)
	p.cost = cost{after.trips - before.trips, after.cpu - before.cpu}
	return p, err
}

// pause waits. The error is the reason for which ctx has ended.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
