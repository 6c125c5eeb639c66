package file

import "github.com/keyrate/keyrate/ratelimit/metrics"

// Measure implements [metrics.Source]: it adds how many attempts to read the file have failed,
// whether the last one succeeded, and what the table shows. Of several files, one that failed counts.
func (f *File) Measure(r *metrics.Reading) {
	if r.First(f) {
		r.Add(metrics.TableReloadFailures, float64(f.failures.Load()))
		f.mu.Lock()
		failed := f.status.Err != nil
		f.mu.Unlock()
		if failed {
			r.Set(metrics.TableReloadSuccessful, 0)
		} else if r.Len(metrics.TableReloadSuccessful) == 0 {
			r.Set(metrics.TableReloadSuccessful, 1)
		}
	}
	f.table.Measure(r)
}
