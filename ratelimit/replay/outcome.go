package replay

import "time"

// An Outcome is what a candidate would have done to the requests of a log.
type Outcome struct {
	Requests   int64
	Denied     int64 // of Requests
	Keys       int
	KeysDenied int // with at least one request that was denied
	// Worst are the keys with the most denials, at most ten.
	Worst []Offender
	// Steps are the requests over time, in steps of Every, at most 120; none is left out.
	Steps []Step
	Every time.Duration

	worst worst
	first int64 // the beginning of Steps, in microseconds since 1970
}

// An Offender is a key that a candidate would have denied.
type Offender struct {
	Key         string // its hash: see ratelimit.HashKey
	Plan        string // "" if it has none
	Requests    int64
	Denied      int64
	First, Last time.Time // when it was denied, in UTC
}

// A Step is the requests of some time.
type Step struct {
	From             time.Time // in UTC
	Requests, Denied int64
}

// mostSteps is how many steps an outcome has at most.
const mostSteps = 120

// stepLengths are what a step can last. Longer ones are a multiple of the last.
var stepLengths = []time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour,
}

// newOutcome returns the outcome of no request yet.
func (l *Log) newOutcome() Outcome {
	steps := func(every time.Duration) int64 { return l.last/every.Microseconds() - l.first/every.Microseconds() + 1 }
	every := stepLengths[len(stepLengths)-1]
	for _, d := range stepLengths {
		if steps(d) <= mostSteps {
			every = d
			break
		}
	}
	for steps(every) > mostSteps {
		every *= 2
	}
	o := Outcome{Every: every, Steps: make([]Step, steps(every)), first: l.first / every.Microseconds() * every.Microseconds()}
	for i := range o.Steps {
		o.Steps[i].From = time.UnixMicro(o.first).UTC().Add(time.Duration(i) * every)
	}
	return o
}

// step returns the step of an instant.
func (o *Outcome) step(at int64) *Step { return &o.Steps[(at-o.first)/o.Every.Microseconds()] }

// finish describes the worst keys.
func (o *Outcome) finish(l *Log) {
	for _, w := range o.worst.sorted() {
		o.Worst = append(o.Worst, Offender{
			Key: hashOf(l.key(w.key)), Plan: l.planName(w.key), Requests: w.requests, Denied: w.denied,
			First: time.UnixMicro(w.first).UTC(), Last: time.UnixMicro(w.last).UTC(),
		})
	}
}
