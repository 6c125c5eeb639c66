package chaos_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/redisstore"
)

// A holder is a process of its own that holds tokens until it is killed: this test binary, run
// once more for TestHolder alone.
type holder struct {
	Addr   string // of Redis
	Limits []ratelimit.Limit
	Keys   []string
	Cost   int
	Open   int  // holds for each key that stay open
	Renew  bool // renews them, as a limiter does
	Busy   int  // callers, instead, that hold, spend and settle all the time
	Seed   uint64
}

const holderVariable = "KEYRATE_CHAOS_HOLDER"

// TestHolder is the program of a holder. Among the other tests it does nothing.
func TestHolder(t *testing.T) {
	text := os.Getenv(holderVariable)
	if text == "" {
		return
	}
	var h holder
	if err := json.Unmarshal([]byte(text), &h); err != nil {
		t.Fatal(err)
	}
	backend := newStore(t, patientClient(t, h.Addr), redisstore.Config{})
	if h.Busy > 0 {
		h.work(t, backend)
		return
	}
	l, err := ratelimit.New(backend, testkit.Policy(t, h.Limits...), ratelimit.Config{Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	holds := make([][]*ratelimit.Hold, len(h.Keys))
	p := policyOf(t, h.Limits...)
	for i, key := range h.Keys {
		all.Go(func() {
			for range h.Open {
				if !h.Renew {
					if got, err := hold(context.Background(), backend, key, p, h.Cost, patience); err != nil || !got.decision.Allowed { //nolint:usetesting // until it is killed
						t.Errorf("%+v, %v", got.decision, err)
					}
					continue
				}
				got, err := l.Hold(context.Background(), key, h.Cost) //nolint:usetesting // as above
				if err != nil || !got.Result().Allowed {
					t.Errorf("%+v, %v", got.Result(), err)
				}
				holds[i] = append(holds[i], got)
			}
		})
	}
	all.Wait()
	if t.Failed() {
		return
	}
	if h.Renew {
		time.Sleep(time.Second) // by then each was renewed
	}
	say("holding")
	time.Sleep(time.Hour)
	say("%v", holds) // they stay out
}

// A spending is one line of a busy holder's output, and what it says.
type spending struct {
	Kind string // got, spent, ending, ended
	Key  int
	ID   int
	At   int64 // in microseconds, on Redis' clock
	N    int
}

// say prints a line at once, so that a kill loses none of those before.
func say(format string, args ...any) { _, _ = fmt.Fprintf(os.Stdout, "> "+format+"\n", args...) }

// work holds, spends and settles. Each step is printed before the next begins. The machine
// of the tests has one clock.
func (h *holder) work(t *testing.T, backend store.Store) {
	p := policyOf(t, h.Limits...)
	var callers sync.WaitGroup
	for caller := range h.Busy {
		callers.Go(func() {
			random := rand.New(rand.NewPCG(h.Seed, uint64(caller)))
			for id := caller; ; id += h.Busy {
				line := func(kind string, key int, at int64, n int) { say("%s %d %d %d %d", kind, key, id, at, n) }
				i := random.IntN(len(h.Keys))
				got, err := hold(context.Background(), backend, h.Keys[i], p, 1+random.IntN(h.Cost), patience) //nolint:usetesting // until it is killed
				if err != nil {
					t.Error(err)
					return
				}
				if !got.decision.Allowed {
					time.Sleep(2 * time.Millisecond)
					continue
				}
				line("got", i, got.decision.Now, got.Held)
				time.Sleep(time.Duration(random.Int64N(int64(20 * time.Millisecond))))
				spent := random.IntN(got.Held + 1)
				if now := time.Now(); now.Sub(got.sent) < shortHold*95/100 {
					line("spent", i, now.UnixMicro(), spent)
				} else {
					spent = 0 // too late: the store may have given it to another
				}
				line("ending", i, time.Now().UnixMicro(), 0)
				if err := got.settle(context.Background(), backend, spent, patience); err != nil { //nolint:usetesting // as above
					t.Error(err)
					return
				}
				line("ended", i, got.Now, spent)
			}
		})
	}
	callers.Wait()
}

// A heldProcess is a holder that runs.
type heldProcess struct {
	process *exec.Cmd
	lines   *bufio.Reader
	output  strings.Builder
}

// startHolder starts a holder and waits for its first line.
func startHolder(t *testing.T, h holder) *heldProcess {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	p := &heldProcess{process: exec.CommandContext(t.Context(), program, "-test.run=^TestHolder$", "-test.timeout=5m")}
	p.process.Env = append(os.Environ(), holderVariable+"="+string(text))
	out, err := p.process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.lines = bufio.NewReader(out)
	if err := p.process.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// next returns the next line that the holder says, or io.EOF when it has ended.
func (p *heldProcess) next() (string, error) {
	for {
		line, err := p.lines.ReadString('\n')
		if err != nil {
			return "", err
		}
		if text, found := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "> "); found {
			return text, nil
		}
		p.output.WriteString(line)
	}
}

// kill ends the process with SIGKILL, and returns the rest of what it has said. It fails the
// test if the process has ended before.
func (p *heldProcess) kill(t *testing.T) (rest []string) {
	t.Helper()
	if err := p.process.Process.Kill(); err != nil {
		t.Errorf("the holder ended by itself, %v:\n%s", err, &p.output)
	}
	for {
		line, err := p.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		rest = append(rest, line)
	}
	_ = p.process.Wait()
	if text := p.process.ProcessState.String(); text != "signal: killed" {
		t.Errorf("the holder ended with %s:\n%s", text, &p.output)
	}
	return rest
}
