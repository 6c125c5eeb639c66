package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store/redisstore"
	"github.com/keyrate/keyrate/store/redisstore/table"
)

// inside measures how long changes take until they are in force on nodes in this process, from the
// call to the last node.
func inside(ctx context.Context, redisURL, prefix string, nodes, keys, changes int) (took []time.Duration, err error) {
	client, err := redisstore.NewClient(redisURL + "?timeout=5s")
	if err != nil {
		return nil, err
	}
	defer client.Close()
	initial := plans.TableConfig{Default: must("5/s"), Plans: map[string]*ratelimit.Policy{"gold": must("50/s")}, Members: map[string]string{}}
	for i := range keys {
		initial.Members[customer(i)] = "gold"
	}
	var all []*table.Table
	inForce := make([]atomic.Int64, nodes)
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	for i := range nodes {
		t, err := table.New(client, initial, table.Config{Prefix: prefix, OnEvent: func(e table.Event) { inForce[i].Store(e.Version) }})
		if err != nil {
			return nil, err
		}
		all = append(all, t)
		running.Go(func() { _ = t.Run(ctx) }) // its error is that of the context
	}
	for i := range changes + 1 {
		at := all[i%nodes]
		began := time.Now()
		err := at.Change(ctx, "demo", func(c *plans.TableConfig) error {
			hash := ratelimit.HashKey(customer(i % keys))
			delete(c.Members, hash)
			if c.Keys == nil {
				c.Keys = map[string]*ratelimit.Policy{}
			}
			c.Keys[hash] = must(fmt.Sprintf("%d/m", 1000+i))
			return nil
		})
		if err != nil {
			return nil, err
		}
		version := at.Status().Version
		for n := range inForce {
			for inForce[n].Load() < version {
				if time.Since(began) > patience {
					return nil, fmt.Errorf("node %d of %d does not have version %d: %+v", n, nodes, version, all[n].Status())
				}
				if err := pause(ctx, time.Millisecond); err != nil {
					return nil, err
				}
			}
		}
		if i > 0 { // the first one waits until the fleet has settled
			took = append(took, time.Since(began))
		}
	}
	return took, nil
}
