package gcra

import "time"

// A Debt is how far a bucket is from full, as the time in which it fills up:
// Micros whole microseconds, and Frac parts of one microsecond divided by the
// denominator of the bucket's [Rate]. Frac is always less than the denominator.
// The zero Debt is a full bucket.
type Debt struct {
	Micros int64
	Frac   uint32
}

// Less reports whether d is smaller than e. Both must be debts of the same [Rate].
func (d Debt) Less(e Debt) bool {
	return d.Micros < e.Micros || d.Micros == e.Micros && d.Frac < e.Frac
}

// Duration returns d, rounded up to a microsecond.
func (d Debt) Duration() time.Duration {
	if d.Frac > 0 {
		d.Micros++
	}
	return time.Duration(d.Micros) * time.Microsecond
}

// A TAT is the state of a bucket as a store keeps it: the instant, on the store's own
// clock, at which the bucket will be full again. It carries the interval T of the rate that
// it was made with, Num/Den microseconds in lowest terms, so that it keeps its meaning when
// the limit changes. If Num is 0, that rate is not known: then the time until the bucket is
// full stays. The zero TAT is not an instant: it stands for a bucket about which nothing is
// known.
type TAT struct {
	Micros int64
	Frac   uint32 // parts of 1/Den microseconds
	Den    uint32
	Num    uint64
}

// fullAt returns the first whole microsecond at which the bucket is full.
func (t TAT) fullAt() int64 { return t.Micros + int64(min(t.Frac, 1)) }
