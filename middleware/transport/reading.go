package transport

import (
	"slices"
	"time"
)

// read sets the pace by a response, and returns how long its request is to wait before
// it is sent again: 0 if it was not denied.
func (p *pace) read(c call, limits Limits, d denial, attempt int, now time.Time) (wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trip = min(max(now.Sub(c.sent), p.trip-p.trip/16), maxTrip)
	took := now.Sub(c.sent)
	p.quick = min(took, p.quick+(took-p.quick)/256) // down at once, and up slowly
	p.known = true
	if c.number == p.asker {
		p.gate = time.Time{} // what was told before does not hold any more
	}
	told := limits.requests()
	switch {
	case len(told) > 0 && c.number > p.newest:
		p.newest = c.number
		p.readLanes(c, told, d.limited, now)
	case len(told) == 0 && !slices.ContainsFunc(p.lanes, func(l *lane) bool { return !l.over(now) }):
		p.lanes = nil // it was asked whether they still hold, and they are not told any more
	}
	if d.denied {
		wait = p.waitAfter(d, limits, attempt)
		p.close(now, wait)
	}
	switch {
	case len(p.lanes) > 0:
	case d.limited:
		p.learned.refused(c, now, min(wait, p.maxWait))
	case !d.denied:
		p.learned.admitted(c, now)
	}
	p.queue.wake()
	return wait
}

// close keeps everybody waiting, as a refusal asks for. A wait for which nobody has
// the time is believed, too, but not blindly: now and then one request asks again.
func (p *pace) close(now time.Time, wait time.Duration) {
	if gate := now.Add(wait); gate.After(p.gate) {
		p.gate, p.ask = gate, now.Add(p.maxWait)
	}
}

// A reading is what a lane needs to know of a response beside the limit in it.
type reading struct {
	call
	now     time.Time
	after   int           // requests that were sent after this one
	beside  int           // those of them that may have been served before it
	gap     time.Duration // since the one before was sent, 0 if that is not known
	unseen  int           // requests that were sent before, and may have been served after it
	refused bool
	maxWait time.Duration
	quick   time.Duration // the shortest way there and back of late
}

// readLanes takes over what a response tells. Limits that it does not name do not
// hold any more, as far as anybody knows: they may have been those of one path.
func (p *pace) readLanes(c call, told []Limit, refused bool, now time.Time) {
	r := reading{call: c, now: now, refused: refused, maxWait: p.maxWait, quick: min(p.quick, now.Sub(c.sent)) / 4 * 3}
	r.after = int(p.sent - c.number)
	r.beside, r.unseen = p.around(c)
	if c.number > 1 && r.after < maxOvertaken-1 {
		r.gap = c.sent.Sub(p.times[(c.number-1)%maxOvertaken])
	}
	old := p.lanes
	p.lanes = nil
	for _, limit := range told {
		l := find(old, limit.Name)
		if l == nil {
			l = &lane{name: limit.Name}
		}
		if slices.Contains(p.lanes, l) {
			continue // the name is there twice
		}
		limit.Reset = l.opening.reset(limit, r)
		if l.read(limit, r) {
			p.lanes = append(p.lanes, l)
		}
	}
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

// around returns how many requests that were sent after c may have been served
// before it, and the other way round: those that were sent at nearly the same time.
func (p *pace) around(c call) (after, before int) {
	near := func(number uint64) bool {
		return p.sent-number < maxOvertaken && p.times[number%maxOvertaken].Sub(c.sent).Abs() <= p.trip
	}
	for n := c.number + 1; n <= p.sent && near(n); n++ {
		after++
	}
	for n := c.number - 1; n > 0 && near(n); n-- {
		before++
	}
	return after, before
}
