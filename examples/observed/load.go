package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// A caller calls at a steady pace, whatever it is answered.
type caller struct {
	keys []string // the values of X-API-Key; none, one or too many
	path string
	rate int // calls a second
}

// usual is what clients do all the time: they stay within their limits, but gold-1 would not stay
// within its shadow limit.
var usual = []caller{
	{[]string{"alice"}, "/", 3}, {[]string{"bob"}, "/", 2}, {[]string{"carol"}, "/", 2}, {[]string{"dave"}, "/", 1},
	{[]string{"silver-1"}, "/", 10}, {[]string{"gold-1"}, "/", 12}, {[]string{"gold-2"}, "/report", 2},
}

// flooder is the key of the attack.
const flooder = "mallory"

// attack is what is added to it: a key that calls twenty times as often as it may, calls without
// a key, calls with two, and calls of the operators' handler without their secret.
var attack = []caller{
	{[]string{flooder}, "/", 100}, {nil, "/", 20}, {[]string{flooder, "alice"}, "/", 3}, {nil, "/limits/denied", 40},
}

// A load makes the calls.
type load struct {
	url    string
	client *http.Client

	mu    sync.Mutex
	count map[int]int // calls by the status of the response
	err   error       // of the first call without a response
}

// run calls until ctx ends, and returns when all calls are answered.
func (l *load) run(ctx context.Context, callers []caller) {
	var working sync.WaitGroup
	defer working.Wait()
	for _, c := range callers {
		working.Go(func() {
			tick := time.NewTicker(time.Second / time.Duration(c.rate))
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
					working.Go(func() { l.call(context.WithoutCancel(ctx), c) })
				}
			}
		})
	}
}

func (l *load) call(ctx context.Context, c caller) {
	status, err := l.ask(ctx, c)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil && l.err == nil {
		l.err = err
	}
	l.count[status]++
}

func (l *load) ask(ctx context.Context, c caller) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(l.url, "/")+c.path, nil)
	if err != nil {
		return 0, err
	}
	for _, key := range c.keys {
		r.Header.Add("X-API-Key", key)
	}
	response, err := l.client.Do(r)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

// unexpected returns an error if a call got no response, or one of a status that no caller expects.
func (l *load) unexpected() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for status, n := range l.count {
		switch status {
		case http.StatusOK, http.StatusBadRequest, http.StatusUnauthorized, http.StatusTooManyRequests:
		default:
			return errors.Join(fmt.Errorf("%d calls got the status %d", n, status), l.err)
		}
	}
	return nil
}
