package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
)

// TestDemo runs a fast one, with a redis-server and with its stand-in.
func TestDemo(t *testing.T) {
	testkit.Long(t, "needs real time: scrapes, one after the other")
	for _, embed := range []bool{false, true} {
		t.Run("embedded "+strconv.FormatBool(embed), func(t *testing.T) {
			if !embed {
				needRedis(t)
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
	v := &verdict{}
	if err := s.judgePanels(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	s.judgeAlerts(v)
	text := v.lines.String()
	for _, want := range []string{
		`BROKEN  "Calls by outcome" has no data`, `true    "Store errors, by type" has no data`, "BROKEN  1 of ", `BROKEN  "Who decides" shows store`, "BROKEN  KeyrateManyDenied fired",
		"BROKEN  KeyrateStoreDown fired in the phase outage", "BROKEN  KeyrateStoreDown ended", "true    KeyrateUndecided did not fire",
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

// needRedis skips a test where there is no redis-server, unless CI has promised one.
func needRedis(t *testing.T) {
	t.Helper()
	testkit.Long(t, "needs redis-server")
	_, err := exec.LookPath("redis-server")
	if err == nil {
		return
	}
	if os.Getenv("KEYRATE_REQUIRE_REDIS") == "1" {
		t.Fatalf("KEYRATE_REQUIRE_REDIS=1, but redis-server cannot be used: %v", err)
	}
	t.Skipf("redis-server cannot be used: %v", err)
}
