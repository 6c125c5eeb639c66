package file

import "github.com/keyrate/keyrate/ratelimit/metrics"

// Measure implements [metrics.Source]: it adds how many attempts to read the file have failed, and
// what the table shows.
func (f *File) Measure(r *metrics.Reading) {
	if r.First(f) {
		r.Add(metrics.TableReloadFailures, float64(f.failures.Load()))
	}
	f.table.Measure(r)
}
