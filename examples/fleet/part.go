package main

import (
	"time"

	"github.com/keyrate/keyrate/store"
)

// A part of a load is what was answered from one sample to another, and what it has cost Redis.
type part struct {
	name     string
	from, to sample
	cost     cost
}

// answers returns what was answered.
func (p *part) answers() tally { return p.to.all.since(&p.from.all) }

// lasts returns how long it took.
func (p *part) lasts() time.Duration { return p.to.at - p.from.at }

// perSecond divides by that.
func (p *part) perSecond(n int) int { return int(float64(n) / p.lasts().Seconds()) }

// each divides by the number of decisions. Those that a node has made alone, since Redis was too
// slow, do not count: they cost nothing.
func (p *part) each(n float64) float64 {
	t := p.answers()
	return n / float64(max(t.decisions()-t[sources+int(store.FromShare)], 1))
}

// trips returns how many trips to Redis a decision took.
func (p *part) trips() float64 { return p.each(float64(p.cost.trips)) }
