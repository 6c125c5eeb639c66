package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/keyrate/keyrate/middleware"
)

// An answer is what one call was answered.
type answer struct {
	key      string
	sent     time.Time
	done     time.Time
	admitted bool
	limit    string // the burst of the limit that decided, which tells one edit from another
	err      error  // of a call that got neither 200 nor 429
}

// A load calls an API with many keys in turn, so often a second, whatever is answered.
type load struct {
	url  string
	keys []string
	rate int

	mu      sync.Mutex
	answers []answer
}

// run calls until ctx ends, and returns when all calls are answered.
func (l *load) run(ctx context.Context) []answer {
	transport := &http.Transport{MaxIdleConns: 200, MaxIdleConnsPerHost: 200}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	var calls sync.WaitGroup
	begun := time.Now()
	for i := 0; ctx.Err() == nil; i++ {
		// Each call has its time: what comes late is not left out.
		if wait := time.Until(begun.Add(time.Duration(i) * time.Second / time.Duration(l.rate))); wait > 0 {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
			}
		}
		key := l.keys[i%len(l.keys)]
		calls.Go(func() {
			a := call(context.WithoutCancel(ctx), client, l.url, key)
			l.mu.Lock()
			defer l.mu.Unlock()
			l.answers = append(l.answers, a)
		})
	}
	calls.Wait()
	return l.answers
}

func call(ctx context.Context, client *http.Client, url, key string) (a answer) {
	a = answer{key: key, sent: time.Now()}
	defer func() { a.done = time.Now() }()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		a.err = err
		return a
	}
	r.Header.Set("X-API-Key", key)
	response, err := client.Do(r)
	if err != nil {
		a.err = err
		return a
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		a.err = err
	}
	a.admitted = response.StatusCode == http.StatusOK
	a.limit = response.Header.Get(middleware.HeaderLimit)
	if !a.admitted && response.StatusCode != http.StatusTooManyRequests {
		a.err = fmt.Errorf("status %d", response.StatusCode)
	}
	return a
}
