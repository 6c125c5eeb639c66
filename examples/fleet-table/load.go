package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
)

// keys is how many keys the table has.
const keys = 1000

func customer(i int) string { return "customer-" + strconv.Itoa(i) }

// marked gives all parts of a table one mark, so that a mixture of two versions shows.
func marked(c *plans.TableConfig, mark int) {
	c.Default = must(strconv.Itoa(1000+mark) + "/s")
	c.Plans["gold"] = must(strconv.Itoa(2000+mark) + "/s")
	for i := range keys {
		if hash := ratelimit.HashKey(customer(i)); c.Keys[hash] == nil {
			c.Members[hash] = "gold"
		}
	}
}

// first is the table that the demo begins with.
func first(c *plans.TableConfig) {
	c.Members = make(map[string]string, keys)
	marked(c, 0)
}

// A load calls all processes, and looks at their tables.
type load struct {
	client *http.Client

	mu     sync.Mutex
	calls  int
	looks  int
	faults []string
}

// fault notes what must not be.
func (l *load) fault(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.faults) < 5 {
		l.faults = append(l.faults, fmt.Sprintf(format, args...))
	}
}

// run calls a process until ctx ends.
func (l *load) run(ctx context.Context, n *node, i int) {
	for ; pause(ctx, 5*time.Millisecond) == nil; i++ {
		if i%20 == 0 {
			l.look(ctx, n)
			continue
		}
		status, err := get(ctx, l.client, n, customer(1+i%(keys-1))) // not the first one, which is blocked
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			l.fault("a call failed: %v", err)
		case status != http.StatusOK:
			l.fault("a call got %d", status)
		}
		l.mu.Lock()
		l.calls++
		l.mu.Unlock()
	}
}

// get calls the API with a key.
func get(ctx context.Context, client *http.Client, n *node, key string) (status int, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, n.url+"/", nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set("X-API-Key", key)
	answer, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, err
}

// look looks at the table of a process: it must be one version, and whole.
func (l *load) look(ctx context.Context, n *node) {
	a := anna{client: l.client}
	_, text, err := a.ask(ctx, n, http.MethodGet, "/table/summary", nil, "")
	if ctx.Err() != nil {
		return
	}
	var s struct {
		Default string
		Keys    int
		Plans   map[string]struct {
			Policy  string
			Members int
		}
	}
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	l.mu.Lock()
	l.looks++
	l.mu.Unlock()
	if err != nil {
		l.fault("the table cannot be seen: %v", err)
		return
	}
	var a1, a2 int
	gold := s.Plans["gold"]
	if _, err := fmt.Sscanf(s.Default+" "+gold.Policy, "%d/s %d/s", &a1, &a2); err != nil || a2-a1 != 1000 || gold.Members+s.Keys < keys {
		l.fault("a table is mixed or not whole: %s", text)
	}
}
