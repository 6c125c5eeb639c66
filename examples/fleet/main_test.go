package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/store"
)

// TestMain makes the test's own program a node where the demo asks for one.
func TestMain(m *testing.M) {
	redis.SetLogger(silent{})
	if os.Getenv(envLedger) != "" {
		os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

func TestFlagsAndEnvironment(t *testing.T) {
	const url = "redis://localhost:6379"
	for _, c := range []struct {
		args, envRedis string
		want           options
	}{
		{"-redis " + url, "", options{redis: url, secret: "s", addr: "localhost:8080", nodes: 1, timeout: store.DefaultTimeout, leases: true}},
		{"-addr :82 -nodes 3 -timeout 1s -leases=false", url, options{redis: url, secret: "s", addr: ":82", nodes: 3, timeout: time.Second}},
		{"-demo", url, options{addr: "localhost:8080", nodes: 1, timeout: store.DefaultTimeout, leases: true, demo: true}},
	} {
		t.Setenv(envRedis, c.envRedis)
		t.Setenv(envSecret, "s")
		if got, err := parse(strings.Fields(c.args), io.Discard); err != nil || got != c.want {
			t.Errorf("parse(%q) = %+v, %v; want %+v", c.args, got, err, c.want)
		}
	}
}

func TestBadFlagsAreNamedAndTheFixShown(t *testing.T) {
	t.Setenv(envRedis, "")
	for _, c := range []struct {
		args   string
		status int
		want   []string // in what is printed
	}{
		{"", 2, []string{"-redis redis://", "-demo"}},
		{"-redis localhost", 1, []string{"-redis", "redis://"}},
		{"-redis redis://localhost -addr 8080", 2, []string{"-addr", `"8080"`}},
		{"-redis redis://localhost -nodes 0", 2, []string{"-nodes", "at least 1"}},
		{"-redis redis://localhost -timeout 0s", 2, []string{"-timeout", "more than 0"}},
		{"-demo -leases=false", 2, []string{"-demo", "-leases", "leave them out"}},
		{"-h", 0, []string{"-redis", "-addr", "-nodes", "-timeout", "-leases", "-demo"}},
	} {
		var out, errs bytes.Buffer
		if status := run(t.Context(), strings.Fields(c.args), nil, &out, &errs); status != c.status {
			t.Errorf("%s: status %d, want %d", c.args, status, c.status)
		}
		for _, want := range c.want {
			if !strings.Contains(errs.String(), want) {
				t.Errorf("%s: %q is missing in\n%s", c.args, want, &errs)
			}
		}
		if out.Len() > 0 {
			t.Errorf("%s: printed to stdout:\n%s", c.args, &out)
		}
	}
}
