package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// TestMain makes the test's own program a gateway where the demo asks for one.
func TestMain(m *testing.M) {
	redis.SetLogger(silent{})
	if os.Getenv(envChild) != "" {
		os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

func TestFlagsAndEnvironment(t *testing.T) {
	const redisURL, upstream = "redis://localhost:6379", "http://localhost:9000"
	for _, c := range []struct {
		args, envRedis string
		want           options
	}{
		{"-redis " + redisURL + " -upstream " + upstream, "", options{redis: redisURL, upstream: upstream, addr: "localhost:8080"}},
		{"-after -addr :82 -upstream " + upstream, redisURL, options{redis: redisURL, upstream: upstream, addr: ":82", after: true}},
		{"-demo", redisURL, options{demo: true, addr: "localhost:8080"}},
	} {
		t.Setenv(envRedis, c.envRedis)
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
		{"-upstream http://localhost", 2, []string{"-redis redis://", "-demo"}},
		{"-redis redis://localhost", 2, []string{"-upstream http://", "-demo"}},
		{"-redis redis://localhost -upstream localhost:9000", 2, []string{"-upstream http://"}},
		{"-redis redis://:secret@local%host -upstream http://localhost", 1, []string{"-redis", "redis://localhost:6379"}},
		{"-redis redis://localhost -upstream http://localhost -addr 8080", 2, []string{"-addr", `"8080"`}},
		{"-demo -after", 2, []string{"-demo", "-after", "leave them out"}},
		{"-h", 0, []string{"-redis", "-upstream", "-addr", "-after", "-demo"}},
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
		if out.Len() > 0 || strings.Contains(errs.String(), "secret") {
			t.Errorf("%s: printed\n%s%s", c.args, &out, &errs)
		}
	}
}
