package table

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store/redisstore"
)

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

func TestMain(m *testing.M) {
	redis.SetLogger(silent{}) // tests cause many failures
	os.Exit(m.Run())
}

// patience is more than anything takes, on any machine.
const patience = 30 * time.Second

// poll is short: tests wait for a few.
const poll = 40 * time.Millisecond

func policy(tb testing.TB, text string) *ratelimit.Policy {
	tb.Helper()
	p, err := ratelimit.ParsePolicy(text)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// initial is the table that nodes begin with.
func initial(tb testing.TB) plans.TableConfig {
	return plans.TableConfig{
		Default: policy(tb, "5/s"),
		Plans:   map[string]*ratelimit.Policy{"gold": policy(tb, "50/s"), "team": policy(tb, "10/s, 100/m;name=org;shared")},
		Members: map[string]string{"alice": "gold"},
		Keys:    map[string]*ratelimit.Policy{"bob": policy(tb, "7/s")},
		Organisations: map[string]plans.Organisation{
			"acme": {Plan: "team", Members: []string{"carol"}},
		},
	}
}

// startRedis starts a Redis in memory.
func startRedis(tb testing.TB) *miniredis.Miniredis {
	tb.Helper()
	m := miniredis.NewMiniRedis()
	if err := m.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(m.Close)
	return m
}

// A testNode is a node with what it has reported.
type testNode struct {
	*Table

	stop func()

	mu     sync.Mutex
	events []Event
	counts []int
}

// newNode makes a node on Redis at an address, which does not run.
func newNode(tb testing.TB, addr string, c Config) *testNode {
	tb.Helper()
	client, err := redisstore.NewClient("redis://" + addr + "?timeout=5s")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = client.Close() })
	n := &testNode{stop: func() {}}
	if c.Poll == 0 {
		c.Poll = poll
	}
	c.OnEvent = func(e Event) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.events = append(n.events, e)
	}
	c.OnNodes = func(count int) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.counts = append(n.counts, count)
	}
	if n.Table, err = New(client, initial(tb), c); err != nil {
		tb.Fatal(err)
	}
	return n
}

// run runs a node until stop or the end of the test.
func (n *testNode) run(tb testing.TB) *testNode {
	ctx, cancel := context.WithCancel(context.Background()) //nolint:usetesting // stop ends it
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = n.Run(ctx)
	}()
	n.stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	tb.Cleanup(n.stop)
	return n
}

// until waits for a condition.
func until(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// limitOf returns what a key is held to on a node.
func limitOf(tb testing.TB, n *testNode, key string) string {
	tb.Helper()
	p, err := n.PolicyFor(tb.Context(), key)
	if err != nil {
		tb.Fatal(err)
	}
	return p.String()
}

// wantLimit waits until all nodes hold a key to a limit.
func wantLimit(tb testing.TB, key, limit string, nodes ...*testNode) {
	tb.Helper()
	for i, n := range nodes {
		until(tb, fmt.Sprintf("node %d holds %s to %s, not to %s; status %+v", i, key, limit, limitOf(tb, n, key), n.Status()), func() bool { return limitOf(tb, n, key) == limit })
	}
}

// set changes the limit of a key, at a node.
func set(tb testing.TB, n *testNode, key, limit string) {
	tb.Helper()
	err := n.Change(tb.Context(), "operator", func(c *plans.TableConfig) error {
		hash := ratelimit.HashKey(key)
		delete(c.Members, hash)
		if c.Keys == nil {
			c.Keys = map[string]*ratelimit.Policy{}
		}
		c.Keys[hash] = policy(tb, limit)
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// trailOf returns the audit trail of a node, a line for each change.
func trailOf(n *testNode) string {
	var lines []string
	for _, c := range n.Changes() {
		lines = append(lines, c.Who+": "+strings.Join(c.What, "; "))
	}
	return strings.Join(lines, "\n")
}
