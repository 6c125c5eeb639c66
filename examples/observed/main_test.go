package main

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

func TestMain(m *testing.M) {
	redis.SetLogger(silent{})
	os.Exit(m.Run())
}

const rulesFolder = "../../ratelimit/metrics/prometheus"

func TestFlagsAndEnvironment(t *testing.T) {
	const url, addr = "redis://localhost:6379", "localhost:8080"
	for _, c := range []struct {
		args     []string
		envRedis string
		want     options
	}{
		{[]string{"-redis", url}, "", options{redis: url, addr: addr, rules: rulesFolder}},
		{nil, url, options{redis: url, addr: addr, rules: rulesFolder}},
		{[]string{"-redis", ""}, url, options{addr: addr, rules: rulesFolder}},
		{[]string{"-redis", url, "-addr", ":82", "-otel", "10s"}, "redis://other", options{redis: url, addr: ":82", otel: 10 * time.Second, rules: rulesFolder}},
		{[]string{"-demo", "-rules", "x"}, url, options{demo: true, addr: addr, rules: "x"}},
	} {
		t.Setenv(envRedis, c.envRedis)
		if got, err := parse(c.args, io.Discard); err != nil || got != c.want {
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
		{"", 2, []string{"-redis redis://", "-demo", `-redis ""`}},
		{"-redis localhost", 1, []string{"-redis", "redis://"}},
		{"-redis redis://localhost -addr 8080", 2, []string{"-addr", `"8080"`, "such as -addr localhost:8081"}},
		{"-redis redis://localhost -otel -1s", 2, []string{"-otel", "negative"}},
		{"-redis redis://localhost -demo", 2, []string{"-redis", "-demo", "leave them out"}},
		{"-redis redis://localhost -rules x", 2, []string{"-rules", "-demo"}},
		{"-demo -rules nowhere", 1, []string{"-rules", "nowhere"}},
		{"redis://localhost", 2, []string{"redis://localhost", "-redis"}},
		{"-h", 0, []string{"-redis", "-addr", "-otel", "-demo", "-rules"}},
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
