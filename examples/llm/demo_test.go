package main

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/examples/internal/process"
	"github.com/keyrate/keyrate/internal/testkit"
)

// TestDemo runs it with a redis-server and with its stand-in.
func TestDemo(t *testing.T) {
	testkit.Long(t, "needs real time: streams, and a killed gateway whose places come free")
	for _, embed := range []bool{false, true} {
		t.Run("embedded "+strconv.FormatBool(embed), func(t *testing.T) {
			if !embed {
				testkit.Redis(t)
			}
			p := standard
			p.atLeast, p.embed = 4*time.Second, embed
			var out process.Output
			if err := demo(t.Context(), p, &out); err != nil {
				t.Errorf("%v\n%s", err, &out)
			}
			text := out.String()
			if embed != strings.Contains(text, "stand-in") || strings.Contains(text, "BROKEN") || strings.Count(text, "held    ") != 3*len(organisations)+2 {
				t.Errorf("printed\n%s", text)
			}
		})
	}
}

// TestNodeEndsWithItsParent: a gateway ends by itself when its standard input does.
func TestNodeEndsWithItsParent(t *testing.T) {
	n, err := startNode(t.Context(), "redis://127.0.0.1:1", "http://127.0.0.1:1", false)
	if err != nil {
		t.Fatal(err)
	}
	defer n.End()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, n.url+"/v1/chat/completions", strings.NewReader(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized {
		t.Errorf("a call without a key: %s", response.Status)
	}
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
	testkit.Long(t, "needs real time: streams that are interrupted")
	ctx, stop := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer stop()
	p := standard
	p.embed = true
	if err := demo(ctx, p, new(process.Output)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the error is %v", err)
	}
}
