package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyrate/keyrate/middleware/usage"
)

const (
	streams = 50                     // parallel callers
	pause   = 100 * time.Millisecond // of a caller that was denied
)

// A call is one request, as its caller saw it.
type call struct {
	organisation int
	estimate     int
	status       int  // 0: there was no response
	used         int  // tokens, as the response reported
	complete     bool // the response came to its end
	ended        time.Time
}

// A load calls gateways until it is stopped.
type load struct {
	nodes  []*node
	client *http.Client
	short  [3]atomic.Bool // of each organisation: was a call denied for its tokens

	mu    sync.Mutex
	calls []call
}

// run makes calls until stop is closed, and returns when all of them have ended.
func (l *load) run(ctx context.Context, stop <-chan struct{}) {
	l.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: streams}, Timeout: time.Minute}
	var all sync.WaitGroup
	for i := range streams {
		all.Go(func() {
			for turn := i / len(organisations); ; turn++ {
				select {
				case <-stop:
					return
				case <-ctx.Done():
					return
				default:
				}
				if !l.call(ctx, i, turn) {
					time.Sleep(pause)
				}
			}
		})
	}
	all.Wait()
	l.client.CloseIdleConnections()
}

// call makes one call, and reports whether it was served.
func (l *load) call(ctx context.Context, caller, turn int) bool {
	c := call{organisation: caller % len(organisations)}
	o, n := organisations[c.organisation], l.nodes[turn%len(l.nodes)]
	if n.dead.Load() {
		n = l.nodes[(turn+1)%len(l.nodes)]
	}
	body, err := json.Marshal(completionRequest{MaxTokens: 1000, Stream: true, StreamOptions: streamOptions{true},
		Messages: []promptMessage{{"user", strings.Repeat("Is it so? ", 5)}}})
	if err == nil {
		c.estimate, err = estimateOf(body)
	}
	if err != nil {
		return false
	}
	l.mu.Lock()
	number := len(l.calls)
	l.calls = append(l.calls, c)
	l.mu.Unlock()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, n.url+"/v1/chat/completions", bytes.NewReader(body))
	if err != nil {
		return false
	}
	r.Header.Set("Authorization", "Bearer "+o.key(caller/len(organisations)))
	r.Header.Set(callHeader, strconv.Itoa(number))
	l.send(r, n, &c)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls[number] = c
	return c.status == http.StatusOK
}

// send makes the request, and fills in what came of it.
func (l *load) send(r *http.Request, n *node, c *call) {
	response, err := l.client.Do(r)
	if err != nil {
		return
	}
	defer response.Body.Close()
	c.status = response.StatusCode
	if c.status != http.StatusOK {
		var problem struct {
			Violated []string `json:"violated-policies"`
		}
		if json.NewDecoder(response.Body).Decode(&problem) == nil && slices.Contains(problem.Violated, tokens) {
			l.short[c.organisation].Store(true)
		}
		return
	}
	n.inside[c.organisation].Add(1)
	defer n.inside[c.organisation].Add(-1)
	report := usage.Report(func(_ *http.Request, u usage.Usage, ok bool) {
		if ok {
			c.used = u.Tokens()
		}
	})
	if report.ModifyResponse(response) != nil {
		return
	}
	_, err = io.Copy(io.Discard, response.Body)
	c.complete, c.ended = err == nil, time.Now()
}

// each reports whether f holds for each organisation.
func each(f func(organisation int) bool) bool {
	for i := range organisations {
		if !f(i) {
			return false
		}
	}
	return true
}
