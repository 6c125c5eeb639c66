package file_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/keyrate/keyrate/ratelimit/metrics"
	"github.com/keyrate/keyrate/ratelimit/plans/file"
)

// TestMeasure: the version and the failures of a file are shown, whether it could be read last, and
// the limits of its plans.
func TestMeasure(t *testing.T) {
	path := filepath.Join(t.TempDir(), "limits.yaml")
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("default: 5/s\nplans:\n  gold: 100/m\n")
	f, err := file.Open(path, file.Config{})
	if err != nil {
		t.Fatal(err)
	}
	other, err := file.Open(path, file.Config{})
	if err != nil {
		t.Fatal(err)
	}
	successful := func(want float64, files ...metrics.Source) {
		t.Helper()
		if points := metrics.Read(files...).Points(metrics.TableReloadSuccessful); len(points) != 1 || points[0].Value != want {
			t.Errorf("%v; want %v", points, want)
		}
	}
	successful(1, f, other)
	put("default: 5/x\n")
	if err := f.Reload(); err == nil {
		t.Error("a broken file was read")
	}
	successful(0, f)
	successful(0, f, other)
	successful(0, other, f)
	successful(1, other)
	put("default: 6/s\nplans:\n  gold: 100/m\n")
	if err := f.Reload(); err != nil {
		t.Error(err)
	}
	successful(1, f)
	r := metrics.Read(f, f.Table())
	for i, want := range map[*metrics.Instrument]float64{metrics.TableVersion: 2, metrics.TableReloadFailures: 1} {
		if points := r.Points(i); len(points) != 1 || points[0].Value != want {
			t.Errorf("%s: %v; want %v", i.Name, points, want)
		}
	}
	if points := r.Points(metrics.LimitTokens); len(points) != 2 || points[0].Value != 6 || points[1].Labels[1] != "gold" {
		t.Errorf("%v", points)
	}
}
