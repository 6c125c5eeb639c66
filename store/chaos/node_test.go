package chaos_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/redisstore"
)

// A node is a process of its own that calls a store for some time: this test binary, run
// once more for TestNode alone.
type node struct {
	Addr    string // of Redis
	Limit   ratelimit.Limit
	Keys    []string
	Callers int
	Every   time.Duration // a caller calls for all keys this often
	Start   int64         // on Redis' clock, in microseconds
	End     int64
	Naive   bool // decides by its own clock

	// Bubble gives the process another time: its clock stands still, Ahead after the first
	// second of the year 2000.
	Bubble bool
	Ahead  time.Duration

	Seed   uint64
	Report string // the file for its report
}

// A nodeReport has the results of a node.
type nodeReport struct {
	Clock    time.Time // its own, at the end
	Admitted map[string][]admitted
	Offered  int
	Errors   map[string]int // by class
	Last     int64          // time of the last answer, on Redis' clock
}

const nodeVariable = "KEYRATE_CHAOS_NODE"

// TestNode is the program of a node. Among the other tests it does nothing.
func TestNode(t *testing.T) {
	text := os.Getenv(nodeVariable)
	if text == "" {
		return
	}
	var n node
	if err := json.Unmarshal([]byte(text), &n); err != nil {
		t.Fatal(err)
	}
	// A ticker from outside of the bubble uses the real time.
	ticker := time.NewTicker(n.Every)
	defer ticker.Stop()
	if !n.Bubble {
		n.run(t, ticker.C)
		return
	}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(n.Ahead)
		n.run(t, ticker.C)
	})
}

// run calls from Start to End and writes the report.
func (n *node) run(t *testing.T, tick <-chan time.Time) {
	client := patientClient(t, n.Addr)
	p := policyOf(t, n.Limit)
	report := nodeReport{Admitted: map[string][]admitted{}, Errors: map[string]int{}}
	var backend store.Store = newStore(t, client, redisstore.Config{})
	if n.Naive {
		backend = clientClock{client, n.Ahead}
	}
	for redisTime(t, client) < n.Start {
		<-tick
	}
	var mu sync.Mutex
	var callers sync.WaitGroup
	for caller := range n.Callers {
		callers.Go(func() {
			random := rand.New(rand.NewPCG(n.Seed, uint64(caller)))
			for {
				for _, i := range random.Perm(len(n.Keys)) {
					key := n.Keys[i]
					d, err := backend.Take(context.Background(), store.Request{Key: key, Limits: p, Cost: 1, Timeout: patience}) //nolint:usetesting // as callers do
					if err == nil && d.Now >= n.End {
						return
					}
					mu.Lock()
					report.Offered++
					switch {
					case err != nil:
						report.Errors[store.ErrorClass(err)]++
					case d.Allowed:
						report.Admitted[key] = append(report.Admitted[key], admitted{d.Now, 1})
					}
					report.Last = max(report.Last, d.Now)
					mu.Unlock()
				}
				<-tick
			}
		})
	}
	callers.Wait()
	report.Clock = time.Now()
	b, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(n.Report, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// redisTime returns Redis' clock in microseconds.
func redisTime(t testing.TB, client redis.UniversalClient) int64 {
	t.Helper()
	now, err := client.Time(context.Background()).Result() //nolint:usetesting // as callers do
	if err != nil {
		t.Fatal(err)
	}
	return now.UnixMicro()
}

// runNodes runs nodes at once, each in its process, and returns their reports.
func runNodes(t *testing.T, nodes []node) []nodeReport {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	reports, errs := make([]nodeReport, len(nodes)), make([]error, len(nodes))
	var all sync.WaitGroup
	for i := range nodes {
		n := nodes[i]
		n.Report = filepath.Join(dir, fmt.Sprintf("node%d.json", i))
		all.Go(func() {
			text, err := json.Marshal(n)
			if err != nil {
				errs[i] = err
				return
			}
			process := exec.CommandContext(t.Context(), program, "-test.run=^TestNode$", "-test.timeout=5m")
			process.Env = append(os.Environ(), nodeVariable+"="+string(text))
			if output, err := process.CombinedOutput(); err != nil {
				errs[i] = fmt.Errorf("node %d: %w\n%s", i, err, output)
				return
			}
			b, err := os.ReadFile(n.Report)
			if err == nil {
				err = json.Unmarshal(b, &reports[i])
			}
			errs[i] = err
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return reports
}
