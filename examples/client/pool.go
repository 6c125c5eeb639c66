package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/keyrate/keyrate/middleware/transport"
)

// counts is what became of the calls of all workers.
type counts struct {
	served, failed int
	least, most    int // calls that were served for one worker
	took           time.Duration
}

// call lets the workers make the calls: each takes the next one that no worker has begun.
// A call that is denied in the end has failed; any other fault is an error.
func call(ctx context.Context, client *http.Client, o options) (counts, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	calls := make(chan struct{}, o.calls)
	for range o.calls {
		calls <- struct{}{}
	}
	close(calls)

	key, begin := rand.Text(), time.Now()
	served, failed := make([]int, o.workers), make([]int, o.workers)
	var all sync.WaitGroup
	for worker := range o.workers {
		all.Go(func() {
			for range calls {
				switch ok, err := get(ctx, client, o.url, key); {
				case err != nil:
					cancel(err) // ends the others as well
					return
				case ok:
					served[worker]++
				default:
					failed[worker]++
				}
			}
		})
	}
	all.Wait()
	if err := context.Cause(ctx); err != nil {
		return counts{}, err
	}
	c := counts{least: slices.Min(served), most: slices.Max(served), took: time.Since(begin)}
	for worker := range o.workers {
		c.served += served[worker]
		c.failed += failed[worker]
	}
	return c, nil
}

// get makes one call, and returns false if it was denied.
func get(ctx context.Context, client *http.Client, url, key string) (bool, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false, err
	}
	r.Header.Set("X-API-Key", key)
	response, err := client.Do(r)
	if _, late := errors.AsType[*transport.WaitError](err); late {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return false, err
	}
	switch {
	case response.StatusCode == http.StatusTooManyRequests:
		return false, nil
	case response.StatusCode >= 300:
		return false, fmt.Errorf("status %d instead of 200 or 429", response.StatusCode)
	}
	return true, nil
}
