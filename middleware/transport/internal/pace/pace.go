package pace

import (
	"container/list"
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// alone is how long the first request to a host goes alone, at most: if its response
// takes longer, a second one goes, and so on.
const alone = time.Second

// A pace is what the requests to one host with one key have in common. Nobody
// sends but the first in a queue, so that each waits its turn and a change of the
// pace holds for all of them.
type Pace struct {
	key   Key
	users int           // guarded by Cache.mu, as the next two
	used  time.Time     // last
	idle  *list.Element // its place among those that nobody uses

	maxWait time.Duration
	Warned  atomic.Bool // that its requests have no credential; for the Transport

	mu       sync.Mutex
	tickets  uint64
	queues   queues
	sent     uint64                // how many requests were sent
	last     [maxOvertaken]sending // the last ones, by their number
	lastSent time.Time             // zero before the first, and when it has failed
	trip     time.Duration         // how long the longest of the last ones took, at most maxTrip
	way      way
	known    bool    // there was a response
	gate     gate    // of denials that name no limit
	lanes    []*lane // the limits that were told, up to maxLanes
	ids      uint64  // of lanes, so far
	routes   routes  // which of them hold which requests
	learned  learner // for want of such
}

// An Attempt is one request on its way.
type Attempt struct {
	number uint64 // counts those of a pace, from 1
	sent   time.Time
	route  Route
}

// A sending is what is remembered of an Attempt.
type sending struct {
	at  time.Time
	set *limitSet // the limits that it counts against; nil: not known, so all
}

// Ticket returns a request's place among all of its pace.
func (p *Pace) Ticket() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tickets++
	return p.tickets
}

// Wait waits until the request may be sent, for left at most.
func (p *Pace) Wait(ctx context.Context, ticket uint64, route Route, left time.Duration) (Attempt, error) {
	w := &waiter{ticket: ticket, route: route, look: make(chan struct{}, 1), end: time.Now().Add(left)}
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(w.end) {
		w.end, w.deadline = deadline, true
	}
	p.mu.Lock()
	ahead := p.queues.join(w, p.routes.of(route))
	p.mu.Unlock()
	for {
		c, wait, err := p.look(ctx, w, ahead)
		if wait == 0 {
			return c, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-w.look:
		case <-ctx.Done():
		}
		timer.Stop()
		ahead = 0 // nobody counts: from now on it is known when its turn has come
	}
}

// look returns how long w is to wait until it looks again. If that is 0, w has left the
// queue, as a call or with an error. ahead is how many are in front of it, at least.
func (p *Pace) look(ctx context.Context, w *waiter, ahead int) (c Attempt, wait time.Duration, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer func() {
		if wait == 0 {
			p.queues.leave(w)
		}
	}()
	if err := ctx.Err(); err != nil {
		return Attempt{}, 0, err
	}
	now := time.Now()
	left := w.end.Sub(now)
	first := p.queues.isFirst(w)
	if first {
		ahead = 0
	}
	must, should := p.delay(w.set, now, ahead)
	if should > left {
		should = must // no time to be sparing
	}
	asking := p.alone(w.set, now) // mostly over before, when a response comes
	switch {
	case first && should <= 0 && asking <= 0:
		return p.grant(w, now), 0, nil
	case left <= 0 || must > left:
		return Attempt{}, 0, Late{Wait: max(must, time.Nanosecond), Left: max(left, 0), Deadline: w.deadline}
	case first:
		left = min(left, max(should+p.jitter(w.set, now, should, left), asking))
	}
	return Attempt{}, left, nil
}

const (
	maxSpaceJitter = 50 * time.Millisecond
	maxGateJitter  = 500 * time.Millisecond // after a refusal
)

// jitter returns what is added to a wait, so that processes do not fall into step: up
// to a tenth of it, and no more than half of what the request could wait beyond it.
// It costs no throughput, for tokens go on coming in, if there is room for them.
func (p *Pace) jitter(set *limitSet, now time.Time, wait, most time.Duration) time.Duration {
	limit := maxSpaceJitter
	if p.closed(set, now) {
		limit = maxGateJitter
	} else if slices.ContainsFunc(set.all(), (*lane).single) {
		limit = wait / 200
	}
	return rand.N(max(min(wait/10, limit, (most-wait)/2), 0) + 1)
}

// closed reports whether a denial keeps the requests of a set waiting.
func (p *Pace) closed(set *limitSet, now time.Time) bool {
	return now.Before(p.gate.until) || slices.ContainsFunc(set.all(), func(l *lane) bool { return now.Before(l.gate.until) })
}

// delay returns how long the request must wait that has so many in front of it, and how
// long it should. 0 or less means that it may be sent.
func (p *Pace) delay(set *limitSet, now time.Time, ahead int) (must, should time.Duration) {
	must = p.gate.delay(now)
	if set == nil {
		must = max(must, p.learned.delay(now, ahead))
	}
	should = must
	for _, l := range set.all() {
		m, s := l.delay(now, ahead)
		m = max(m, l.gate.delay(now))
		must, should = max(must, m), max(should, s, m)
	}
	return must, should
}

// alone returns how much longer the next request must wait, since one is under way
// that asks what the limits are.
func (p *Pace) alone(set *limitSet, now time.Time) time.Duration {
	wait := time.Duration(0)
	if !p.known && !p.lastSent.IsZero() {
		wait = p.lastSent.Add(alone).Sub(now)
	}
	wait = max(wait, p.gate.alone(now))
	for _, l := range set.all() {
		if wait = max(wait, l.gate.alone(now)); l.over(now) {
			wait = max(wait, l.asked.Add(alone).Sub(now)) // long ago if nobody has asked
		}
	}
	return wait
}

// grant counts a request as sent.
func (p *Pace) grant(w *waiter, now time.Time) Attempt {
	p.sent++
	p.last[p.sent%maxOvertaken] = sending{now, w.set}
	p.lastSent = now
	p.gate.pass(now, p.sent, p.maxWait)
	if w.set == nil {
		p.learned.take(now)
	}
	for _, l := range w.set.all() {
		l.gate.pass(now, p.sent, p.maxWait)
		l.take(now, &p.way)
	}
	return Attempt{number: p.sent, sent: now, route: w.route}
}

// Failed notes that there will be no response. While none is known, the next
// request goes at once, alone again.
func (p *Pace) Failed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lastSent = time.Time{}
	p.queues.wake()
}

// Late is the error of a request that would have to wait for longer than it can.
type Late struct {
	Wait, Left time.Duration
	Deadline   bool // that of the context
}

func (Late) Error() string { return "the wait is too long" }
