package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/examples/internal/process"
	"github.com/keyrate/keyrate/examples/internal/verdict"
	"github.com/keyrate/keyrate/ratelimit/plans"
)

// A plan is how much the demo does.
type plan struct {
	changes int           // of one key, at three processes
	inside  int           // of one key, on nodes in this process
	nodes   int           // of these
	large   int           // keys of the large table
	bonus   time.Duration // how long an override lasts
	slower  int           // times the promised time
}

// standard is what -demo does.
var standard = plan{changes: 100, inside: 30, nodes: 50, large: 100_000, bonus: 2 * time.Second, slower: 1}

const (
	nodeCount = 3
	demoTime  = 3 * time.Minute
	patience  = 30 * time.Second // more than anything should take
)

// demo runs it, and prints what held. The error says what did not.
func demo(ctx context.Context, p plan, out io.Writer) (err error) {
	ctx, cancel := context.WithTimeout(ctx, demoTime)
	defer cancel()
	r, err := process.StartRedis(ctx)
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("%w: the demo loses a real Redis; install redis-server", err)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	folder, err := os.MkdirTemp("", "keyrate-fleet-table-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	transport := &http.Transport{MaxIdleConnsPerHost: 10}
	defer transport.CloseIdleConnections()
	s := &stage{redis: r, folder: folder, out: out, plan: p}
	s.Out = &s.lines
	s.anna.client = &http.Client{Transport: transport, Timeout: 10 * time.Second}
	defer func() {
		for _, n := range s.anna.nodes {
			n.End()
		}
	}()
	fmt.Fprintf(out, "%d processes on one Redis share a table of %d keys. An operator changes it at one after another.\n\n", nodeCount, keys)
	return s.play(ctx)
}

// A stage is what the demo acts with.
type stage struct {
	verdict.Verdict // Out is lines

	redis  *process.Redis
	folder string
	out    io.Writer
	lines  strings.Builder // printed in the end
	plan   plan
	anna   anna
	load   load
}

// play does all of it under load.
func (s *stage) play(ctx context.Context) error {
	for i := range nodeCount {
		if err := s.join(ctx, i); err != nil {
			return err
		}
	}
	if err := s.anna.edit(ctx, first); err != nil {
		return err
	}
	if err := s.anna.everywhere(ctx, customer(0), "2000/s"); err != nil {
		return err
	}
	s.load.client = s.anna.client
	calling, stop := context.WithCancel(ctx)
	var callers sync.WaitGroup
	end := sync.OnceFunc(func() {
		stop()
		callers.Wait()
	})
	defer end()
	for i, n := range s.anna.nodes {
		callers.Go(func() { s.load.run(calling, n, i) })
	}
	for _, act := range []func(context.Context) error{s.change, s.block, s.rollBack, s.override, s.lose, s.restore} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	end()
	s.Say(len(s.load.faults) == 0 && s.load.calls > 1000, "none of %d calls failed, and none of %d looks at a table found a mixed or an empty one%s", s.load.calls, s.load.looks, list(s.load.faults))
	if err := s.copy(ctx); err != nil {
		return err
	}
	if err := s.trail(ctx); err != nil {
		return err
	}
	if err := s.inside(ctx); err != nil {
		return err
	}
	fmt.Fprint(s.out, &s.lines)
	return s.Err()
}

// join starts a process.
func (s *stage) join(ctx context.Context, i int) error {
	n, err := startNode(ctx, i, s.redis.URL(), s.folder)
	if err == nil {
		s.anna.nodes = append(s.anna.nodes, n)
	}
	return err
}

// change changes a limit many times.
func (s *stage) change(ctx context.Context) error {
	var took []time.Duration
	for i := 1; i <= s.plan.changes; i++ {
		began := time.Now()
		if err := s.anna.edit(ctx, func(c *plans.TableConfig) { marked(c, i) }); err != nil {
			return err
		}
		if err := s.anna.everywhere(ctx, customer(1), fmt.Sprintf("%d/s", 2000+i)); err != nil {
			return err
		}
		took = append(took, time.Since(began))
	}
	s.quick(took, time.Second, "a limit that was changed at one process held on all %d, over HTTP, with a table of %d keys", nodeCount, keys)
	return nil
}

// block blocks a key, and lifts that.
func (s *stage) block(ctx context.Context) error {
	key, began := customer(0), time.Now()
	if err := s.anna.post(ctx, "/key/block", map[string]any{"key": key, "reason": "a demo"}); err != nil {
		return err
	}
	for _, n := range s.anna.nodes {
		if err := s.until(ctx, n, key, http.StatusForbidden); err != nil {
			return err
		}
	}
	took := time.Since(began)
	s.Say(took < time.Second*time.Duration(s.plan.slower), "a key was blocked everywhere after %v", round(took))
	began = time.Now()
	if err := s.anna.post(ctx, "/key/unblock", map[string]any{"key": key}); err != nil {
		return err
	}
	for _, n := range s.anna.nodes {
		if err := s.until(ctx, n, key, http.StatusOK); err != nil {
			return err
		}
	}
	s.Say(true, "it was served everywhere %v after the block was lifted", round(time.Since(began)))
	return nil
}

// rollBack changes the limit of a key, and rolls that back.
func (s *stage) rollBack(ctx context.Context) error {
	key := customer(0)
	if err := s.anna.set(ctx, key, "1/h"); err != nil {
		return err
	}
	if err := s.anna.everywhere(ctx, key, "1/h"); err != nil {
		return err
	}
	if err := s.noted(ctx, "1/h"); err != nil {
		return err
	}
	changes, err := s.anna.trail(ctx, s.anna.nodes[0])
	if err != nil || len(changes) < 2 {
		return errors.Join(err, errors.New("there is no change to roll back"))
	}
	began := time.Now()
	if err := s.anna.post(ctx, "/table/rollback", map[string]any{"version": changes[1].Version}); err != nil {
		return err
	}
	if err := s.anna.everywhere(ctx, key, fmt.Sprintf("%d/s", 2000+s.plan.changes)); err != nil {
		return err
	}
	s.Say(true, "its limit was changed by mistake, and everywhere what it had been %v after that was rolled back", round(time.Since(began)))
	return nil
}

// until calls a process with a key until the answer is as wanted.
func (s *stage) until(ctx context.Context, n *node, key string, status int) error {
	for end := time.Now().Add(patience); ; {
		got, err := get(ctx, s.anna.client, n, key)
		if err != nil || got == status {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("a process answers %d to %s, not %d", got, key, status)
		}
	}
}

// override gives a key ten times its limit for a time.
func (s *stage) override(ctx context.Context) error {
	key, limit := customer(2), 2000+s.plan.changes
	until := time.Now().Add(s.plan.bonus).Truncate(time.Millisecond)
	if err := s.anna.post(ctx, "/table/override", map[string]any{"key": key, "factor": 10, "until": until}); err != nil {
		return err
	}
	if err := s.anna.everywhere(ctx, key, fmt.Sprintf("%d/s", 10*limit)); err != nil {
		return err
	}
	if !time.Now().Before(until) {
		return errors.New("this machine is too slow for the demo")
	}
	if err := s.anna.everywhere(ctx, key, fmt.Sprintf("%d/s", limit)); err != nil {
		return err
	}
	late := time.Since(until)
	if err := s.noted(ctx, "ended"); err != nil {
		return err
	}
	s.Say(late > -50*time.Millisecond && late < time.Second*time.Duration(s.plan.slower), "an override, 10 times the limit of a key until %s, ended by itself everywhere within %v", until.UTC().Format("15:04:05.000"), round(late))
	return nil
}

// noted waits until the last change of the trail says something.
func (s *stage) noted(ctx context.Context, what string) error {
	for end := time.Now().Add(patience); ; {
		changes, err := s.anna.trail(ctx, s.anna.nodes[0])
		if err != nil || len(changes) > 0 && strings.Contains(strings.Join(changes[0].What, " "), what) {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("the audit trail does not say %q", what)
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}

// lose kills Redis, which comes back empty.
func (s *stage) lose(ctx context.Context) error {
	s.redis.End()
	if err := pause(ctx, time.Second); err != nil {
		return err
	}
	limit := fmt.Sprintf("%d/s", 2000+s.plan.changes)
	if err := s.anna.everywhere(ctx, customer(3), limit); err != nil {
		return err
	}
	if err := s.redis.Again(ctx); err != nil {
		return err
	}
	began := time.Now()
	if err := s.anna.set(ctx, customer(4), "777/s"); err != nil {
		return err
	}
	if err := s.anna.everywhere(ctx, customer(4), "777/s"); err != nil {
		return err
	}
	err := s.anna.everywhere(ctx, customer(3), limit)
	s.Say(err == nil, "without Redis the table stayed in force; Redis came back empty, got the table, and the next change held everywhere %v later", round(time.Since(began)))
	return err
}

// restore lets Redis come back with an old dump.
func (s *stage) restore(ctx context.Context) error {
	client := redis.NewClient(&redis.Options{Addr: s.redis.Address, Protocol: 2, MaxRetries: -1})
	err := client.Save(ctx).Err()
	if err = errors.Join(err, client.Close()); err != nil {
		return err
	}
	if err := s.anna.set(ctx, customer(5), "888/s"); err != nil {
		return err
	}
	if err := s.anna.everywhere(ctx, customer(5), "888/s"); err != nil {
		return err
	}
	s.redis.End()
	if err := s.redis.Again(ctx); err != nil { // it reads the dump
		return err
	}
	began := time.Now()
	if err := s.anna.set(ctx, customer(6), "999/s"); err != nil {
		return err
	}
	err = s.anna.everywhere(ctx, customer(6), "999/s")
	if err == nil {
		err = s.anna.everywhere(ctx, customer(5), "888/s")
	}
	s.Say(err == nil, "Redis was restored from a dump with an older table, got the newer one, and the next change held everywhere %v later", round(time.Since(began)))
	return err
}

// copy starts a process while Redis is down.
func (s *stage) copy(ctx context.Context) error {
	s.redis.End()
	s.anna.nodes[0].End()
	n, err := startNode(ctx, 0, s.redis.URL(), s.folder)
	if err != nil {
		return err
	}
	s.anna.nodes[0] = n
	err = s.anna.everywhere(ctx, customer(6), "999/s")
	s.Say(err == nil, "a process that started while Redis was down had the last table, from its file")
	return errors.Join(err, s.redis.Again(ctx))
}

// trail looks for all of it in the audit trail, at the process that was away.
func (s *stage) trail(ctx context.Context) error {
	for end := time.Now().Add(patience); ; { // the other processes give it back to Redis, one change after the other
		changes, err := s.anna.trail(ctx, s.anna.nodes[0])
		if err != nil {
			return err
		}
		if missing := missing(changes); len(missing) == 0 || time.Now().After(end) {
			s.audit(changes, missing)
			return nil
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// inside measures many nodes, and a large table.
func (s *stage) inside(ctx context.Context) error {
	took, err := inside(ctx, s.redis.URL(), "many", s.plan.nodes, keys, s.plan.inside)
	if err != nil {
		return err
	}
	s.quick(took, time.Second, "on %d nodes in one process, with a table of %d keys", s.plan.nodes, keys)
	took, err = inside(ctx, s.redis.URL(), "large", nodeCount, s.plan.large, 3)
	if err != nil {
		return err
	}
	s.quick(took, 10*time.Second, "on %d nodes in one process, with a table of %d keys", nodeCount, s.plan.large)
	return nil
}
