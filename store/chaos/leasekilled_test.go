package chaos_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/memstore"
	"github.com/keyrate/keyrate/store/redisstore"
)

// A leaser is a process of its own that calls with leases until it is killed: this test binary, run
// once more for TestLeaser alone.
type leaser struct {
	Addr  string // of Redis
	Limit ratelimit.Limit
	Alone bool // with buckets of its own
}

const leaserVariable = "KEYRATE_CHAOS_LEASER"

// TestLeaser is the program of a leaser. Among the other tests it does nothing.
func TestLeaser(t *testing.T) {
	text := os.Getenv(leaserVariable)
	if text == "" {
		return
	}
	var l leaser
	if err := json.Unmarshal([]byte(text), &l); err != nil {
		t.Fatal(err)
	}
	var shared store.Store = newStore(t, patientClient(t, l.Addr), redisstore.Config{})
	if l.Alone {
		shared = memstore.New(memstore.Config{})
	}
	node, p := leased(t, shared), policyOf(t, l.Limit)
	var admitted, local atomic.Int64
	for range 2 {
		go func() {
			for {
				d, err := node.Take(context.Background(), store.Request{Key: "key", Limits: p, Cost: 1, Timeout: patience}) //nolint:usetesting // until it is killed
				switch {
				case err != nil:
					say("%v", err)
				case d.Allowed:
					n := admitted.Add(1)
					if d.Source == store.FromLease {
						local.Add(1)
					}
					say("%d %d", n, local.Load())
				}
				time.Sleep(time.Millisecond)
			}
		}()
	}
	time.Sleep(time.Hour)
}

// TestP13Kills: nodes with leases are killed again and again. No token too many is admitted, and two
// seconds after the last kill nothing is held.
func TestP13Kills(t *testing.T) {
	t.Parallel()
	admitted, local, d := killLeasers(t, false)
	if over := admitted - killsBurst; over > 0 || local < admitted/4 || admitted < killsBurst/4 {
		t.Errorf("%d of %d tokens were admitted, %d of leases", admitted, killsBurst, local)
	}
	if d.Held[0] != 0 || owed(d, 0) < admitted {
		t.Errorf("%d tokens are held, and %d charged for %d", d.Held[0], owed(d, 0), admitted)
	}
}

// TestP13FindsLocalLimits is the control: nodes that have buckets of their own.
func TestP13FindsLocalLimits(t *testing.T) {
	t.Parallel()
	if admitted, _, d := killLeasers(t, true); owed(d, 0) >= admitted {
		t.Errorf("%d tokens were charged for %d", owed(d, 0), admitted)
	}
}

const killsBurst = 6000

// killLeasers returns how many tokens processes admitted that were killed in a loop, how many of
// them by leases, and what Redis has two seconds after the last kill. A process that is killed may
// have admitted one call for each of its callers more than it has said.
func killLeasers(t *testing.T, alone bool) (admitted, local int, d store.Decision) {
	t.Helper()
	server := chaos.StartServer(t)
	limit := ratelimit.PerHour(1).WithBurst(killsBurst)
	var all sync.WaitGroup
	var sum, leases atomic.Int64
	for range 3 {
		all.Go(func() {
			for range full(3, 20) {
				n, l := runLeaser(t, leaser{server.Addr, limit, alone}, time.Second)
				sum.Add(n)
				leases.Add(l)
			}
		})
	}
	all.Wait()
	time.Sleep(2*shortHold + 50*time.Millisecond)
	return int(sum.Load()), int(leases.Load()), take(t, patientStore(t, server), "key", policyOf(t, limit), 0)
}

// runLeaser starts a process, kills it a time after its first call, and returns how many calls it
// admitted, and how many of them by leases.
func runLeaser(t *testing.T, l leaser, after time.Duration) (admitted, local int64) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Error(err)
		return 0, 0
	}
	text, err := json.Marshal(l)
	if err != nil {
		t.Error(err)
		return 0, 0
	}
	process := exec.CommandContext(t.Context(), program, "-test.run=^TestLeaser$", "-test.timeout=5m")
	process.Env = append(os.Environ(), leaserVariable+"="+string(text))
	out, err := process.StdoutPipe()
	if err == nil {
		err = process.Start()
	}
	if err != nil {
		t.Error(err)
		return 0, 0
	}
	kill := time.AfterFunc(10*time.Second, func() { _ = process.Process.Kill() }) // if nothing is left for it
	defer kill.Stop()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var n, of int64
		if _, err := fmt.Sscanf(lines.Text(), "> %d %d", &n, &of); err != nil {
			continue // the last line may be cut off
		}
		if admitted == 0 {
			kill.Reset(after)
		}
		admitted, local = max(admitted, n), max(local, of)
	}
	_ = process.Wait()
	return admitted, local
}
