package pace

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/keyrate/keyrate/middleware/transport/internal/signals"
)

// Learn sets the pace by a response, and returns how long its request is to wait before
// it is sent again: 0 if it was not denied.
func (p *Pace) Learn(c Attempt, limits signals.Limits, d signals.Denial, attempt int, now time.Time) (wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trip = min(max(now.Sub(c.sent), p.trip-p.trip/16), maxTrip)
	p.way.read(now.Sub(c.sent))
	p.known = true
	p.gate.answered(c.number)
	for _, l := range p.lanes {
		l.gate.answered(c.number)
	}
	told, set := limits.Requests(), p.routes.of(c.route)
	switch {
	case len(told) > 0:
		p.readLanes(c, told, d, now)
	case set != nil && !slices.ContainsFunc(set.lanes, func(l *lane) bool { return !l.over(now) }):
		p.drop(set.has) // it was asked whether they still hold, and they are not told any more
	}
	if d.Denied {
		wait = p.waitAfter(d, limits, attempt)
		p.close(told, now, wait)
	}
	switch {
	case p.routes.of(c.route) != nil:
	case d.Limited:
		p.learned.refused(c, now, min(wait, p.maxWait))
	case !d.Denied:
		p.learned.admitted(c, now)
	}
	p.queues.wake()
	return wait
}

// close keeps the requests waiting that a denial speaks of: those that count against
// the limits of which it says that nothing remains or, if there are none, all.
func (p *Pace) close(told []signals.Limit, now time.Time, wait time.Duration) {
	named := false
	for _, t := range told {
		if l := find(p.lanes, t.Name); l != nil && t.Remaining == 0 {
			l.gate.close(now, wait, p.maxWait)
			named = true
		}
	}
	if !named {
		p.gate.close(now, wait, p.maxWait)
	}
}

// A reading is what a lane needs to know of a response beside the limit in it.
type reading struct {
	Attempt
	now     time.Time
	after   int           // requests that were sent after this one
	beside  int           // those of them that may have been served before it
	gap     time.Duration // since the one before was sent, 0 if that is not known
	unseen  int           // requests that were sent before, and may have been served after it
	refused bool
	wait    time.Duration // that a denial asks for, 0 if it does not say
	maxWait time.Duration
	quick   time.Duration // the shortest way there and back of late
}

// maxLanes is how many limits a pace remembers.
const maxLanes = 64

// readLanes takes over what a response tells. signals.Limits that it does not name do not
// hold its route any more, as far as anybody knows.
func (p *Pace) readLanes(c Attempt, told []signals.Limit, d signals.Denial, now time.Time) {
	var lanes []*lane
	var counted []*lane // against which it counted, as far as was known
	if p.remembers(c) {
		counted = p.last[c.number%maxOvertaken].set.all()
	}
	for _, limit := range told {
		l := find(p.lanes, limit.Name)
		if slices.Contains(lanes, l) {
			continue // the name is there twice
		}
		if l == nil {
			p.ids++
			// A copy, or the name would keep the whole line of its header in memory.
			l = &lane{name: strings.Clone(limit.Name), id: p.ids, sent: p.sent}
		}
		if c.number > l.newest {
			r := p.readingOf(c, l)
			r.now, r.refused, r.wait, r.maxWait, r.quick = now, d.Limited, d.Wait, p.maxWait, min(p.way.least(), now.Sub(c.sent))
			l.newest = c.number
			limit.Reset = l.opening.reset(limit, r)
			if !l.read(limit, r) {
				p.drop(func(gone *lane) bool { return gone == l })
				continue
			}
		} else if d.Limited {
			l.overtaken(limit)
		}
		p.keep(l)
		lanes = append(lanes, l)
	}
	if p.routes.learn(c.route, lanes, c.number) {
		p.queues.sort(p.routes.of)
	}
	if !p.remembers(c) {
		return
	}
	for _, l := range counted {
		if !slices.Contains(lanes, l) {
			l.giveBack(now)
		}
	}
	set := p.routes.of(c.route)
	if !slices.Equal(set.all(), lanes) {
		set = &limitSet{lanes: lanes}
	}
	p.last[c.number%maxOvertaken].set = set
}

// remembers reports whether a call is one of the last ones.
func (p *Pace) remembers(c Attempt) bool { return p.sent-c.number < maxOvertaken }

// keep remembers a lane, and forgets the one that was told longest ago if there are
// too many.
func (p *Pace) keep(l *lane) {
	if slices.Contains(p.lanes, l) {
		return
	}
	if len(p.lanes) >= maxLanes {
		oldest := slices.MinFunc(p.lanes, func(a, b *lane) int { return cmp.Compare(a.newest, b.newest) })
		p.drop(func(gone *lane) bool { return gone == oldest })
	}
	p.lanes = append(p.lanes, l)
}

// drop forgets lanes.
func (p *Pace) drop(gone func(*lane) bool) {
	p.routes.drop(gone)
	p.lanes = slices.DeleteFunc(p.lanes, gone)
	p.queues.sort(p.routes.of)
}

func find(lanes []*lane, name string) *lane {
	for _, l := range lanes {
		if l.name == name {
			return l
		}
	}
	return nil
}

const (
	// maxOvertaken is how many requests one may have overtaken that anybody cares for.
	maxOvertaken = 128
	// maxTrip is the longest time in which a request may reach the server. One whose
	// response takes longer has most likely been counted long ago.
	maxTrip = time.Second
)

// readingOf returns how a call stands among those that count against a limit: how many
// were sent after it, and which of them and of those before it may have been served in
// another order, for they were sent at nearly the same time.
func (p *Pace) readingOf(c Attempt, l *lane) reading {
	r := reading{Attempt: c}
	counts := func(number uint64) bool {
		s := &p.last[number%maxOvertaken]
		return s.set == nil || s.set.has(l)
	}
	oldest := p.sent - min(p.sent, maxOvertaken) + 1 // of those that are remembered
	if c.number >= oldest {
		if s := &p.last[c.number%maxOvertaken]; !counts(c.number) {
			s.set = nil // it counted against this limit, and that was not known
			l.sent++
		}
	} else {
		r.after = int(oldest - c.number) //nolint:gosec // of requests that are under way
	}
	for n := max(c.number+1, oldest); n <= p.sent; n++ {
		if counts(n) {
			if r.after++; p.last[n%maxOvertaken].at.Sub(c.sent) <= p.trip {
				r.beside++
			}
		}
	}
	for n := c.number - 1; n >= oldest && n > 0; n-- {
		if !counts(n) {
			continue
		}
		before := c.sent.Sub(p.last[n%maxOvertaken].at)
		if r.gap == 0 {
			r.gap = before
		}
		if before > p.trip {
			break
		}
		r.unseen++
	}
	r.number = l.sent - min(uint64(r.after), l.sent) //nolint:gosec // not negative
	return r
}
