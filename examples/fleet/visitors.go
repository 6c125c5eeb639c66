package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/keyrate/keyrate/examples/internal/serve"
	"github.com/keyrate/keyrate/middleware"
)

const (
	visitorCount = 4
	visitorPause = 10 * time.Millisecond // between the calls of one visitor
)

// The visitors call over HTTP.
type visitors struct {
	mu       sync.Mutex
	admitted int
	denied   int
	other    []string // statuses and errors
	denial   string   // the last one
	unclear  int      // answers without the headers of a limit
}

// run makes calls with a key until ctx ends.
func (v *visitors) run(ctx context.Context, client *http.Client, url, key string) {
	var all sync.WaitGroup
	for range visitorCount {
		all.Go(func() {
			for ctx.Err() == nil {
				answer, err := serve.Get(context.WithoutCancel(ctx), client, url, key)
				v.enter(answer, err)
				time.Sleep(visitorPause)
			}
		})
	}
	all.Wait()
}

// enter counts an answer.
func (v *visitors) enter(answer serve.Answer, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	const remaining, wait = "X-Rate-Limit-Remaining", "Retry-After"
	switch {
	case err != nil:
		v.other = append(v.other, err.Error())
	case answer.Code == http.StatusOK:
		v.admitted++
		if answer.Header.Get(remaining) == "" {
			v.unclear++
		}
	case answer.Code == http.StatusTooManyRequests:
		v.denied++
		v.denial = fmt.Sprintf("%s, %s: %s, %s: %s ms", answer.Status, wait, answer.Header.Get(wait), middleware.HeaderRetryAfterMs, answer.Header.Get(middleware.HeaderRetryAfterMs))
		if answer.Header.Get(remaining) == "" || answer.Header.Get(wait) == "" {
			v.unclear++
		}
	default:
		v.other = append(v.other, answer.Status)
	}
}

// sum returns how many calls were admitted until now.
func (v *visitors) sum() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.admitted
}

// errors returns the answers that are neither 200 nor 429.
func (v *visitors) errors() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.other
}
