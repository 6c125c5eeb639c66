package clients_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-resty/resty/v2"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// TestSharedKey: ten workers on one key at 5/s, with clients that retry two or three times
// and know whole seconds only, lose at most 2 % of their calls, since each denial has its
// place in a queue; and one worker loses none. A busy machine, where calls begin late, may
// lose more, but less than half of what is lost with DisableQueue.
//
// KEYRATE_INTEROP_RUNS is the number of runs, 2 unless set.
func TestSharedKey(t *testing.T) {
	const calls = 30
	runs := 2
	if n, err := strconv.Atoi(os.Getenv("KEYRATE_INTEROP_RUNS")); err == nil {
		runs = n
	}
	clients := sharedClients(t)
	type setup struct {
		workers int
		disable bool
	}
	setups := []setup{{10, false}, {10, true}, {1, false}, {1, true}}
	var mu sync.Mutex
	lost, took := map[setup]int{}, map[setup]time.Duration{}
	for run := range runs {
		for _, s := range setups {
			if s.workers == 1 && s.disable && runs <= 2 {
				continue // only its time is of interest
			}
			var wg sync.WaitGroup
			url := startLimited(t, s.disable)
			for name, client := range clients {
				wg.Go(func() {
					start := time.Now()
					o, err := client(t.Context(), name, url, name, s.workers, calls)
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					defer mu.Unlock()
					lost[s] += o.Lost
					took[s] += time.Since(start)
					if o.Lost > 0 {
						t.Logf("run %d: %s, %d workers, DisableQueue %v: %d of %d lost (%s)", run+1, name, s.workers, s.disable, o.Lost, calls, o.Error)
					}
				})
			}
			wg.Wait()
		}
	}
	all := calls * runs * len(clients)
	for _, s := range setups {
		if took[s] == 0 {
			continue
		}
		mean := took[s] / time.Duration(runs*len(clients))
		t.Logf("%2d workers, DisableQueue %-5v: %3d of %d lost, %.1f %%, %v a run", s.workers, s.disable, lost[s], all, 100*float64(lost[s])/float64(all), mean.Round(time.Millisecond))
	}
	if n, without := lost[setup{10, false}], lost[setup{10, true}]; n*50 > all && n*2 > without {
		t.Errorf("ten workers on one key lost %d of %d calls, and %d without a queue; want at most 2 %%", n, all, without)
	}
	if n := lost[setup{1, false}]; n > 0 {
		t.Errorf("one worker lost %d calls", n)
	}
}

// startLimited starts an API with 5/s for each key, and returns its URL.
func startLimited(t *testing.T, disable bool) string {
	t.Helper()
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerSecond(5), ratelimit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	limit := middleware.Must(middleware.RateLimit(limiter, middleware.Config{Key: middleware.Header("X-API-Key"), DisableQueue: disable}))
	server := httptest.NewServer(limit(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") })))
	t.Cleanup(server.Close)
	return server.URL
}

// A sharedClient makes calls with several workers at once.
type sharedClient func(ctx context.Context, name, url, key string, workers, calls int) (outcome, error)

func sharedClients(t *testing.T) map[string]sharedClient {
	t.Helper()
	clients := map[string]sharedClient{"resty": callResty}
	dir := installPackages(t)
	for _, name := range []string{"axios", "got", "ky"} {
		clients[name] = callProgram("node", filepath.Join(dir, "shared.mjs"))
	}
	python, err := findPython(t)
	testkit.Need(t, "KEYRATE_REQUIRE_URLLIB3", "urllib3 (Debian: apt-get install python3-urllib3)", err)
	clients["urllib3"] = callProgram(python, filepath.Join(dir, "shared.py"))
	return clients
}

// findPython returns a Python that has urllib3. Another one may be first on the PATH.
func findPython(t *testing.T) (string, error) {
	var faults []error
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		err := exec.CommandContext(t.Context(), python, "-c", "import urllib3").Run()
		if err == nil {
			return python, nil
		}
		faults = append(faults, fmt.Errorf("%s: %w", python, err))
	}
	return "", errors.Join(faults...)
}

// callProgram returns a client that is a program, and prints its outcome.
func callProgram(program, script string) sharedClient {
	return func(ctx context.Context, name, url, key string, workers, calls int) (o outcome, err error) {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
		defer cancel()
		var stdout, stderr bytes.Buffer
		command := exec.CommandContext(ctx, program, script, name, url, key, strconv.Itoa(workers), strconv.Itoa(calls))
		command.Env = append(os.Environ(), "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1")
		command.Stdout, command.Stderr = &stdout, &stderr
		command.WaitDelay = 5 * time.Second
		if err := command.Run(); err != nil {
			return o, fmt.Errorf("%s: %w\n%s", name, err, &stderr)
		}
		if err := json.Unmarshal(stdout.Bytes(), &o); err != nil {
			return o, fmt.Errorf("%s printed %q: %w", name, &stdout, err)
		}
		return o, nil
	}
}

// callResty is a client with three retries, which waits as Retry-After says.
func callResty(ctx context.Context, _, url, key string, workers, calls int) (o outcome, err error) {
	client := resty.New().SetHeader("X-API-Key", key).SetRetryCount(3).SetRetryMaxWaitTime(time.Minute).
		AddRetryCondition(func(r *resty.Response, err error) bool {
			return err != nil || r.StatusCode() == http.StatusTooManyRequests
		}).
		SetRetryAfter(func(_ *resty.Client, r *resty.Response) (time.Duration, error) {
			seconds, err := strconv.Atoi(r.Header().Get("Retry-After"))
			return time.Duration(seconds) * time.Second, err
		})
	defer client.GetClient().CloseIdleConnections()
	var left, lost atomic.Int64
	left.Store(int64(calls))
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if r, err := client.R().SetContext(ctx).Get(url); err != nil || r.StatusCode() != http.StatusOK {
					lost.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return outcome{Lost: int(lost.Load())}, nil
}
