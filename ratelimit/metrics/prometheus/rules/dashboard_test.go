package rules_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/ratelimit/metrics"
	keyrateprometheus "github.com/keyrate/keyrate/ratelimit/metrics/prometheus"
)

// A panel of a Grafana dashboard, as far as it is tested.
type panel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  struct{ H, W, X, Y int }
	Datasource               struct{ UID string }
	Targets                  []struct {
		RefID, Expr, LegendFormat string
		Datasource                struct{ UID string }
	}
}

// panels returns those of the dashboard with expressions, in which its variables have values.
func panels(t *testing.T) []panel {
	t.Helper()
	text, err := os.ReadFile("../grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels     []panel
		Templating struct {
			List []struct{ Name, Definition string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	values := strings.NewReplacer("$__rate_interval", "1m", "$job", ".+", "$instance", ".+")
	query := regexp.MustCompile(`^label_values\((.*), \w+\)$`)
	for _, v := range dashboard.Templating.List {
		if m := query.FindStringSubmatch(v.Definition); m != nil {
			if err := check(values.Replace(m[1])); err != nil {
				t.Errorf("the variable %s: %v", v.Name, err)
			}
		} else if v.Name != "datasource" {
			t.Errorf("the variable %s has no query", v.Name)
		}
	}
	var all []panel
	for _, p := range dashboard.Panels {
		if p.Type == "row" {
			continue
		}
		for i := range p.Targets {
			p.Targets[i].Expr = values.Replace(p.Targets[i].Expr)
		}
		all = append(all, p)
	}
	return all
}

// TestPanels: each expression of the dashboard gives data in some scenario, with the labels that
// its legend names, and each instrument is on the dashboard.
func TestPanels(t *testing.T) {
	var exprs strings.Builder
	label := regexp.MustCompile(`\{\{(\w+)\}\}`)
	for _, p := range panels(t) {
		if p.Description == "" || len(p.Targets) == 0 {
			t.Errorf("%s: no description or no expression", p.Title)
		}
		for _, target := range p.Targets {
			exprs.WriteString(target.Expr + "\n")
			if err := check(target.Expr); err != nil {
				t.Errorf("%s: %v", p.Title, err)
			}
			found := false
			for _, s := range scenarios {
				for _, series := range recordAll(t)[s.name].evaluate(t, target.Expr) {
					found = true
					for _, m := range label.FindAllStringSubmatch(target.LegendFormat, -1) {
						if series.Metric.Get(m[1]) == "" {
							t.Errorf("%s: %s has no label %s", p.Title, target.Expr, m[1])
						}
					}
				}
				if found {
					break
				}
			}
			if !found {
				t.Errorf("%s: no data: %s", p.Title, target.Expr)
			}
		}
	}
	for _, i := range metrics.Instruments() {
		if !regexp.MustCompile(keyrateprometheus.Name(i) + `(_bucket)?\{`).MatchString(exprs.String()) {
			t.Errorf("%s is in no panel", keyrateprometheus.Name(i))
		}
	}
}

// TestLayout: panels have numbers of their own, are within the 24 columns of Grafana and do not
// overlap, and use the data source that is chosen.
func TestLayout(t *testing.T) {
	all := panels(t)
	for i, p := range all {
		at := p.GridPos
		if at.W < 1 || at.H < 1 || at.X < 0 || at.X+at.W > 24 {
			t.Errorf("%s is at %+v", p.Title, at)
		}
		for _, target := range p.Targets {
			if uids := []string{p.Datasource.UID, target.Datasource.UID}; slices.ContainsFunc(uids, func(s string) bool { return s != "${datasource}" }) {
				t.Errorf("%s uses the data sources %q", p.Title, uids)
			}
		}
		for _, other := range all[:i] {
			o := other.GridPos
			if other.ID == p.ID || at.X < o.X+o.W && o.X < at.X+at.W && at.Y < o.Y+o.H && o.Y < at.Y+at.H {
				t.Errorf("%s and %s overlap, or have one number", p.Title, other.Title)
			}
		}
	}
}
