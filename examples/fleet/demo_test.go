package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/examples/internal/process"
	"github.com/keyrate/keyrate/internal/testkit"
)

// TestDemo runs a short one.
func TestDemo(t *testing.T) {
	testkit.Redis(t)
	p := standard
	p.fewer = 2 // a machine that also runs other tests, with the race detector, is slow
	p.below, p.above, p.dead, p.down, p.back = 2*time.Second, time.Second, time.Second, 500*time.Millisecond, time.Second
	var out process.Output
	if err := demo(t.Context(), p, &out); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
	if text := out.String(); strings.Contains(text, "BROKEN") || strings.Count(text, "held    ") != 11 {
		t.Errorf("printed\n%s", text)
	}
}

// TestNodeEndsWithItsParent: a node ends by itself when its standard input does.
func TestNodeEndsWithItsParent(t *testing.T) {
	n, err := startNode(t.Context(), 0, "redis://127.0.0.1:1", t.TempDir(), true)
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
