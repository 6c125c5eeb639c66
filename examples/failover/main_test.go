package main

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

func TestFlagsAndEnvironment(t *testing.T) {
	const url = "redis://localhost:6379"
	for _, c := range []struct {
		args, envRedis, envAddr string
		want                    options
	}{
		{"-redis " + url, "", "", options{redis: url, addr: ":8080", nodes: 1}},
		{"", url, "localhost:81", options{redis: url, addr: "localhost:81", nodes: 1}},
		{"-redis " + url + " -addr :82 -nodes 3", "redis://other", ":83", options{redis: url, addr: ":82", nodes: 3}},
		{"-demo -timeline x.csv", url, ":83", options{demo: true, timeline: "x.csv", nodes: 1}},
	} {
		t.Setenv(envRedis, c.envRedis)
		t.Setenv(envAddr, c.envAddr)
		if got, err := parse(strings.Fields(c.args), io.Discard); err != nil || got != c.want {
			t.Errorf("parse(%q) = %+v, %v; want %+v", c.args, got, err, c.want)
		}
	}
}

func TestBadFlagsAreNamedAndTheFixShown(t *testing.T) {
	t.Setenv(envRedis, "")
	t.Setenv(envAddr, "")
	for _, c := range []struct {
		args   string
		status int
		want   []string // in what is printed
	}{
		{"", 2, []string{"-redis redis://", "-demo"}},
		{"-redis localhost", 1, []string{"-redis", "redis://"}},
		{"-redis redis://localhost -addr 8080", 2, []string{"-addr", `"8080"`, "such as -addr localhost:8081"}},
		{"-redis redis://localhost -nodes 0", 2, []string{"-nodes", "at least 1"}},
		{"-redis redis://localhost -demo", 2, []string{"-redis", "-demo", "leave them out"}},
		{"-redis redis://localhost -timeline x", 2, []string{"-timeline", "-demo"}},
		{"redis://localhost", 2, []string{"redis://localhost", "-redis"}},
		{"-h", 0, []string{"-redis", "-addr", "-nodes", "-demo", "-timeline"}},
	} {
		var out, errs bytes.Buffer
		if status := run(t.Context(), strings.Fields(c.args), &out, &errs); status != c.status {
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

func TestMain(m *testing.M) {
	redis.SetLogger(silent{})
	os.Exit(m.Run())
}
