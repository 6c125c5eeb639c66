package clientstest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

const (
	installTime = 3 * time.Minute // for npm to fetch a few dozen small packages
	nodeTime    = 2 * time.Minute // for calls that mostly wait, ten seconds
)

// TestAxios: axios with axios-retry finishes, with no setting but the defaults:
// axiosRetry(axios). They are three retries, after network errors and of idempotent
// methods also after 5xx and, since 4.2.0, after 429; and the wait is what Retry-After
// tells, without a header none. A POST is not sent again after a refusal, and before
// 4.2.0 nothing was, without a retryCondition and a retryDelay of one's own.
func TestAxios(t *testing.T) {
	t.Parallel()
	dir := installAxios(t)
	t.Run("defaults", func(t *testing.T) {
		t.Parallel()
		a := startAPI(t, ratelimit.PerSecond(5), nil)
		if o := axios(t, dir, a.url, "alice"); o.Finished != calls || o.Error != "" {
			t.Fatalf("call %d failed: %s", o.Finished+1, o.Error)
		}
		a.obeyed(t, "alice")
	})
	untold := lie{"told nothing", ratelimit.PerSecond(5), func(h http.Header) {
		h.Del(middleware.HeaderRetryAfter)
		h.Del(middleware.HeaderRetryAfterMs)
	}}
	for _, lie := range append(lies(), untold) {
		t.Run("can fail/"+lie.name, func(t *testing.T) {
			t.Parallel()
			a := startAPI(t, lie.limit, lie.falsify)
			o := axios(t, dir, a.url, "alice")
			if o.Error == "" {
				t.Fatal("it finished")
			}
			t.Logf("after %d calls: %s", o.Finished, o.Error)
			if admitted, refused := a.held(t, "alice"); admitted != o.Finished || refused < 4 {
				t.Errorf("%d calls were admitted, of which the client knows %d, and %d refused; want 4 at least", admitted, o.Finished, refused)
			}
		})
	}
}

// installAxios returns a folder with the program and the packages that it needs. npm
// fetches them, or finds them in its cache.
func installAxios(t *testing.T) string {
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		_, err := exec.LookPath(program)
		need(t, program+" on the PATH (Debian: apt-get install nodejs npm)", err)
	}
	dir := t.TempDir()
	for _, name := range []string{".npmrc", "package.json", "package-lock.json", "call.mjs"} {
		content, err := os.ReadFile(filepath.Join("testdata", "axios", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err := run(t, installTime, dir, "npm", "ci", "--prefer-offline")
	need(t, "the packages in testdata/axios/package-lock.json", err)
	return dir
}

// An outcome is what call.mjs prints.
type outcome struct {
	Finished int
	Error    string
}

func axios(t *testing.T, dir, url, key string) outcome {
	t.Helper()
	printed, err := run(t, nodeTime, dir, "node", "call.mjs", url, key, strconv.Itoa(calls))
	if err != nil {
		t.Fatal(err)
	}
	var o outcome
	if err := json.Unmarshal(printed, &o); err != nil {
		t.Fatalf("it printed %q: %v", printed, err)
	}
	return o
}

// run runs a program, and returns what it prints or why it failed.
func run(t *testing.T, atMost time.Duration, dir, program string, args ...string) ([]byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), atMost)
	defer cancel()
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(ctx, program, args...)
	command.Dir = dir
	// axios would ask a proxy of the environment for an address of loopback as well.
	command.Env = append(os.Environ(), "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1")
	command.Stdout, command.Stderr = &stdout, &stderr
	command.WaitDelay = 5 * time.Second
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s%s", program, args[0], errors.Join(err, ctx.Err()), &stdout, &stderr)
	}
	return stdout.Bytes(), nil
}

// need skips the test if the machine lacks something, or fails it where CI has
// promised that it does not.
func need(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if os.Getenv("KEYRATE_REQUIRE_NODE") == "1" {
		t.Fatalf("KEYRATE_REQUIRE_NODE=1, but this test needs %s: %v", what, err)
	}
	t.Skipf("this test needs %s: %v", what, err)
}
