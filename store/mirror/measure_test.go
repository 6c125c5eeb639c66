package mirror_test

import (
	"testing"

	"github.com/keyrate/keyrate/ratelimit/metrics"
	"github.com/keyrate/keyrate/store/memstore"
	"github.com/keyrate/keyrate/store/mirror"
)

// TestMeasure: a mirror shows the parts of the shared store and the class of its own errors from
// the start, and what the shared store shows, once.
func TestMeasure(t *testing.T) {
	s, err := mirror.New(memstore.New(memstore.Config{}), mirror.Config{Nodes: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r := metrics.Read(s, s)
	for i, want := range map[*metrics.Instrument]metrics.Point{
		metrics.StoreAvailable: {Labels: []string{mirror.PartShared}, Value: 1},
		metrics.StoreErrors:    {Labels: []string{mirror.ClassDown}},
		metrics.Buckets:        {Labels: []string{"memory"}},
	} {
		if got := r.Points(i); len(got) != 1 || got[0].Labels[0] != want.Labels[0] || got[0].Value != want.Value {
			t.Errorf("%s: %v; want %v", i.Name, got, want)
		}
	}
}
