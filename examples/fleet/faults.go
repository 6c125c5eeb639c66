package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/keyrate/keyrate/examples/internal/process"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

const (
	// ownKey is called on one node only, so that only this node leases its tokens.
	ownKey = "own"
	// holdTime is how long Redis keeps at most what a node holds that is gone.
	holdTime = 2 * time.Second
)

// Faults are what happened to a fleet.
type faults struct {
	killed time.Time     // when a process was
	held   int           // tokens of the own key, just before
	still  time.Duration // when some of them were last seen to be held, after the kill
	free   time.Duration // when none was
	parts  []part
}

// happen kills a node and then Redis, which comes back empty.
func (s *faults) happen(ctx context.Context, p plan, f *fleet, r *process.Redis, out io.Writer) error {
	watcher, err := newAPI(options{redis: r.URL(), secret: secret, nodes: nodeCount, timeout: decisionTime}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer watcher.close()
	if err := s.own(ctx, f, watcher.limiter); err != nil {
		return err
	}
	last, err := f.look()
	if err != nil {
		return err
	}
	for _, next := range []struct {
		name  string
		lasts time.Duration
		begin func() error
	}{
		{"three processes", p.dead, func() error { return s.watch(ctx, watcher.limiter) }},
		{"no Redis", p.down, func() error { f.lose(); r.End(); return nil }},
		{"Redis is back, empty", p.back, func() error { return r.Again(ctx) }},
	} {
		fmt.Fprintf(out, ", %s %v", next.name, next.lasts)
		begin := time.Now()
		if err := next.begin(); err != nil {
			return err
		}
		if err := pause(ctx, next.lasts-time.Since(begin)); err != nil {
			return err
		}
		now, err := f.look()
		if err != nil {
			return err
		}
		s.parts = append(s.parts, part{name: next.name, from: last, to: now})
		last = now
	}
	return nil
}

// own calls the key of the last node over HTTP until that has leased tokens, and kills the node.
func (s *faults) own(ctx context.Context, f *fleet, limiter *ratelimit.Limiter) (err error) {
	var v visitors
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: visitorCount}}
	defer client.CloseIdleConnections()
	calling, stop := context.WithCancel(ctx)
	var visiting sync.WaitGroup
	defer visiting.Wait()
	defer stop()
	visiting.Go(func() { v.run(calling, client, "http://"+f.nodes[len(f.nodes)-1].host+"/", ownKey) })
	for begin := time.Now(); time.Since(begin) < 5*time.Second; {
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return err
		}
		if n, ok := heldBy(ctx, limiter); ok && n > 0 && time.Since(begin) > 500*time.Millisecond {
			s.held = n
			s.killed, err = f.kill()
			return err
		}
	}
	return fmt.Errorf("the process leases nothing of the key that it alone serves; over HTTP: %d admitted, %v", v.sum(), v.errors())
}

// watch looks at what the killed process holds until that is nothing.
func (s *faults) watch(ctx context.Context, limiter *ratelimit.Limiter) error {
	for s.free == 0 && time.Since(s.killed) < 2*holdTime {
		asked := time.Since(s.killed)
		switch n, ok := heldBy(ctx, limiter); {
		case ok && n == 0:
			s.free = time.Since(s.killed)
		case ok:
			s.still = asked
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// heldBy returns how many tokens of the own key are held. It is not ok if Redis has not answered.
func heldBy(ctx context.Context, limiter *ratelimit.Limiter) (n int, ok bool) {
	r, err := limiter.Peek(ctx, ownKey)
	if err != nil || r.Source() != store.FromStore {
		return 0, false
	}
	return r.State(0).Held, true
}
