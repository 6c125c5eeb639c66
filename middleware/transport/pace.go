package transport

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
// sends but the first in its queue, so that each waits its turn and a change of the
// pace holds for all of them.
type pace struct {
	key   paceKey
	users int           // guarded by paces.mu, as the next two
	used  time.Time     // last
	idle  *list.Element // its place among those that nobody uses

	maxWait time.Duration
	unnamed atomic.Bool // there is no credential, and that was not reported yet

	mu       sync.Mutex
	tickets  uint64
	queue    queue
	sent     uint64                  // how many requests were sent
	times    [maxOvertaken]time.Time // when the last ones were sent, by their number
	lastSent time.Time               // zero before the first, and when it has failed
	trip     time.Duration           // how long the longest of the last ones took, at most maxTrip
	quick    time.Duration           // how long the shortest of the last ones took
	known    bool                    // there was a response
	newest   uint64                  // the number of the last request whose response was read
	gate     time.Time               // nothing is sent before
	ask      time.Time               // but for one request then
	asker    uint64                  // its number
	lanes    []*lane                 // the limits that were told last
	learned  learner                 // for want of such
}

func newPace(key paceKey, found bool, c Config) *pace {
	p := &pace{key: key, maxWait: c.MaxWait}
	p.unnamed.Store(!found)
	return p
}

// A call is one request on its way.
type call struct {
	number uint64 // counts those of a pace, from 1
	sent   time.Time
}

// ticket returns a request's place among all of its pace.
func (p *pace) ticket() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tickets++
	return p.tickets
}

// enter waits until the request may be sent, for left at most.
func (p *pace) enter(ctx context.Context, ticket uint64, left time.Duration) (call, error) {
	w := &waiter{ticket: ticket, look: make(chan struct{}, 1), end: time.Now().Add(left)}
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(w.end) {
		w.end, w.deadline = deadline, true
	}
	p.mu.Lock()
	ahead := p.queue.join(w)
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
func (p *pace) look(ctx context.Context, w *waiter, ahead int) (c call, wait time.Duration, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer func() {
		if wait == 0 {
			p.queue.leave(w)
		}
	}()
	if err := ctx.Err(); err != nil {
		return call{}, 0, err
	}
	now := time.Now()
	left := w.end.Sub(now)
	first := p.queue.isFirst(w)
	if first {
		ahead = 0
	}
	must, should := p.delay(now, ahead)
	if should > left {
		should = must // no time to be sparing
	}
	asking := p.alone(now) // mostly over before, when a response comes
	switch {
	case first && should <= 0 && asking <= 0:
		return p.grant(now), 0, nil
	case left <= 0 || must > left:
		return call{}, 0, &WaitError{Wait: max(must, time.Nanosecond), Left: max(left, 0), Deadline: w.deadline}
	case first:
		left = min(left, max(should+p.jitter(now, should, left), asking))
	}
	return call{}, left, nil
}

const (
	maxSpaceJitter = 50 * time.Millisecond
	maxGateJitter  = 500 * time.Millisecond // after a refusal
)

// jitter returns what is added to a wait, so that processes do not fall into step: up
// to a tenth of it, and no more than half of what the request could wait beyond it.
// It costs no throughput, for tokens go on coming in, if there is room for them.
func (p *pace) jitter(now time.Time, wait, most time.Duration) time.Duration {
	limit := maxSpaceJitter
	if now.Before(p.gate) {
		limit = maxGateJitter
	} else if slices.ContainsFunc(p.lanes, (*lane).single) {
		limit = wait / 200
	}
	return rand.N(max(min(wait/10, limit, (most-wait)/2), 0) + 1)
}

// delay returns how long the request must wait that has so many in front of it, and how
// long it should. 0 or less means that it may be sent.
func (p *pace) delay(now time.Time, ahead int) (must, should time.Duration) {
	if now.Before(p.ask) {
		must = p.gate.Sub(now)
	}
	if len(p.lanes) == 0 {
		must = max(must, p.learned.delay(now, ahead))
	}
	should = must
	for _, l := range p.lanes {
		m, s := l.delay(now, ahead)
		must, should = max(must, m), max(should, s)
	}
	return must, should
}

// alone returns how much longer the next request must wait, since one is under way
// that asks what the limits are.
func (p *pace) alone(now time.Time) time.Duration {
	wait := time.Duration(0)
	if !p.known && !p.lastSent.IsZero() {
		wait = p.lastSent.Add(alone).Sub(now)
	}
	for _, l := range p.lanes {
		if l.over(now) {
			wait = max(wait, l.asked.Add(alone).Sub(now)) // long ago if nobody has asked
		}
	}
	return wait
}

// grant counts a request as sent.
func (p *pace) grant(now time.Time) call {
	p.sent++
	p.times[p.sent%maxOvertaken] = now
	p.lastSent = now
	if p.gate.After(now) {
		p.asker, p.ask = p.sent, now.Add(p.maxWait)
	}
	if len(p.lanes) == 0 {
		p.learned.take(now)
	}
	for _, l := range p.lanes {
		l.take(now)
	}
	return call{number: p.sent, sent: now}
}

// failed notes that there will be no response. While none is known, the next
// request goes at once, alone again.
func (p *pace) failed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lastSent = time.Time{}
	p.queue.wake()
}
