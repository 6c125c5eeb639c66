package rules_test

import (
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/keyrate/keyrate/ratelimit/metrics"
	keyrateprometheus "github.com/keyrate/keyrate/ratelimit/metrics/prometheus"
)

func alerts(t *testing.T) []rulefmt.Rule {
	t.Helper()
	text, err := os.ReadFile("../alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	groups, errs := rulefmt.Parse(text, false, model.UTF8Validation, language, slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var rules []rulefmt.Rule
	for _, g := range groups.Groups {
		rules = append(rules, g.Rules...)
	}
	return rules
}

// firing returns the labels with which an alert fires at some time.
func (r *recording) firing(t *testing.T, rule rulefmt.Rule) (all []labels.Labels) {
	t.Helper()
	for _, s := range r.evaluate(t, rule.Expr) {
		for i, since := 0, 0; i < len(s.Floats); i++ {
			if i > 0 && s.Floats[i].T-s.Floats[i-1].T > interval.Milliseconds() {
				since = i
			}
			if time.Duration(s.Floats[i].T-s.Floats[since].T)*time.Millisecond >= time.Duration(rule.For) {
				all = append(all, s.Metric)
				break
			}
		}
	}
	return all
}

// TestAlerts: in each scenario exactly the alerts fire that it names, and each alert in one of them.
func TestAlerts(t *testing.T) {
	rules, fired := alerts(t), make(map[string]bool)
	label := regexp.MustCompile(`\$labels\.(\w+)`)
	for _, s := range scenarios {
		r := recordAll(t)[s.name]
		var got []string
		for _, rule := range rules {
			for _, l := range r.firing(t, rule) {
				fired[rule.Alert] = true
				name := strings.TrimSpace(rule.Alert + " " + l.Get("instance"))
				if !slices.Contains(got, name) {
					got = append(got, name)
				}
				for _, m := range label.FindAllStringSubmatch(rule.Annotations["summary"], -1) {
					if l.Get(m[1]) == "" {
						t.Errorf("%s has no label %s: %s", rule.Alert, m[1], l)
					}
				}
			}
		}
		want := slices.Sorted(slices.Values(s.alerts))
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s: %q; want %q", s.name, got, want)
		}
	}
	for _, rule := range rules {
		if !fired[rule.Alert] || !strings.HasPrefix(rule.Alert, "Keyrate") {
			t.Errorf("%s does not fire in any scenario, or has another prefix", rule.Alert)
		}
		if err := check(rule.Expr); err != nil {
			t.Errorf("%s: %v", rule.Alert, err)
		}
	}
}

// TestRunbook: docs/alerts.md has a heading for each alert and no other, and each alert links to it.
func TestRunbook(t *testing.T) {
	text, err := os.ReadFile("../../../../docs/alerts.md")
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, m := range regexp.MustCompile(`(?m)^## (Keyrate\w+)$`).FindAllStringSubmatch(string(text), -1) {
		got = append(got, m[1])
	}
	for _, rule := range alerts(t) {
		want = append(want, rule.Alert)
		if url := rule.Annotations["runbook_url"]; !strings.HasSuffix(url, "docs/alerts.md#"+strings.ToLower(rule.Alert)) {
			t.Errorf("%s links to %s", rule.Alert, url)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the page has %q; want %q", got, want)
	}
}

// metricNames returns the labels of each name under which Prometheus stores an instrument.
func metricNames() map[string][]string {
	all := make(map[string][]string)
	for _, i := range metrics.Instruments() {
		known := []string{model.MetricNameLabel, "job", "instance", "pod"}
		for _, l := range i.Labels {
			known = append(known, strings.ReplaceAll(l, ".", "_"))
		}
		name := keyrateprometheus.Name(i)
		if i.Kind != metrics.Histogram {
			all[name] = known
			continue
		}
		all[name+"_sum"], all[name+"_count"] = known, known
		all[name+"_bucket"] = append(slices.Clip(known), "le")
	}
	return all
}

// check returns an error if an expression reads a metric or a label that keyrate does not have.
func check(expr string) (err error) {
	e, err := language.ParseExpr(expr)
	if err != nil {
		return err
	}
	names := metricNames()
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		s, ok := n.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		known := names[s.Name]
		if known == nil {
			err = fmt.Errorf("there is no metric %s", s.Name)
		}
		for _, m := range s.LabelMatchers {
			if known != nil && !slices.Contains(known, m.Name) {
				err = fmt.Errorf("%s has no label %s", s.Name, m.Name)
			}
		}
		return nil
	})
	return err
}

// TestCheck: a metric or a label that keyrate does not have is found.
func TestCheck(t *testing.T) {
	for expr, good := range map[string]bool{
		`rate(keyrate_checks_total{outcome="denied"}[5m])`: true,
		`rate(keyrate_check_total[5m])`:                    false,
		`sum(rate(keyrate_check_duration_seconds[5m]))`:    false,
		`keyrate_holds{limits="a"}`:                        false,
		`keyrate_holds{`:                                   false,
	} {
		if err := check(expr); (err == nil) != good {
			t.Errorf("%s: %v", expr, err)
		}
	}
}
