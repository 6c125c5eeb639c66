package metrics_test

import (
	"regexp"
	"slices"
	"testing"

	"github.com/keyrate/keyrate/ratelimit/metrics"
)

// TestInstruments: names, units and labels are those of OpenTelemetry, and each instrument has
// a text.
func TestInstruments(t *testing.T) {
	name, label := regexp.MustCompile(`^keyrate(\.[a-z]+)+$`), regexp.MustCompile(`^[a-z]+(\.[a-z]+)?$`)
	var names []string
	for _, i := range metrics.Instruments() {
		if !name.MatchString(i.Name) || slices.Contains(names, i.Name) || i.Unit == "" || i.Help == "" {
			t.Errorf("%+v", *i)
		}
		names = append(names, i.Name)
		for _, l := range i.Labels {
			if !label.MatchString(l) {
				t.Errorf("%s: label %q", i.Name, l)
			}
		}
		if (i.Kind == metrics.Histogram) != (len(i.Bounds) > 0) || !slices.IsSorted(i.Bounds) {
			t.Errorf("%s: bounds %v", i.Name, i.Bounds)
		}
	}
}

func TestOutcomes(t *testing.T) {
	var texts []string
	for o := range metrics.Outcomes {
		text := metrics.Outcome(o).String()
		if text == "" || slices.Contains(texts, text) {
			t.Errorf("outcome %d is %q", o, text)
		}
		texts = append(texts, text)
	}
}

type source func(r *metrics.Reading)

func (s source) Measure(r *metrics.Reading) { s(r) }

// TestRead: values of several sources are added, what they share is read once, and points are
// in order.
func TestRead(t *testing.T) {
	shared := new(int)
	s := source(func(r *metrics.Reading) {
		r.Add(metrics.Checks, 2, "denied")
		r.Add(metrics.Checks, 1, "allowed")
		r.Set(metrics.LimitTokens, 5, "default", "")
		r.SetMax(metrics.HoldsOldest, 7, "default")
		r.SetMax(metrics.HoldsOldest, 3, "default")
		r.AddHistogram(metrics.Utilization, 1.5, []uint64{1, 0, 0, 0, 0, 1}, "default")
		if r.First(shared) {
			r.Add(metrics.Buckets, 7, "memory")
		}
	})
	r := metrics.Read(s, s)
	for i, want := range map[*metrics.Instrument][]metrics.Point{
		metrics.Checks:      {{Labels: []string{"allowed"}, Value: 2}, {Labels: []string{"denied"}, Value: 4}},
		metrics.LimitTokens: {{Labels: []string{"default", ""}, Value: 5}},
		metrics.Buckets:     {{Labels: []string{"memory"}, Value: 7}},
		metrics.Utilization: {{Labels: []string{"default"}, Value: 3, Buckets: []uint64{2, 0, 0, 0, 0, 2}}},
		metrics.HoldsOldest: {{Labels: []string{"default"}, Value: 7}},
		metrics.Holds:       {},
	} {
		if got := r.Points(i); !slices.EqualFunc(got, want, func(a, b metrics.Point) bool {
			return slices.Equal(a.Labels, b.Labels) && a.Value == b.Value && slices.Equal(a.Buckets, b.Buckets)
		}) {
			t.Errorf("%s: %v; want %v", i.Name, got, want)
		}
	}
}
