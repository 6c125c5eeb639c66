package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
)

// secret is that of the operators of the demo.
const secret = "the operators of the demo"

// An anna is an operator. She uses one process after another, as a load balancer would send her.
type anna struct {
	client *http.Client
	nodes  []*node
	next   int
}

// node returns the process that she uses next.
func (a *anna) node() *node {
	a.next++
	return a.nodes[a.next%len(a.nodes)]
}

// ask sends a request to the handler for operators, and returns what it answers with 2xx.
func (a *anna) ask(ctx context.Context, n *node, method, path string, body []byte, ifMatch string) (http.Header, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, n.url+"/limits"+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	r.SetBasicAuth("anna", secret)
	r.Header.Set("Content-Type", "application/json")
	if ifMatch != "" {
		r.Header.Set("If-Match", ifMatch)
	}
	answer, err := a.client.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: %s %.300s", method, path, answer.Status, text)
	}
	return answer.Header, text, err
}

// edit reads the table from a process, changes it and sends it back, as an operator with an editor
// does. It begins again if somebody else was quicker, or Redis is down.
func (a *anna) edit(ctx context.Context, change func(*plans.TableConfig)) error {
	n := a.node()
	return a.retry(ctx, func() error {
		header, text, err := a.ask(ctx, n, http.MethodGet, "/table", nil, "")
		if err != nil {
			return err
		}
		c, err := plans.ReadTableConfig(bytes.NewReader(text))
		if err != nil {
			return err
		}
		change(&c)
		if text, err = json.Marshal(c); err != nil {
			return err
		}
		_, _, err = a.ask(ctx, n, http.MethodPut, "/table", text, header.Get("ETag"))
		return err
	})
}

// retry makes attempts until one succeeds.
func (a *anna) retry(ctx context.Context, try func() error) error {
	for end := time.Now().Add(15 * time.Second); ; {
		err := try()
		if err == nil || time.Now().After(end) {
			return err
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// set gives a key limits of its own.
func (a *anna) set(ctx context.Context, key, limits string) error {
	return a.edit(ctx, func(c *plans.TableConfig) {
		hash := ratelimit.HashKey(key)
		delete(c.Members, hash)
		if c.Keys == nil {
			c.Keys = map[string]*ratelimit.Policy{}
		}
		c.Keys[hash] = must(limits)
	})
}

// post sends a request that changes something.
func (a *anna) post(ctx context.Context, path string, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	n := a.node()
	return a.retry(ctx, func() error {
		_, _, err := a.ask(ctx, n, http.MethodPost, path, text, "")
		return err
	})
}

// limitOf returns what a process holds a key to.
func (a *anna) limitOf(ctx context.Context, n *node, key string) (string, error) {
	_, text, err := a.ask(ctx, n, http.MethodPost, "/key/state", fmt.Appendf(nil, `{"key":%q}`, key), "")
	if err != nil {
		return "", err
	}
	var state struct{ Limits []struct{ Limit string } }
	if err := json.Unmarshal(text, &state); err != nil {
		return "", err
	}
	var limits []string
	for _, l := range state.Limits {
		limits = append(limits, l.Limit)
	}
	return strings.Join(limits, ", "), nil
}

// everywhere waits until all processes hold a key to limits.
func (a *anna) everywhere(ctx context.Context, key, limits string) error {
	began := time.Now()
	for _, n := range a.nodes {
		for {
			got, err := a.limitOf(ctx, n, key)
			if err != nil {
				return err
			}
			if got == limits {
				break
			}
			if time.Since(began) > patience {
				return fmt.Errorf("a process holds %s to %s, not to %s", key, got, limits)
			}
			if err := pause(ctx, 2*time.Millisecond); err != nil {
				return err
			}
		}
	}
	return nil
}

// A change is one of the audit trail.
type change struct {
	Version int64
	At      time.Time
	Who     string
	What    []string
}

// trail returns the audit trail as a process has it.
func (a *anna) trail(ctx context.Context, n *node) ([]change, error) {
	_, text, err := a.ask(ctx, n, http.MethodGet, "/table/changes", nil, "")
	var all struct{ Changes []change }
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	return all.Changes, err
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
