package ratelimit_test

import (
	"encoding/json"
	"flag"
	"regexp"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
)

var quoted = regexp.MustCompile(`"([^"]*)"`)

// suggested returns what the error for a text says should be written, and fails if it
// names more than one text. The text that was found does not count.
func suggested(t *testing.T, text string, err error) (suggestion string) {
	t.Helper()
	all := ratelimit.Faults(err)
	if len(all) != 1 || all[0].Value != text {
		return ""
	}
	_, written, found := strings.Cut(all[0].Want, "written ")
	if !found {
		return ""
	}
	if m := quoted.FindAllStringSubmatch(all[0].Want, -1); len(m) != 1 || `"`+m[0][1]+`"` != written {
		t.Errorf("%q: not one suggestion: %v", text, err)
		return ""
	}
	return strings.Trim(written, `"`)
}

// TestOtherSpellings: the error for a limit as other libraries, servers and people write
// it holds the text to write, which is read as what was meant.
func TestOtherSpellings(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		// Spaces and signs that do not belong there.
		{"5 / 30s", "5/30s"}, {"5/ 30s", "5/30s"}, {"5/1 s", "5/s"}, {"5 /s", "5/s"}, {"\t5/s;", "5/s"}, {`"5/s"`, "5/s"}, {"5/s.", "5/s"}, {"+5/s", "5/s"},
		{"5/\u00a030s", "5/30s"}, {"5/s;; burst=10;", "5/s;burst=10"},
		// Large numbers.
		{"10,000/d", "10000/d"}, {"10_000/d", "10000/d"}, {"10'000/d", "10000/d"}, {"10 000/d", "10000/d"}, {"1,000,000/d", "1000000/d"},
		{"1k/h", "1000/h"}, {"1.5K/h", "1500/h"}, {"2M/d", "2000000/d"}, {"10,000 / 30s", "10000/30s"}, {"5.0/s", "5/s"},
		// Less than one.
		{"0.5/s", "1/2s"}, {".1/m", "1/10m"}, {"0.25 per hour", "1/4h"},
		// Units.
		{"5/sec", "5/s"}, {"5/secs", "5/s"}, {"5/second", "5/s"}, {"5/30 seconds", "5/30s"}, {"5/S", "5/s"}, {"100/min", "100/m"}, {"100/minute", "100/m"}, {"100/5 mins", "100/5m"},
		{"5/hr", "5/h"}, {"5/hour", "5/h"}, {"5/Hour", "5/h"}, {"5/day", "5/d"}, {"5/3days", "5/3d"}, {"5/1w", "5/7d"}, {"5/week", "5/7d"}, {"5/2 weeks", "5/14d"},
		{"10000/month", "10000/30d"}, {"10000/mo", "10000/30d"}, {"10000/3 months", "10000/90d"}, {"10000/year", "10000/365d"}, {"5/500 milliseconds", "5/500ms"},
		{"5/1.5d", "5/36h"}, {"5/1d12h", "5/36h"}, {"5/1 min 30 sec", "5/90s"}, {"5/PT1M", "5/m"}, {"5/P1DT12H", "5/36h"},
		// Sentences.
		{"5 per second", "5/s"}, {"5 requests per second", "5/s"}, {"5 req/s", "5/s"}, {"5 reqs / min", "5/m"}, {"1 request every 10 seconds", "1/10s"}, {"3 times a day", "3/d"},
		{"20 in 5 minutes", "20/5m"}, {"10 per hour", "10/h"}, {"1 per 2 minutes", "1/2m"}, {"100 calls within an hour", "100/h"}, {"1000 daily", "1000/d"},
		// nginx, ulule/limiter, dashboards, the drafts of the IETF.
		{"5r/s", "5/s"}, {"30r/m", "30/m"}, {"rate=10r/s burst=20 nodelay", "10/s;burst=20"}, {"100-M", "100/m"}, {"5-S", "5/s"}, {"1000-H", "1000/h"}, {"2000-D", "2000/d"}, {"10-s", "10/s"},
		{"100rps", "100/s"}, {"100 rpm", "100/m"}, {"100qps", "100/s"}, {"100;w=60", "100/m"}, {"q=5;w=1", "5/s"},
		// Calls at a time.
		{"10 at once", "10 at a time"}, {"10 at time", "10 at a time"}, {"10 at one time", "10 at a time"}, {"10 concurrent requests", "10 at a time"}, {"max 10 in parallel", "10 at a time"}, {"10 At A Time", "10 at a time"},
		{"1,000 at a time", "1000 at a time"}, {"10 requests in flight", "10 at a time"}, {"10 max concurrent", "10 at a time"},
		// Options.
		{"5/s, burst=10", "5/s;burst=10"}, {"5/s burst 10", "5/s;burst=10"}, {"5/s; burst = 10", "5/s;burst=10"}, {"5/s;Burst=10", "5/s;burst=10"}, {"5/s burst of 10", "5/s;burst=10"},
		{"1,000/d; name=daily", "1000/d;name=daily"}, {"5 / s; shadow", "5/s;shadow"}, {"5/sec;enforce-from=2027-01-31", "5/s;enforce-from=2027-01-31"},
	} {
		_, err := ratelimit.ParseLimit(test.text)
		if got := suggested(t, test.text, err); got != test.want {
			t.Errorf("ParseLimit(%q): %v; want %q", test.text, err, test.want)
		} else if l, err := ratelimit.ParseLimit(got); err != nil || l.String() != test.want {
			t.Errorf("%q: the suggestion %q is read as %v, %v", test.text, got, l, err)
		}
		if _, err := ratelimit.ParsePolicy(test.text); err == nil {
			if trimmed := strings.TrimSpace(test.text); trimmed == test.text {
				t.Errorf("ParsePolicy(%q): it is read", test.text)
			}
		} else if got := suggested(t, test.text, err); got != test.want {
			t.Errorf("ParsePolicy(%q): %v; want %q", test.text, err, test.want)
		}
	}
}

// TestOtherSpellingsOfPolicies: several limits need a comma between, and names.
func TestOtherSpellingsOfPolicies(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"20/5m;100/h", "20/5m, 100/h;name=hourly"}, {"10/hour;100/day;2000 per year", "10/h, 100/d;name=daily, 2000/365d;name=per-365d"},
		{"5/s 100/h", "5/s, 100/h;name=hourly"}, {"5/s and 1000/d", "5/s, 1000/d;name=daily"}, {"5 per second | 100 per minute", "5/s, 100/m;name=per-m"},
		{"5/s;burst=10;1,000/h;burst=50", "5/s;burst=10, 1000/h;burst=50;name=hourly"}, {"5/s, 10,000/month;name=monthly", "5/s, 10000/30d;name=monthly"},
		{"1-S,100-M", "1/s, 100/m;name=per-m"}, {"5/s\n100/h", "5/s, 100/h;name=hourly"}, {"5/sec, 10,000/d, 100,000/month", "5/s, 10000/d;name=daily, 100000/30d;name=monthly"},
	} {
		_, err := ratelimit.ParsePolicy(test.text)
		got := suggested(t, test.text, err)
		if got != test.want {
			t.Errorf("ParsePolicy(%q): %v; want %q", test.text, err, test.want)
		} else if p, err := ratelimit.ParsePolicy(got); err != nil || p.String() != test.want {
			t.Errorf("%q: the suggestion %q is read as %v, %v", test.text, got, p, err)
		}
		_, err = ratelimit.ParseLimit(test.text)
		if got := suggested(t, test.text, err); got != test.want || !strings.Contains(err.Error(), "must be one limit") {
			t.Errorf("ParseLimit(%q): %v; want that it is a policy, %q", test.text, err, test.want)
		}
	}
	for _, text := range []string{"Unlimited", "UNLIMITED", "no limit", "infinite", `"unlimited"`} {
		_, err := ratelimit.ParsePolicy(text)
		if got := suggested(t, text, err); got != "unlimited" {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestNoGuess: a text that can mean two things, or nothing, is an error without a guess.
func TestNoGuess(t *testing.T) {
	for _, text := range []string{
		"5/M", "5/1M", "5/MS", "10.000/d", "10.000,5/d", "1,5/s", "1,00/d", "0,500/d", "1,000_000/d", "5.5/s", "0.3/s", "1m/d", "5/60", "100/3600", "5-10/s", "5-10s", "100-1M", "5/quarter",
		"-5/s", "1e3/s", "0x5/s", "٥/s", "5/s/s", "5//s", "5/x", "5/d1d", "5/s;burst=5;burst=6", "5/s;limit=5", "5/sec;name=sk-canary-987", "5/sec;name=canary", "s/5", "/s", "5/", "none", "five per second",
		"0/sec", "0 per second", "5000000000/sec", "5/0 s", "5/1 ns", "5/200 years", "5/s 6", "1/s;2/m;3/h;4/d;5/w", "sk-canary-987", "5/s;sk-canary-987",
		"5/s " + strings.Repeat(" ", 300), "99999999999999999999-M",
	} {
		for name, parse := range map[string]func(string) error{
			"ParseLimit":  func(s string) error { _, err := ratelimit.ParseLimit(s); return err },
			"ParsePolicy": func(s string) error { _, err := ratelimit.ParsePolicy(s); return err },
		} {
			err := parse(text)
			if err == nil {
				if name == "ParsePolicy" && strings.TrimSpace(text) == "5/s" {
					continue
				}
				t.Errorf("%s(%.50q): it is read", name, text)
			} else if strings.Contains(err.Error(), "written") {
				t.Errorf("%s(%.50q): a guess: %v", name, text, err)
			}
		}
	}
}

// TestOtherSpellingsByPart: limits with one part that cannot be understood, each part by itself.
func TestOtherSpellingsByPart(t *testing.T) {
	_, err := ratelimit.ParsePolicy("5/sec, 6/x, seven")
	if all := ratelimit.Faults(err); len(all) != 3 || !strings.Contains(all[0].Want, `"5/s"`) || strings.Contains(all[1].Want+all[2].Want, "written") {
		t.Error(err)
	}
}

// TestOtherSpellingsInFlagsAndJSON: the texts that a program reads in other ways.
func TestOtherSpellingsInFlagsAndJSON(t *testing.T) {
	var l ratelimit.Limit
	if err := json.Unmarshal([]byte(`"10,000/d"`), &l); err == nil || !strings.Contains(err.Error(), `must be written "10000/d"`) {
		t.Error(err)
	}
	set := flag.NewFlagSet("", flag.ContinueOnError)
	set.SetOutput(new(strings.Builder))
	set.TextVar(&l, "limit", ratelimit.PerSecond(1), "")
	if err := set.Parse([]string{"-limit", "5 per second"}); err == nil || !strings.Contains(err.Error(), `must be written "5/s"`) {
		t.Error(err)
	}
	_, err := plans.ReadTableConfig(strings.NewReader(`{"default": "5 / 30s", "plans": {"gold": ["100-M"]}, "keys": {"alice": "1k/h"}}`))
	for _, want := range []string{"5/30s", "100/m", "1000/h"} {
		if err == nil || !strings.Contains(err.Error(), `must be written "`+want+`"`) {
			t.Errorf("no %s: %v", want, err)
		}
	}
}

func FuzzOtherSpellings(f *testing.F) {
	for _, text := range []string{"5 / 30s", "10,000/d", "20/5m;100/h", "5r/s burst=20", "100-M", "5/PT1M", "0.5/s", "100;w=60", "5/s, 6/m, 7/h;name=x", "1 and 2/s", "5/1d 1.5h"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, err := ratelimit.ParsePolicy(text)
		if err == nil {
			return
		}
		_, written, found := strings.Cut(err.Error(), `must be written "`)
		if !found || len(ratelimit.Faults(err)) != 1 {
			return
		}
		written = strings.TrimSuffix(written, `"`)
		if p, err := ratelimit.ParsePolicy(written); err != nil || p.String() != written || written == text {
			t.Errorf("%q: the suggestion %q is read as %v, %v", text, written, p, err)
		}
	})
}

func BenchmarkOtherSpelling(b *testing.B) {
	for b.Loop() {
		_, _ = ratelimit.ParsePolicy("five per second")
		_, _ = ratelimit.ParsePolicy("5 requests per secund")
	}
}
