package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/examples/internal/process"
	"github.com/keyrate/keyrate/internal/testkit"
)

// TestDemo runs a short one, with a redis-server and with its stand-in.
func TestDemo(t *testing.T) {
	testkit.Long(t, "needs real time: callers who call while a Redis hangs")
	for _, embed := range []bool{false, true} {
		t.Run("embedded "+strconv.FormatBool(embed), func(t *testing.T) {
			if !embed {
				testkit.Redis(t)
			}
			t.Parallel()
			// A decision waits for Redis for 50 ms at most: on a machine that is late by as much, Redis seems to be down.
			testkit.WatchStalls(t).Replay(t, 25*time.Millisecond, func(t testing.TB) { testDemo(t, embed) })
		})
	}
}

func testDemo(t testing.TB, embed bool) {
	t.Helper()
	p := planOf(600*time.Millisecond, 600*time.Millisecond, 900*time.Millisecond, 600*time.Millisecond, 2400*time.Millisecond)
	p.step, p.embed = 300*time.Millisecond, embed
	file := filepath.Join(t.TempDir(), "timeline.csv")
	var out, log process.Output
	if err := demo(t.Context(), p, file, &out, slog.New(slog.NewTextHandler(&log, nil))); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
	text := out.String()
	if (embed || !canStop) != strings.Contains(text, "stand-in") || strings.Contains(text, "BROKEN") || strings.Count(text, "held ") != 8 {
		t.Errorf("printed\n%s", text)
	}
	if !strings.Contains(log.String(), "Redis is down") || !strings.Contains(log.String(), "Redis decides again") {
		t.Errorf("logged\n%s", &log)
	}
	wantTimeline(t, file, p)
}

// wantTimeline compares the file with the plan.
func wantTimeline(t testing.TB, file string, p plan) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(bytes.NewReader(content)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(lines) != 1+int(p.lasts()/p.step) || !slices.Equal(lines[0], columns) {
		t.Fatalf("the file is\n%s", content)
	}
	sum, phases := 0, []string{}
	for _, line := range lines[1:] {
		for _, cell := range line[3:7] {
			n, err := strconv.Atoi(cell)
			if err != nil {
				t.Error(err)
			}
			sum += n
		}
		phases = append(phases, line[2])
	}
	if want := int(p.lasts() * callRate / time.Second); sum != want {
		t.Errorf("%d calls are in the file, want %d", sum, want)
	}
	want := []string{"well", "hung", "well again", "dead", "back, empty"}
	if got := slices.Compact(phases); !slices.Equal(got, want) {
		t.Errorf("the phases are %q, want %q", got, want)
	}
}

func TestDemoEndsWhenInterrupted(t *testing.T) {
	testkit.Long(t, "needs real time: callers who call while a Redis hangs")
	ctx, stop := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer stop()
	p := standard
	p.embed = true
	begin := time.Now()
	if err := demo(ctx, p, "", new(process.Output), slog.New(slog.DiscardHandler)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the error is %v", err)
	}
	if took := time.Since(begin); took > p.lasts()/2 {
		t.Errorf("it took %v", took)
	}
}
