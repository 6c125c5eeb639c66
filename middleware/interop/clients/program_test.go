package clients_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
)

const installTime = 3 * time.Minute // for npm to fetch a few dozen small packages

// An outcome is what the programs in testdata print.
type outcome struct {
	Finished int // calls served, of axios.mjs
	Lost     int // calls that were denied until the client gave up, of the others
	Error    string
}

// installPackages returns a folder with the programs of testdata and the packages that
// they need. npm fetches them, or finds them in its cache.
func installPackages(t *testing.T) string {
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		_, err := exec.LookPath(program)
		testkit.Need(t, "KEYRATE_REQUIRE_NODE", program+" on the PATH (Debian: apt-get install nodejs npm)", err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	_, err := run(t, installTime, dir, "npm", "ci", "--prefer-offline")
	testkit.Need(t, "KEYRATE_REQUIRE_NODE", "the packages in testdata/package-lock.json", err)
	return dir
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
