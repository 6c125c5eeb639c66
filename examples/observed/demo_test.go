package main

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/examples/internal/verdict"
	"github.com/keyrate/keyrate/internal/testkit"
)

// TestDemo runs a fast one, with a redis-server and with its stand-in.
func TestDemo(t *testing.T) {
	testkit.Long(t, "needs real time: scrapes, one after the other")
	for _, embed := range []bool{false, true} {
		t.Run("embedded "+strconv.FormatBool(embed), func(t *testing.T) {
			if !embed {
				testkit.Redis(t)
			}
			var out output
			if err := demo(t.Context(), plan{rules: rulesFolder, every: 400 * time.Millisecond, embed: embed}, &out); err != nil {
				t.Errorf("%v\n%s", err, &out)
			}
			text := out.String()
			if embed != strings.Contains(text, "stand-in") || strings.Contains(text, "BROKEN") || !strings.Contains(text, "showed all that happened") {
				t.Errorf("printed\n%s", text)
			}
		})
	}
}

// TestDemoFindsFaults: what does not happen is missed. A demo that could not fail would show nothing.
func TestDemoFindsFaults(t *testing.T) {
	panels, err := readPanels(rulesFolder)
	if err != nil {
		t.Fatal(err)
	}
	alerts, err := readAlerts(rulesFolder)
	if err != nil {
		t.Fatal(err)
	}
	var out output
	s := &show{plan: plan{every: time.Second}, out: &out, recorded: newRecording(), panels: panels, alerts: alerts}
	const up = "keyrate_store_available{part=\"shared\"} 1\n"
	for _, name := range []string{"calm", "attack"} {
		p := &phase{name: name}
		s.phases = append(s.phases, p)
		for i := range 10 {
			text := up
			if name == "attack" {
				text = strings.Replace(up, "1", "0", 1)
			}
			found, err := parseScrape([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			if s.recorded.add(found); i == 0 {
				p.begin = s.recorded.now
			}
			p.end = s.recorded.now
			for _, a := range alerts {
				if _, err := a.evaluate(t.Context(), s.recorded, name); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	var lines strings.Builder
	v := &verdict.Verdict{Out: &lines}
	if err := s.judgePanels(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	s.judgeAlerts(v)
	text := lines.String()
	for _, want := range []string{
		`BROKEN  "Calls by outcome" has no data`, `held    "Store errors, by type" has no data`, "BROKEN  1 of ", `BROKEN  "Who decides" shows store`, "BROKEN  KeyrateManyDenied fired",
		"BROKEN  KeyrateStoreDown fired in the phase outage", "BROKEN  KeyrateStoreDown ended", "held    KeyrateUndecided did not fire",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	for _, want := range []string{"shared (node)            1      0\n", "KeyrateStoreDown         -      FIRED\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &out)
		}
	}
}

func TestDemoEndsWhenInterrupted(t *testing.T) {
	ctx, stop := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer stop()
	if err := demo(ctx, plan{rules: rulesFolder, every: 100 * time.Millisecond, embed: true}, &output{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the error is %v", err)
	}
}
