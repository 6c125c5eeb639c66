package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/examples/internal/process"
	"github.com/keyrate/keyrate/internal/testkit"
)

// TestMain makes the test's own program a node where the demo asks for one.
func TestMain(m *testing.M) {
	redis.SetLogger(silent{})
	if os.Getenv(envChild) != "" {
		os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// TestDemo runs a short one.
func TestDemo(t *testing.T) {
	testkit.Redis(t)
	p := standard
	p.inside, p.nodes, p.large, p.slower = 3, 10, 10_000, 10 // a machine that also runs other tests is slow
	p.bonus = 5 * time.Second
	var out process.Output
	if err := demo(t.Context(), p, &out); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
	if text := out.String(); strings.Contains(text, "BROKEN") || strings.Count(text, "held    ") != 12 {
		t.Errorf("printed\n%s", text)
	}
}

// TestVerdictFindsFaults: a demo that could not fail would show nothing.
func TestVerdictFindsFaults(t *testing.T) {
	var out bytes.Buffer
	s := &stage{out: &out, plan: plan{slower: 1}}
	s.Out = &out
	s.quick([]time.Duration{2 * time.Second}, time.Second, "slow")
	changes := []change{{Who: "eve", What: []string{"key sha256:0…: 5/s -> 777/s"}}}
	s.audit(changes, missing(changes))
	err := s.Err()
	if err == nil || strings.Count(out.String(), "BROKEN") != 2 || !strings.Contains(err.Error(), "but: operator; 888/s") {
		t.Errorf("%v\n%s", err, &out)
	}
}

// TestLoadFindsFaults: neither a failed call nor a mixed table goes unnoticed.
func TestLoadFindsFaults(t *testing.T) {
	n, err := startNode(t.Context(), 0, "redis://127.0.0.1:1", t.TempDir()) // without Redis, with the table of the program
	if err != nil {
		t.Fatal(err)
	}
	defer n.End()
	l := load{client: http.DefaultClient}
	l.look(t.Context(), n)
	if len(l.faults) != 1 || !strings.Contains(l.faults[0], "mixed or not whole") {
		t.Errorf("%q", l.faults)
	}
	n.End()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	l.run(ctx, n, 1)
	if len(l.faults) < 2 || !strings.Contains(l.faults[1], "a call failed") {
		t.Errorf("%q", l.faults)
	}
}

// TestNodeEndsWithItsParent: a node ends by itself when its standard input does.
func TestNodeEndsWithItsParent(t *testing.T) {
	n, err := startNode(t.Context(), 0, "redis://127.0.0.1:1", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer n.End()
	if err := n.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-n.Ended():
	case <-time.After(process.ServeTime):
		t.Errorf("it goes on; it said:\n%s", n.Output())
	}
}

func TestDemoEndsWhenInterrupted(t *testing.T) {
	testkit.Redis(t)
	ctx, stop := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer stop()
	if err := demo(ctx, standard, new(process.Output)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the error is %v", err)
	}
}

func TestBadFlagsAreNamedAndTheFixShown(t *testing.T) {
	t.Setenv(envRedis, "")
	t.Setenv(envSecret, "s")
	for _, c := range []struct {
		args   string
		status int
		want   []string // in what is printed
	}{
		{"", 2, []string{"-redis redis://", "-demo"}},
		{"-redis localhost", 1, []string{"-redis", "redis://"}},
		{"-redis redis://localhost -addr 8080", 2, []string{"-addr", `"8080"`}},
		{"-demo -file x", 2, []string{"-demo", "-file", "leave them out"}},
		{"-demo -slower 0", 2, []string{"-slower", "from 1 to 100"}},
		{"-redis redis://localhost -slower 2", 2, []string{"-slower goes with -demo"}},
		{"-h", 0, []string{"-redis", "-addr", "-file", "-demo"}},
	} {
		var errs bytes.Buffer
		if status := run(t.Context(), strings.Fields(c.args), nil, io.Discard, &errs); status != c.status {
			t.Errorf("%s: status %d, want %d", c.args, status, c.status)
		}
		for _, want := range c.want {
			if !strings.Contains(errs.String(), want) {
				t.Errorf("%s: %q is missing in\n%s", c.args, want, &errs)
			}
		}
	}
	t.Setenv(envSecret, "")
	var errs bytes.Buffer
	if status := run(t.Context(), []string{"-redis", "redis://localhost"}, nil, io.Discard, &errs); status != 2 || !strings.Contains(errs.String(), envSecret) {
		t.Errorf("without a secret: status %d\n%s", status, &errs)
	}
}
