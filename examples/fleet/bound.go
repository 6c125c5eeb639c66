package main

import "time"

// bound returns how many calls of a key may be admitted in a time: the burst, what the rate brings
// and, for each time that Redis lost its data meanwhile, a burst at most.
func bound(took time.Duration, losses int) int {
	return burst*(1+losses) + int(took*time.Duration(limit.Rate)/limit.Period)
}

// A sample is how far a load had come.
type sample struct {
	at       time.Duration // since its start, after the counts were read
	admitted int
	losses   int // times that Redis had lost its data until then
	all      tally
}

// over returns by how much the worst of samples is above its bound, not more than 0 if none is.
func over(samples []sample) int {
	most := -burst
	for i := range samples {
		s := &samples[i]
		most = max(most, s.admitted-bound(s.at, s.losses))
	}
	return most
}
