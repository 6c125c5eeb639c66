package memstore

import "github.com/keyrate/keyrate/ratelimit/metrics"

// Measure implements [metrics.Source]: it adds how many buckets the store has, and how many of
// those are in debt that keys share because it is full.
func (s *Store) Measure(r *metrics.Reading) {
	if s.shards == nil || !r.First(s) {
		return
	}
	r.Add(metrics.Buckets, float64(s.room.used.Load()), "memory")
	r.Add(metrics.BucketsOverflow, float64(s.overflow.inDebt(s.now())), "memory")
}

// inDebt returns how many overflow buckets are in debt.
func (o *overflow) inDebt(now int64) (n int) {
	if !o.owes(now) {
		return 0
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.tats {
		if o.tats[i].Micros > now {
			n++
		}
	}
	return n
}
