package rpc_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
)

const (
	installTime = 3 * time.Minute // for npm to fetch a few dozen small packages
	nodeTime    = 2 * time.Minute // for calls that take a second
)

// TestNode: node's clients finish, and wait as long as they are asked to.
func TestNode(t *testing.T) {
	dir := installPackages(t)
	t.Run("grpc-js", func(t *testing.T) {
		var d denials
		finishes(t, dir, "grpc.mjs", startGRPC(t, &d), "alice", strconv.Itoa(calls))
		d.check(t)
	})
	for _, protocol := range []string{"connect", "grpc", "grpcweb"} {
		t.Run("connect-node/"+protocol, func(t *testing.T) {
			var d denials
			finishes(t, dir, "connect.mjs", startConnect(t, &d), "alice", strconv.Itoa(calls), protocol)
			d.check(t)
		})
	}
}

// finishes runs a program of testdata that makes the calls.
func finishes(t *testing.T, dir string, args ...string) {
	t.Helper()
	printed, err := run(t, nodeTime, dir, "node", args...)
	if err != nil {
		t.Fatal(err)
	}
	var o struct {
		Finished int
		Error    string
	}
	if err := json.Unmarshal(printed, &o); err != nil || o.Finished != calls || o.Error != "" {
		t.Errorf("it printed %s", printed)
	}
}

// installPackages returns a folder with the programs of testdata and the packages that they need.
func installPackages(t *testing.T) string {
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		_, err := exec.LookPath(program)
		testkit.Need(t, "KEYRATE_REQUIRE_NODE", program+" on the PATH (Debian: apt-get install nodejs npm)", err)
	}
	dir := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "grpc.mjs", "connect.mjs"} {
		text, err := os.ReadFile("testdata/" + name)
		if err == nil {
			err = os.WriteFile(dir+"/"+name, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
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
	command.Env = append(os.Environ(), "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1", "no_grpc_proxy=127.0.0.1")
	command.Stdout, command.Stderr = &stdout, &stderr
	command.WaitDelay = 5 * time.Second
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s%s", program, args[0], errors.Join(err, ctx.Err()), &stdout, &stderr)
	}
	return stdout.Bytes(), nil
}
