package ratelimit

import (
	"context"
	"time"

	"github.com/keyrate/keyrate/ratelimit/internal/count"
	"github.com/keyrate/keyrate/ratelimit/metrics"
	"github.com/keyrate/keyrate/store"
)

// A watch is what a decision needs that is counted or observed.
type watch struct {
	pick  count.Pick
	timed bool
	start time.Time
}

// watched returns the watch of a decision. One in memory is timed for an observer, and else
// only if it is sampled.
func (l *Limiter) watched() (w watch) {
	if l.counts != nil {
		w.pick = count.Draw()
	}
	w.timed = l.observe != nil || l.single == nil || w.pick.Sampled()
	return w
}

// begin notes when the decision began.
func (w *watch) begin() {
	if w.timed {
		w.start = time.Now()
	}
}

// decideWatched is decideInTime for a decision that is counted or observed.
func (l *Limiter) decideWatched(ctx context.Context, w watch, key string, a *ask, r *Result) error {
	w.begin()
	err := l.decideInTime(ctx, key, a, r)
	l.seen(ctx, w, key, a, r, err)
	return err
}

// takeCounted is takeOne for the only limit of all keys, counted.
func (l *Limiter) takeCounted(p count.Pick, key string, n int, r *Result) {
	l.takeOne(l.policy, key, n, r)
	l.series.AddOne(p, r.denied, n)
	if r.denied {
		l.denials.count(p, key, r)
	}
}

// seen ends a decision: it is counted, and the observer is called.
func (l *Limiter) seen(ctx context.Context, w watch, key string, a *ask, r *Result, err error) {
	var took time.Duration
	if w.timed {
		took = time.Since(w.start)
	}
	if l.counts != nil {
		l.count(w, key, a, r, err, took)
	}
	if l.observe == nil {
		return
	}
	e := Event{Result: *r, Err: err, Took: took}
	if store.Try(func() { l.observe(ctx, e) }) != nil {
		l.panics.Add(1)
	}
}

// count counts a decision.
func (l *Limiter) count(w watch, key string, a *ask, r *Result, err error, took time.Duration) {
	timed := l.single == nil || w.pick.Sampled()
	switch {
	case err != nil:
		l.counts.Failed(store.ErrorClass(err))
		if l.door == nil {
			l.counts.Ended(w.pick, undecided(r.Allowed))
		}
		if timed {
			l.counts.Took(undecided(r.Allowed), took)
		}
		return
	case r.policy == Unlimited:
		l.counts.Ended(w.pick, metrics.Exempt)
		if timed {
			l.counts.Took(metrics.Exempt, took)
		}
		return
	case r.Blocked():
		l.counts.Ended(w.pick, metrics.Blocked)
		if timed {
			l.counts.Took(metrics.Blocked, took)
		}
		return
	}
	d := count.Decision{Names: r.policy.names, Source: r.source, Lacked: r.lacked(), Tokens: r.cost}
	if r.shadow {
		d.Mode = count.Shadow
	}
	if a.charge == 0 || a.hold != nil && !a.hold.Spend { // it is charged when it is settled
		d.Tokens = 0
	}
	l.counts.Add(w.pick, d)
	if r.denied && !r.shadow {
		l.denials.count(w.pick, key, r)
	}
	for i, p := range r.policy.beside {
		if r.beside&(besideKnown<<i) != 0 {
			beside := count.Decision{Names: p.names, Source: r.source, Mode: count.Beside, Tokens: d.Tokens}
			if r.beside&(besideDenied<<i) != 0 {
				beside.Lacked = 1
			}
			l.counts.Add(w.pick, beside)
		}
	}
	if timed {
		l.measure(r, took)
	}
}

// undecided returns the outcome of a call that was not decided.
func undecided(served bool) metrics.Outcome {
	if served {
		return metrics.UndecidedAllowed
	}
	return metrics.UndecidedDenied
}

// lacked returns which limits had no room, one bit each: at least one if the call was denied.
func (r *Result) lacked() (bits uint8) {
	if !r.denied {
		return 0
	}
	for i := range r.policy.limits {
		if r.states[i].lacks(&r.policy.limits[i], r.cost) {
			bits |= 1 << i
		}
	}
	if bits == 0 { // a share denies by what it grants, which is less than the limit
		bits = 1 << r.deciding
	}
	return bits
}

// measure measures a decision that is sampled.
func (l *Limiter) measure(r *Result, took time.Duration) {
	outcome := metrics.Allowed
	if !r.Allowed {
		outcome = metrics.Denied
	}
	l.counts.Took(outcome, took)
	for i := range r.policy.limits {
		l.counts.Used(r.policy.names, i, r.states[i].used(&r.policy.limits[i]))
	}
}

// used returns which part of a bucket is spent or held.
func (s state) used(l *store.Limit) float64 {
	part := float64(s.held) / float64(l.Burst())
	if !l.Loan() {
		part += float64(s.micros) / float64(max(l.Capacity().Micros, 1))
	}
	return part
}

// AtDoor returns a limiter like l for a middleware, which knows what becomes of calls that l
// does not decide: it reports them with [Limiter.Ended], and an error is not counted as a
// call before.
func (l *Limiter) AtDoor() *Limiter {
	at := *l
	at.door = l // which stays in use, for PeekParts, Reset and Check
	return &at
}

// Ended counts a call that no limit decided, with Config.Metrics.
func (l *Limiter) Ended(o metrics.Outcome) {
	if l.counts != nil {
		l.counts.Ended(count.Draw(), o)
	}
}

// Measure implements [metrics.Source]: it adds what l has counted, with Config.Metrics, and
// what its store and limits show. Limiters that were made from each other count together.
func (l *Limiter) Measure(r *metrics.Reading) {
	if l.counts == nil {
		return
	}
	if r.First(l.counts) {
		l.counts.Measure(r)
		l.renewals.measure(r, l.counts)
	}
	for _, part := range []any{l.origin, l.Limits()} {
		if s, ok := part.(metrics.Source); ok {
			s.Measure(r)
		}
	}
	MeasureLimits(r, l.policy, "")
	for _, part := range l.parts.inUse() {
		if d, ok := part.limits.(*derived); ok {
			MeasureLimits(r, d.part, "")
		}
	}
	if l.shadow {
		for _, p := range r.Points(metrics.LimitTokens) {
			r.Add(metrics.Evaluations, 0, p.Labels[0], "would_deny", store.FromStore.String())
		}
	}
}

// OnMeasurement implements [metrics.Sampler]. Without Config.Metrics it does nothing.
func (l *Limiter) OnMeasurement(f metrics.Recording) {
	if l.counts != nil {
		l.counts.OnMeasurement(f)
	}
}

// MeasureLimits adds the limits of a policy, as they are configured for a plan, and 0 to the
// counters of each; nothing if p is nil, or if there are [metrics.MaxLimits] of them. It is for
// sources that are [Limits].
func MeasureLimits(r *metrics.Reading, p *Policy, plan string) {
	if p == nil {
		return
	}
	for _, l := range p.written {
		if r.Len(metrics.LimitTokens) >= metrics.MaxLimits {
			return
		}
		r.Set(metrics.LimitTokens, float64(l.Rate), l.Name, plan)
		if !l.Concurrent {
			r.Set(metrics.LimitPeriod, l.Period.Seconds(), l.Name, plan)
		}
		if r.Len(metrics.Cost) <= metrics.MaxLimits { // else calls under l may count as "other"
			addZeros(r, l)
		}
	}
}

// addZeros adds 0 to the counters of a limit: the rate of a counter that begins with its first
// event does not show that event.
func addZeros(r *metrics.Reading, l Limit) {
	if !l.Concurrent {
		r.Add(metrics.Cost, 0, l.Name)
	}
	add := func(result string) { r.Add(metrics.Evaluations, 0, l.Name, result, store.FromStore.String()) }
	add("admitted")
	if l.Shadow {
		add("would_deny")
	}
	if !l.Shadow || l.EnforceFrom != 0 || l.EnforceFor != 0 {
		add("denied")
	}
}
