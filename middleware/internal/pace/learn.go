package pace

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/keyrate/keyrate/middleware/internal/signals"
)

// maxLimiters is how many limits a pace remembers.
const maxLimiters = 64

// Learn sets the pace by the response to an attempt, the n-th of its request. It returns
// how long the request is to wait before it is sent again, 0 if it was not denied.
func (p *Pace) Learn(a Attempt, limits signals.Limits, d signals.Denial, n int, now time.Time) (wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known = true
	p.rtt.add(now.Sub(a.sent))
	p.backoff.answered(a.number)
	for _, l := range p.limiters {
		l.backoff.answered(a.number)
	}
	reported, set := limits.Requests(), p.routes.of(a.route)
	switch {
	case len(reported) > 0:
		p.learnLimits(a, reported, d, now)
	case set != nil && !slices.ContainsFunc(set.limiters, func(l *limiter) bool { return !l.stale(now) }):
		p.forget(set.has) // this was the probe, and no limit is reported any more
	}
	if d.Denied {
		wait = p.waitAfter(d, limits, n)
		p.backOff(reported, now, wait)
	}
	switch {
	case p.routes.of(a.route) != nil:
	case d.Limited:
		p.adaptive.denied(a, now, min(wait, p.maxWait))
	case !d.Denied:
		p.adaptive.admitted(a, now)
	}
	p.queues.wake()
	return wait
}

// backOff delays the requests that count against the limits with nothing remaining in a
// denial; if there are none, all.
func (p *Pace) backOff(reported []signals.Limit, now time.Time, wait time.Duration) {
	named := false
	for _, t := range reported {
		if l := p.limiter(t.Name); l != nil && t.Remaining == 0 {
			l.backoff.start(now, wait, p.maxWait)
			named = true
		}
	}
	if !named {
		p.backoff.start(now, wait, p.maxWait)
	}
}

// learnLimits takes over the limits that a response reports: they, and no others, hold its
// route from then on.
func (p *Pace) learnLimits(a Attempt, reported []signals.Limit, d signals.Denial, now time.Time) {
	var counted []*limiter // against which it counted, as far as was known
	if p.remembers(a.number) {
		counted = p.recent[a.number%maxRecent].set.all()
	}
	var limiters []*limiter
	for _, limit := range reported {
		l := p.limiter(limit.Name)
		if slices.Contains(limiters, l) {
			continue // the name is there twice
		}
		if l == nil {
			p.ids++
			// A copy, or the name would keep the whole line of its header in memory.
			l = &limiter{name: strings.Clone(limit.Name), id: p.ids, sent: p.sent}
		}
		if a.number > l.newest {
			o := p.observe(a, l)
			o.now, o.denied, o.wait, o.maxWait = now, d.Limited, d.Wait, p.maxWait
			o.quick = min(p.rtt.least(), now.Sub(a.sent))
			l.newest = a.number
			if !l.learn(limit, o) {
				p.forget(func(gone *limiter) bool { return gone == l })
				continue
			}
		} else if d.Limited {
			l.learnLate(limit)
		}
		p.keep(l)
		limiters = append(limiters, l)
	}
	if p.routes.learn(a.route, limiters, a.number) {
		p.queues.sort(p.routes.of)
	}
	if !p.remembers(a.number) {
		return
	}
	for _, l := range counted {
		if !slices.Contains(limiters, l) {
			l.giveBack(now)
		}
	}
	set := p.routes.of(a.route)
	if !slices.Equal(set.all(), limiters) {
		set = &limitSet{limiters: limiters}
	}
	p.recent[a.number%maxRecent].set = set
}

// keep remembers a limiter. If there are too many, it forgets the one that was reported
// longest ago.
func (p *Pace) keep(l *limiter) {
	if slices.Contains(p.limiters, l) {
		return
	}
	if len(p.limiters) >= maxLimiters {
		oldest := slices.MinFunc(p.limiters, func(a, b *limiter) int { return cmp.Compare(a.newest, b.newest) })
		p.forget(func(gone *limiter) bool { return gone == oldest })
	}
	p.limiters = append(p.limiters, l)
}

// forget drops limiters.
func (p *Pace) forget(gone func(*limiter) bool) {
	p.routes.drop(gone)
	p.limiters = slices.DeleteFunc(p.limiters, gone)
	p.queues.sort(p.routes.of)
}
