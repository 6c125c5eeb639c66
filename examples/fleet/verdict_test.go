package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/store"
)

// sampleAt returns a sample of calls: so many were admitted by leases, and the rest denied.
func sampleAt(at time.Duration, calls, allowed int) sample {
	s := sample{at: at, admitted: allowed}
	s.all[admitted], s.all[denied] = allowed, calls-allowed
	s.all[sources+int(store.FromLease)] = calls
	return s
}

// attemptOf returns an attempt of two seconds, with so many trips in each.
func attemptOf(trips int) *attempt {
	begin, middle, end := sampleAt(0, 0, 0), sampleAt(time.Second, 50_000, 50_000), sampleAt(2*time.Second, 150_000, 130_000)
	a := &attempt{samples: []sample{begin, middle, end}, visitors: new(visitors)}
	a.below, a.above = part{from: begin, to: middle, cost: cost{trips: trips}}, part{from: middle, to: end, cost: cost{trips: trips}}
	a.faults = faults{held: 9, still: time.Second, free: time.Second, parts: []part{a.above}}
	return a
}

// TestVerdictFindsFaults: a demo that could not fail would show nothing.
func TestVerdictFindsFaults(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(without, with *attempt)
		want   string // "": nothing is wrong
	}{
		{"all is well", func(_, _ *attempt) {}, ""},
		{"as many as allowed", func(_, with *attempt) { with.samples[1].admitted = burst + limit.Rate }, ""},
		{"one more", func(_, with *attempt) { with.samples[1].admitted = burst + limit.Rate + 1 }, "with leases: 130000 calls were admitted"},
		{"one more, without leases", func(without, _ *attempt) { without.samples[1].admitted = burst + limit.Rate + 1 }, "without leases: 130000 calls were admitted"},
		{"a burst more, after a loss", func(_, with *attempt) { with.samples[2].admitted, with.samples[2].losses = 2*burst+2*limit.Rate, 1 }, ""},
		{"one more, after a loss", func(_, with *attempt) { with.samples[2].admitted, with.samples[2].losses = 2*burst+2*limit.Rate+1, 1 }, "calls were admitted"},
		{"deny all", func(_, with *attempt) { with.samples[2] = sampleAt(2*time.Second, 150_000, 0) }, "three quarters"},
		{"few trips less", func(_, with *attempt) { with.below.cost.trips = 101 }, "1/10 of the trips"},
		{"a failed call", func(_, with *attempt) { with.samples[2].all[failed] = 1 }, "1 of 150001 calls failed"},
		{"an error over HTTP", func(_, with *attempt) { with.visitors.other = []string{"500"} }, "over HTTP 1 failed"},
		{"no decision", func(_, with *attempt) { with.faults.parts[0].from = with.faults.parts[0].to }, "decisions went on"},
		{"tokens that stay", func(_, with *attempt) { with.faults.still = holdTime + 1 }, "killed process"},
		{"tokens that never come back", func(_, with *attempt) { with.faults.free = 0 }, "killed process"},
	} {
		without, with := attemptOf(1000), attemptOf(100)
		c.change(without, with)
		var out bytes.Buffer
		err := judge(standard, without, with, &out)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error %v, want %q\n%s", c.name, err, c.want, &out)
		}
	}
}
